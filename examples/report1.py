"""Report 1 from top to bottom: a network given as a list, trained on Fashion-MNIST, in about a hundred lines.

    python examples/report1.py                 as it should be: biases, cross-entropy, a fresh shuffle every epoch
    python examples/report1.py --as-reported   as the report's code computed it

Nothing is hidden: this is the loop. `tinygrad-edu run r1-arch-8` does the same for every run of the report, with its
figures beside the report's; that is tinygrad_edu/reports/report1.py.
"""

import itertools
import sys
import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.datasets import FashionMNIST
from tinygrad_edu.nn import functional as F
from tinygrad_edu.transforms import ToTensor
from tinygrad_edu.utils.data import DataLoader

NETWORK = [
    {"input_nodes": 784, "activation": "relu"},
    {"input_nodes": 128, "activation": "relu"},
    {"input_nodes": 64, "activation": "relu"},
    {"input_nodes": 10, "activation": "softmax"},
]
AS_REPORTED = "--as-reported" in sys.argv
BATCH, EPOCHS = 128, 10

# The data: 60,000 and 10,000 images, bytes in memory. ToTensor makes them floats in 0..1, a whole batch in one kernel.
train_set = FashionMNIST(train=True, transform=ToTensor(), download=True)
test_set = FashionMNIST(train=False, transform=ToTensor(), download=True)

# The network. The report's had no biases; its softmax is part of the loss here.
layers = [nn.Flatten()]
for left, right in itertools.pairwise(NETWORK):
    layers.append(nn.Linear(left["input_nodes"], right["input_nodes"], bias=not AS_REPORTED))
    if right["activation"] == "relu":
        layers.append(nn.ReLU())
model = nn.Sequential(*layers)
print(model)

# He's initialisation: normal(0, 1) * sqrt(2 / fan_in). The report drew from NumPy's generator with seed 42.
tg.manual_seed(42)
rng = np.random.RandomState(42)
with tg.no_grad():
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.zero_()
        elif AS_REPORTED:
            fan_out, fan_in = parameter.shape
            parameter.copy_(tg.tensor(rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)))
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")

# The order: the report shuffled once and kept that order, otherwise each epoch has its own.
if AS_REPORTED:
    train_loader = DataLoader(train_set, BATCH, sampler=np.random.RandomState(42).permutation(len(train_set)).tolist())
else:
    train_loader = DataLoader(train_set, BATCH, shuffle=True)
test_loader = DataLoader(test_set, 1000)

# The report's learning rate acts on sums over the mini-batch, the corrected one on means.
optimizer = tg.optim.SGD(model.parameters(), lr=0.001 if AS_REPORTED else 0.05)


@tg.replay  # recorded on the first call, then one call into C, without Python in between
def step(x, y):
    optimizer.zero_grad()
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    if AS_REPORTED:  # the squared error's gradient through the diagonal of softmax's Jacobian only: no loss has it
        p = F.softmax(logits.detach(), 1)
        logits.backward(2 * (p - F.one_hot(y, 10)) / 10 * p * (1 - p))
    else:
        loss.backward()
    optimizer.step()
    return loss


@tg.replay
@tg.no_grad()
def test(x, y):
    logits = model(x)
    return (logits.argmax(1) == y).sum(), F.cross_entropy(logits, y, reduction="sum")


start = time.perf_counter()
for epoch in range(1, EPOCHS + 1):
    model.train()
    for x, y in train_loader:
        step(x, y)

    model.eval()
    correct = loss = 0.0
    for x, y in test_loader:
        hits, total = test(x, y)
        correct, loss = correct + hits.item(), loss + total.item()
    n = len(test_set)
    print(
        f"epoch {epoch:2}  accuracy {100 * correct / n:.2f} %  loss {loss / n:.3f}  {time.perf_counter() - start:.1f} s"
    )
