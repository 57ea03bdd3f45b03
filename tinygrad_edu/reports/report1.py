"""Report 1: a network given as a list of layers, trained on Fashion-MNIST, as its authors did and as it should be.

    as-reported  weights only, drawn from NumPy's generator; an output error that is no loss's gradient; gradients
                 summed over the mini-batch; the same shuffle every epoch
    corrected    biases, the gradient of the mean cross-entropy, a fresh shuffle every epoch

The report's runs stand in table1.py. Read next: ../train/training.py; examples/report1.py, the same without the kit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import nn, optim, train
from ..datasets import ImageDataset
from ..modes import no_grad
from ..nn import functional as F
from ..ops.batch import assemble
from ..ops.create import from_numpy
from ..ops.random import Generator, randperm
from ..replay import replay
from ..tensor import Tensor
from .report import Options
from .table1 import FIGURES, RUNS, Run

TITLE = "Report 1, a NumPy network on Fashion-MNIST"
TAKES = ("mode", "lr", "clip_grad_norm")
PANELS = (("test accuracy (%)", ("test_accuracy",)), ("test loss (cross-entropy)", ("test_loss",)))
MODES = ("as-reported", "corrected")
# For the mean over the batch. r1-arch-8's mean test accuracy over epochs 23 to 30 at 0.02, 0.03, 0.05, 0.1, 0.2: 88.17,
# 88.22, 88.52, 88.29, 88.45; single epochs scatter by 0.3 around it.
CORRECTED_LR = 0.05
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}

__all__ = [
    "CORRECTED_LR",
    "FIGURES",
    "MODES",
    "PANELS",
    "RUNS",
    "TAKES",
    "TITLE",
    "Run",
    "Training",
    "network",
    "settings",
    "start",
]


def network(layers: Sequence[Mapping[str, Any]], bias: bool = True) -> nn.Sequential:
    """The network that a list like [{"input_nodes": 784, "activation": "relu"}, ...] describes.

    The first entry is the input (its activation is ignored), the last the output, whose "softmax" is left to the loss:
    the network gives logits. Raises ValueError, naming the entry, for a list that describes none.
    """
    sizes = check_layers(layers)
    modules: list[nn.Module] = []
    for i in range(1, len(sizes)):
        modules.append(nn.Linear(sizes[i - 1], sizes[i], bias=bias))
        if i < len(sizes) - 1:
            modules.append(ACTIVATIONS[layers[i]["activation"]]())
    return nn.Sequential(*modules)


def check_layers(layers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The sizes of the layers. Raises ValueError as `network` does."""
    if not isinstance(layers, Sequence) or len(layers) < 2:
        raise ValueError("a network is a list of at least two layers, the input and the output")
    sizes = []
    for i, layer in enumerate(layers):
        if not isinstance(layer, Mapping) or set(layer) != {"input_nodes", "activation"}:
            raise ValueError(f'layer {i}: expected {{"input_nodes": number, "activation": name}}, got {layer!r}')
        nodes, activation = layer["input_nodes"], layer["activation"]
        if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
            raise ValueError(f"layer {i}: input_nodes must be a positive whole number, got {nodes!r}")
        if i == len(layers) - 1:
            if activation != "softmax":
                raise ValueError(f"layer {i}, the output: activation must be 'softmax', got {activation!r}")
        elif i > 0 and activation not in ACTIVATIONS:
            raise ValueError(f"layer {i}: unknown activation {activation!r}; there are {', '.join(ACTIVATIONS)}")
        sizes.append(nodes)
    return sizes


def draw_as_reported(model: nn.Module, seed: int) -> None:
    """Weights as the report's code drew them: normal(0, 1) * sqrt(2 / fan_in), layer by layer, by NumPy's RandomState.

    Each is drawn in the shape (fan_out, fan_in): so the report's accuracy of r1-arch-2 after its first epoch, 40.25,
    comes out to the last digit; drawn as (fan_in, fan_out) it is 31.37, and r1-arch-8 collapses.
    """
    rng = np.random.RandomState(seed)
    with no_grad():
        for weight in model.parameters():
            m, k = weight.shape
            weight.copy_(from_numpy((rng.randn(m, k) * np.sqrt(2 / k)).astype(np.float32)))


def reported_error(logits: Tensor, one_hot: Tensor) -> Tensor:
    """2 (p - y) / classes * p (1 - p) with p = softmax(logits): what the report sends back from its output layer.

    It is the squared error's gradient through the diagonal of softmax's Jacobian only, and no loss's gradient: that
    would add up to 0 over the classes, for the same number added to all logits changes no p. So this moves all logits
    together as well. In epoch 6 of r1-lr-0.1 their mean runs from 1 to -780, until all p are 0 or 1 and it is 0. With
    its mean taken off, the runs that collapse don't: 87.50 % after 12 epochs at 0.1, 85.38 % after 15 at 0.01, 85.28 %
    after 25 at 0.005.
    """
    p = F.softmax(logits.detach(), 1)
    return 2 * (p - one_hot) / one_hot.shape[1] * p * (1 - p)


def draw_corrected(model: nn.Module, generator: Generator) -> None:
    """He's initialisation; biases are 0."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)


class Training(train.Training):
    """A network in training: `epoch()` trains it for one, `test()` gives test accuracy (percent) and test loss.

    layers: the report's list; its ends must fit the data (ValueError). lr: by default 0.001 as reported, which acts on
    sums over the mini-batch, and CORRECTED_LR on means. clip_grad_norm: the gradients' largest norm, if any.
    """

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        train_set: ImageDataset,
        test_set: ImageDataset,
        mode: str = "as-reported",
        batch: int = 128,
        lr: float | None = None,
        seed: int = 42,
        clip_grad_norm: float | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; there are {' and '.join(MODES)}")
        sizes, classes = check_layers(layers), len(train_set.classes)
        images, test_images = train_set.data.flatten(1), test_set.data.flatten(1)
        if (sizes[0], sizes[-1]) != (images.shape[1], classes):
            raise ValueError(
                f"the network has {sizes[0]} inputs and {sizes[-1]} outputs, the data has {images.shape[1]} pixels "
                f"and {classes} classes"
            )
        self.reported = reported = mode == "as-reported"
        self.lr = lr if lr is not None else 0.001 if reported else CORRECTED_LR
        generator = Generator().manual_seed(seed)
        order = from_numpy(np.random.RandomState(seed).permutation(len(images)))  # each epoch's, as reported
        model = network(layers, bias=not reported)
        if reported:
            draw_as_reported(model, seed)
        else:
            draw_corrected(model, generator)
        optimizer = optim.SGD(model.parameters(), lr=self.lr)
        targets, one_hot = train_set.targets, F.one_hot(train_set.targets, classes).float()

        @replay
        def step(rows: Tensor) -> None:
            logits = model(assemble(images, rows))
            optimizer.zero_grad()
            if reported:
                logits.backward(reported_error(logits, one_hot.index_select(0, rows)))
            else:
                F.cross_entropy(logits, targets.index_select(0, rows)).backward()
            if clip_grad_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
            optimizer.step()

        loss_sum = train.nll_with_floor if reported else lambda x, y: F.cross_entropy(x, y, reduction="sum")
        test = train.Evaluator(model, test_images, test_set.targets, loss_sum)
        super().__init__(model, optimizer, step, batch, order, generator, test)

    def begin_epoch(self) -> None:
        """Corrected: a fresh shuffle."""
        if not self.reported:
            self.order = randperm(len(self.order), generator=self.generator)

    def measure(self) -> dict[str, Any]:
        """The test metrics, as the report has them after every epoch."""
        accuracy, loss = self.test()
        return {"test_accuracy": accuracy, "test_loss": loss}

    def conclude(self) -> dict[str, Any]:
        """Those of the last epoch."""
        last = self.history[-1]
        return {"test_accuracy": last["test_accuracy"], "test_loss": last["test_loss"]}


def learning_rate(run: Run, options: Options) -> float:
    """The one asked for, else the report's; corrected CORRECTED_LR, but its own in a run that is about the rate."""
    if options.lr is not None:
        return options.lr
    return CORRECTED_LR if options.mode == "corrected" and not run.name.startswith("r1-lr-") else run.lr


def settings(run: Run, options: Options) -> dict[str, Any]:
    """What determines the run but the data."""
    return {
        "run": run.name,
        "mode": options.mode or MODES[0],
        "seed": options.seed,
        "epochs": options.epochs or run.epochs,
        "batch": run.batch,
        "lr": learning_rate(run, options),
        "clip_grad_norm": run.clip_grad_norm if options.clip_grad_norm is None else options.clip_grad_norm,
        "layers": run.layers,
    }


def start(settings: Mapping[str, Any], train_set: ImageDataset, test_set: ImageDataset) -> Training:
    """The training of such settings; data of another size than the report's gets a network with as many inputs."""
    layers = [dict(layer) for layer in settings["layers"]]
    layers[0]["input_nodes"] = math.prod(train_set.data.shape[1:])
    mode, batch, lr, seed, clip = (settings[k] for k in ("mode", "batch", "lr", "seed", "clip_grad_norm"))
    return Training(layers, train_set, test_set, mode, batch, lr, seed, clip)
