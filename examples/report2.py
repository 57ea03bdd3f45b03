"""Report 2 from top to bottom: an MLP on CIFAR-10, and what an argument in the wrong place does.

    python examples/report2.py                     the baseline: ten epochs each at learning rates 0.1, 0.01 and 0.001
    python examples/report2.py --l2                the same with weight decay 1e-4
    python examples/report2.py --l2 --as-reported  as the report's code passed it: SGD took it for a momentum of 1e-4
    ... --epochs 1                                 epochs for each learning rate

Nothing is hidden: this is the loop. `tinygrad-edu run r2-baseline` does the same for every run of the report, with its
figures beside the report's; that is tinygrad_edu/reports/report2.py.
"""

import argparse
import time

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.datasets import CIFAR10
from tinygrad_edu.nn import functional as F
from tinygrad_edu.transforms import ToTensor
from tinygrad_edu.utils.data import DataLoader, random_split

parser = argparse.ArgumentParser()
parser.add_argument("--l2", action="store_true")
parser.add_argument("--as-reported", action="store_true")
parser.add_argument("--epochs", type=int, default=10)
arguments = parser.parse_args()
L2 = 1e-4 if arguments.l2 else 0.0
BATCH = 128

# The data: 50,000 images, of which a random 5,000 are held out for validation, and 10,000 for the test at the end. The
# split has a seed of its own, the report's, so that it stays the same when the seed of the weights is changed.
images = CIFAR10(train=True, transform=ToTensor(), download=True)
test_set = CIFAR10(train=False, transform=ToTensor(), download=True)
train_set, validation_set = random_split(images, [45_000, 5_000], generator=tg.Generator().manual_seed(25))
tg.manual_seed(42)
train_loader = DataLoader(train_set, BATCH, shuffle=True)
validation_loader, test_loader = DataLoader(validation_set, 2 * BATCH), DataLoader(test_set, 2 * BATCH)

# The network. An image is a row of 3 * 32 * 32 numbers to it: it does not know which pixels are neighbours. The weights
# are drawn as PyTorch draws those of its Linear.
model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(3072, 256),
    nn.ReLU(),
    nn.Linear(256, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
)
print(model)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

# SGD(params, lr, momentum, dampening, weight_decay, ...). The report's code gave weight decay as the third argument, so
# it trained with a momentum of 1e-4, which changes next to nothing, and concluded that weight decay does no good.
if arguments.as_reported:
    optimizer = tg.optim.SGD(model.parameters(), 0.1, L2)
else:
    optimizer = tg.optim.SGD(model.parameters(), 0.1, weight_decay=L2)
print(optimizer)


@tg.replay  # recorded on the first call, then one call into C, without Python in between
def train_step(x, y):
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, (logits.argmax(1) == y).sum()


@tg.replay
@tg.no_grad()
def test_step(x, y):
    logits = model(x)
    return F.cross_entropy(logits, y), (logits.argmax(1) == y).sum()


def run(step, loader):
    """The mean loss and the accuracy (percent) of a step over all batches."""
    loss_sum = hits = images = 0
    for x, y in loader:
        loss, correct = step(x, y)
        loss_sum, hits, images = loss_sum + loss.item() * len(y), hits + correct.item(), images + len(y)
    return loss_sum / images, 100 * hits / images


# At a rate of 0.1 the weights jump about a good place, and accuracy goes up and down with them, by points from epoch to
# epoch: which of two settings is better, one such number does not tell. At smaller rates they settle.
start = time.perf_counter()
for rate in (0.1, 0.01, 0.001):
    for group in optimizer.param_groups:
        group["lr"] = rate  # the recorded step reads it anew each time
    for epoch in range(1, arguments.epochs + 1):
        loss, accuracy = run(train_step, train_loader)
        validation_loss, validation_accuracy = run(test_step, validation_loader)
        print(
            f"rate {rate:<5}  epoch {epoch:2}  train loss {loss:.3f}, accuracy {accuracy:.2f} %  "
            f"validation loss {validation_loss:.3f}, accuracy {validation_accuracy:.2f} %  "
            f"{time.perf_counter() - start:.0f} s"
        )

loss, accuracy = run(test_step, test_loader)
print(f"test: loss {loss:.3f}, accuracy {accuracy:.2f} %")
