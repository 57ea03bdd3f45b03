"""Small models and steps that the tests of replay train."""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F

OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1, weight_decay=1e-3),
    "nesterov": lambda p: tg.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: tg.optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: tg.optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=1e-2),
    "adamw": lambda p: tg.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: tg.optim.Adagrad(p, lr=0.05),
}
MODELS = {
    "linear": lambda: nn.Sequential(nn.Linear(20, 4)),
    "relu": lambda: nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 16), nn.ReLU(), nn.Linear(16, 4)),
    "dropout": lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4)),
    "norm": lambda: nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 4)),
}


def batches(n, size=32, seed=0):
    """n batches, each in memory of its own."""
    rng = np.random.default_rng(seed)
    for k in range(n):
        rows = size if np.isscalar(size) else size[k]
        x = rng.standard_normal((rows, 20)).astype(np.float32)
        yield tg.tensor(x), tg.tensor((x[:, 0] > 0) + 2 * (x[:, 1] > 0))


def setup(model="relu", optimizer="momentum", seed=0):
    tg.manual_seed(seed)
    net = MODELS[model]()
    return net, OPTIMIZERS[optimizer](net.parameters())


def training_step(net, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def train(replayed, model="relu", optimizer="momentum", steps=30, size=32, between=lambda k, net, optimizer: None):
    """The losses, and at the end the parameters, gradients and random state, as bytes."""
    net, opt = setup(model, optimizer)
    step = training_step(net, opt)
    if replayed:
        step = tg.replay(step)
    losses = []
    for k, (x, y) in enumerate(batches(steps, size)):
        losses.append(step(x, y).item())
        between(k, net, opt)
    tensors = [*net.parameters(), *[p.grad for p in net.parameters() if p.grad is not None]]
    state = [np.asarray(v.detach().numpy()).tobytes() for s in opt.state.values() for v in s.values() if v is not None]
    return losses, [t.detach().numpy().tobytes() for t in tensors], state, tg.rand(3).tolist(), step


def same_as_eager(**kwargs):
    eager, replayed = train(False, **kwargs), train(True, **kwargs)
    assert eager[0] == replayed[0], "losses"
    assert eager[1] == replayed[1], "parameters and gradients"
    assert eager[2] == replayed[2], "the optimiser's state"
    assert eager[3] == replayed[3], "the random stream"
    assert len(set(eager[0])) > 20, "nothing was trained"
    return replayed[4]
