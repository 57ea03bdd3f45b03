"""Report 3 from top to bottom: a CNN on Fashion-MNIST, with validation, early stopping and the best model kept.

    python examples/report3.py            the CNN: five epochs on a one-cycle schedule
    python examples/report3.py --ann      the report's MLP with batch norm and dropout: ten epochs, some seconds
    ... --augment                         training images flipped, turned, shifted and scaled at random

Nothing is hidden: this is the loop. `tinygrad-edu run r3-cnn` does the same for every run of the report, with
checkpoints and figures; that is tinygrad_edu/reports/report3.py.
"""

import sys
import time

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.datasets import FashionMNIST
from tinygrad_edu.nn import functional as F
from tinygrad_edu.transforms import Compose, RandomAffine, RandomHorizontalFlip, ToTensor
from tinygrad_edu.utils.data import DataLoader, Subset

CNN = "--ann" not in sys.argv
BATCH, EPOCHS, PATIENCE = (64, 5, 5) if CNN else (128, 10, 3)
tg.manual_seed(42)

# The data: 60,000 images, of which a random 10,000 are held out for validation, and 10,000 for the test at the end.
# ToTensor makes floats in 0..1 of the bytes, shape (batch, 1, 28, 28); with what comes before it, in one kernel.
flip = RandomHorizontalFlip()
move = RandomAffine(10, translate=(2 / 28, 2 / 28), scale=(0.9, 1.1), interpolation="bilinear")
augmented = FashionMNIST(transform=Compose([flip, move, ToTensor()]), download=True)
plain = FashionMNIST(transform=ToTensor())
test_set = FashionMNIST(train=False, transform=ToTensor(), download=True)
order = tg.randperm(len(plain)).tolist()
train_set = Subset(augmented if "--augment" in sys.argv else plain, order[10_000:])
validation_set = Subset(plain, order[:10_000])
train_loader = DataLoader(train_set, BATCH, shuffle=True)
validation_loader, test_loader = DataLoader(validation_set, 100), DataLoader(test_set, 100)


# The networks. A function gives the layers of one block.
if CNN:

    def convolution(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding="same"), nn.ReLU(), nn.BatchNorm2d(outputs), nn.Dropout(0.25)]

    def hidden(inputs, outputs):
        return [nn.Linear(inputs, outputs), nn.ReLU(), nn.BatchNorm1d(outputs), nn.Dropout(0.25)]

    model = nn.Sequential(
        *convolution(1, 128),  # 128 maps of 28 x 28
        *convolution(128, 128),
        nn.MaxPool2d(2),  # 14 x 14
        *convolution(128, 256),
        *convolution(256, 256),
        nn.MaxPool2d(2),  # 7 x 7
        nn.AvgPool2d(7),  # one number a map
        nn.Flatten(),
        *hidden(256, 128),
        *hidden(128, 64),
        nn.Linear(64, 10),
        nn.LogSoftmax(1),
    )
else:

    def hidden(inputs, outputs):
        return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(0.25)]

    model = nn.Sequential(
        nn.Flatten(),
        *hidden(784, 392),
        *hidden(392, 196),
        *hidden(196, 98),
        nn.Linear(98, 10),
        nn.LogSoftmax(1),
    )
print(model)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

# Adam. For the CNN its learning rate rises for a third of the steps and then falls to nearly nothing: so five epochs do
# what thirty did at a constant rate.
optimizer = tg.optim.Adam(model.parameters(), lr=0.003 if CNN else 0.001)
scheduler = None
if CNN:
    scheduler = tg.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, epochs=EPOCHS, steps_per_epoch=len(train_loader))


@tg.replay  # recorded on the first call, then one call into C, without Python in between
def train_step(x, y):
    scores = model(x)
    loss = F.nll_loss(scores, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, (scores.argmax(1) == y).sum()


@tg.replay
@tg.no_grad()
def test_step(x, y):
    scores = model(x)
    return F.nll_loss(scores, y), (scores.argmax(1) == y).sum()


# Batch norm keeps running means and variances for evaluation. Those gathered in training are wrong then, for dropout
# makes everything after it vary more (Li et al., CVPR 2019): this CNN would get a third of the images right instead of
# nine in ten. So they are gathered anew, with dropout off.
norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
statistics_loader = DataLoader(Subset(plain, order[10_000:12_000]), 100)


@tg.replay
@tg.no_grad()
def statistics_step(x):
    model(x)


def gather_statistics():
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, not one that forgets
        norm.train()
    for x, _ in statistics_loader:
        statistics_step(x)
    for norm in norms:
        norm.momentum = 0.1


def run(step, loader, after=lambda: None):
    """The mean loss and the accuracy (percent) of a step over all batches."""
    loss_sum = hits = images = 0
    for x, y in loader:
        loss, correct = step(x, y)
        loss_sum, hits, images = loss_sum + loss.item() * len(y), hits + correct.item(), images + len(y)
        after()
    return loss_sum / images, 100 * hits / images


best_accuracy, best_epoch, best_weights = 0.0, 0, {}
start = time.perf_counter()
for epoch in range(1, EPOCHS + 1):
    model.train()  # batch norm by the batch's own mean and variance, and dropout on
    loss, accuracy = run(train_step, train_loader, scheduler.step if scheduler else lambda: None)
    gather_statistics()
    model.eval()  # batch norm by the running ones, dropout off
    validation_loss, validation_accuracy = run(test_step, validation_loader)
    print(
        f"epoch {epoch:2}  train loss {loss:.3f}, accuracy {accuracy:.2f} %  "
        f"validation loss {validation_loss:.3f}, accuracy {validation_accuracy:.2f} %  "
        f"{time.perf_counter() - start:.0f} s"
    )
    if validation_accuracy > best_accuracy:
        best_accuracy, best_epoch = validation_accuracy, epoch
        best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    elif epoch - best_epoch >= PATIENCE:
        print(f"no better for {PATIENCE} epochs: stopped early")
        break

model.load_state_dict(best_weights)
loss, accuracy = run(test_step, test_loader)
print(f"test, with the model of epoch {best_epoch}: loss {loss:.3f}, accuracy {accuracy:.2f} %")
