"""The networks whose training steps are timed: the reports', and LeNet, in lines that both libraries run.

Every function takes the library's nn module. Read next: steps.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Model:
    """What a step trains: a network, the shape of an input, the batch, the optimiser, and the ratio that the project
    holds itself to on AVX-512 (a fifth less on AVX2)."""

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    batch: int
    goal: float
    classes: int = 10
    optimizer: str = "SGD"
    lr: float = 0.01
    loss: str = "CrossEntropyLoss"


def mlp(sizes: tuple[int, ...], nn: Any) -> Any:
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def ann_modified(nn: Any) -> Any:
    """Report 3's network with batch normalisation and dropout after each hidden layer."""
    layers = []
    sizes = (784, 392, 196, 98)
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU(), nn.Dropout(0.25)]
    return nn.Sequential(*layers, nn.Linear(98, 10), nn.LogSoftmax(1))


def cnn(nn: Any) -> Any:
    """Report 3's convolutional network."""
    layers, channels = [], 1
    for stage in (128, 256):
        for _ in range(2):
            layers += [nn.Conv2d(channels, stage, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(stage), nn.Dropout(0.25)]
            channels = stage
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AvgPool2d(7), nn.Flatten()]
    for fan_in, fan_out in ((256, 128), (128, 64)):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.BatchNorm1d(fan_out), nn.Dropout(0.25)]
    return nn.Sequential(*layers, nn.Linear(64, 10), nn.LogSoftmax(1))


def lenet(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def mixer(
    nn: Any,
    d: int,
    hidden: tuple[int, int],
    dropout: tuple[float, float] = (0.0, 0.0),
    norm: bool = False,
    patch: int = 4,
) -> Any:
    """Report 4's patch mixer: a linear stem, blocks that mix patches, then features, the mean over patches, a linear
    layer. Hidden sizes: of the mixing of patches, and of features. Dropout: after the stem, and inside the blocks."""
    side = 28 // patch

    def pair(n: int, inner: int) -> Any:
        return nn.Sequential(nn.Linear(n, inner), nn.ReLU(), nn.Dropout(dropout[1]), nn.Linear(inner, n))

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(patch * patch, d)
            self.norm = nn.BatchNorm1d(side * side) if norm else nn.Identity()
            self.dropout = nn.Dropout(dropout[0])
            self.patches = nn.ModuleList([pair(side * side, hidden[0]) for _ in range(2)])
            self.features = nn.ModuleList([pair(d, hidden[1]) for _ in range(2)])
            self.head = nn.Linear(d, 10)

        def forward(self, x: Any) -> Any:
            n = x.shape[0]
            x = x.reshape(n, side, patch, side, patch).permute(0, 1, 3, 2, 4).reshape(n * side * side, patch * patch)
            x = self.dropout(self.norm(self.stem(x).reshape(n, side * side, d)))
            for patches, features in zip(self.patches, self.features, strict=True):
                x = features(patches(x.transpose(1, 2)).transpose(1, 2))
            return self.head(x.mean(1))

    return Mixer()


PICTURE = (1, 28, 28)
MODELS = {
    "r1-arch-1": Model(partial(mlp, (784, 64, 10)), (784,), 128, 3.0),
    "r1-arch-8": Model(partial(mlp, (784, 512, 256, 128, 64, 10)), (784,), 128, 1.4),
    "mlp-16-16-16-4": Model(partial(mlp, (16, 16, 16, 4)), (16,), 16, 20.0, classes=4),
    "r2-baseline": Model(partial(mlp, (3072, 256, 128, 10)), (3072,), 128, 1.2, lr=0.1),
    "r3-ann-modified": Model(ann_modified, (784,), 128, 3.0, optimizer="Adam", lr=0.001, loss="NLLLoss"),
    "r3-cnn": Model(cnn, PICTURE, 64, 3.0, optimizer="Adam", lr=0.001, loss="NLLLoss"),
    "lenet": Model(lenet, PICTURE, 128, 1.6),
    "r4k-final": Model(
        partial(mixer, d=16, hidden=(512, 512), dropout=(0.1, 0.2), norm=True),
        PICTURE,
        128,
        3.0,
        optimizer="Adam",
        lr=0.001,
    ),
    "r4f": Model(partial(mixer, d=128, hidden=(128, 256)), PICTURE, 256, 1.8, optimizer="Adam", lr=0.001),
}


def stepper(library: Any, model: Model, network: Any) -> Callable[[Any, Any], Any]:
    """A training step, the same lines for both libraries."""
    optimizer = getattr(library.optim, model.optimizer)(network.parameters(), lr=model.lr, fused=True)
    loss_function = getattr(library.nn, model.loss)()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_function(network(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step
