"""Modules: registration, walking, state, hooks, initialisation; against PyTorch where it is there."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def build(self, library, make):
    """A little of everything: children, a list, a shared parameter, buffers."""
    library.Module.__init__(self)
    self.encoder = library.Sequential(library.Linear(4, 3), library.ReLU(), library.Linear(3, 3, bias=False))
    self.heads = library.ModuleList([library.Linear(3, 2), library.Linear(3, 2)])
    self.named = library.ModuleDict({"norm": library.LayerNorm(3), "table": library.Embedding(5, 3)})
    self.heads[1].weight = self.heads[0].weight
    self.scale = library.Parameter(make(3))
    self.register_buffer("mean", make(3))
    self.register_buffer("scratch", make(3), persistent=False)
    self.register_buffer("nothing", None)


class Net(nn.Module):
    def __init__(self):
        build(self, nn, tg.zeros)

    def forward(self, x):
        h = self.named["norm"](self.encoder(x)) + self.scale
        return sum(head(h) for head in self.heads)


def torch_net():
    """The same network, of PyTorch's parts."""
    torch = pytest.importorskip("torch")
    made = type(
        "Net", (torch.nn.Module,), {"__init__": lambda self: build(self, torch.nn, torch.zeros), "forward": Net.forward}
    )
    return made()


def array(t):
    return t.detach().numpy()


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


# Against PyTorch


def test_names_and_order_are_pytorchs():
    ours, theirs = Net(), torch_net()
    for method in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, method)()] == [n for n, _ in getattr(theirs, method)()], method
    for kwargs in ({"recurse": False}, {"prefix": "p"}, {"remove_duplicate": False}):
        assert [n for n, _ in ours.named_parameters(**kwargs)] == [n for n, _ in theirs.named_parameters(**kwargs)]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.state_dict(prefix="x.")) == list(theirs.state_dict(prefix="x."))
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }


def test_state_dict_goes_both_ways():
    torch = pytest.importorskip("torch")
    ours, theirs = Net().double(), torch_net().double()
    x = uniform(6, 4)
    for p in theirs.parameters():
        torch.nn.init.uniform_(p)
    assert repr(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    np.testing.assert_allclose(array(ours(tg.tensor(x))), array(theirs(torch.tensor(x))), atol=1e-12)
    for p in ours.parameters():
        nn.init.normal_(p)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    np.testing.assert_allclose(array(ours(tg.tensor(x))), array(theirs(torch.tensor(x))), atol=1e-12)


def test_loading_errors_are_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = Net(), torch_net()
    saved = theirs.state_dict()
    del saved["scale"], saved["encoder.0.bias"]
    saved["mean"] = torch.zeros(7)
    saved["surplus.key"] = torch.zeros(1)
    saved["heads.9.weight"] = torch.zeros(1)
    saved["encoder.0.other"] = torch.zeros(1)

    def lines(net):
        with pytest.raises(RuntimeError) as error:
            net.load_state_dict(saved)
        return str(error.value).replace("torch.Size", "tinygrad_edu.Size").split("\n")

    assert lines(ours) == lines(theirs)
    del saved["mean"]
    a, b = ours.load_state_dict(saved, strict=False), theirs.load_state_dict(saved, strict=False)
    assert a.missing_keys == b.missing_keys and a.unexpected_keys == b.unexpected_keys


LAYERS = {
    "Linear": (lambda m: m.Linear(5, 3), (4, 5)),
    "Linear-nobias": (lambda m: m.Linear(5, 3, bias=False), (2, 4, 5)),
    "Identity": (lambda m: m.Identity(3, x=4), (4, 5)),
    "Flatten": (lambda m: m.Flatten(), (2, 3, 4)),
    "Flatten-all": (lambda m: m.Flatten(0), (2, 3, 4)),
    "Unflatten": (lambda m: m.Unflatten(1, (2, -1)), (3, 8)),
    "ReLU": (lambda m: m.ReLU(), (4, 5)),
    "LeakyReLU": (lambda m: m.LeakyReLU(0.2), (4, 5)),
    "ELU": (lambda m: m.ELU(0.7), (4, 5)),
    "GELU": (lambda m: m.GELU(), (4, 5)),
    "GELU-tanh": (lambda m: m.GELU(approximate="tanh"), (4, 5)),
    "SiLU": (lambda m: m.SiLU(), (4, 5)),
    "Softplus": (lambda m: m.Softplus(beta=2.0, threshold=1.0), (4, 5)),
    "PReLU": (lambda m: m.PReLU(), (4, 5)),
    "PReLU-channels": (lambda m: m.PReLU(3, init=0.4), (2, 3, 4)),
    "SELU": (lambda m: m.SELU(), (4, 5)),
    "CELU": (lambda m: m.CELU(0.7, inplace=False), (4, 5)),
    "Mish": (lambda m: m.Mish(), (4, 5)),
    "Hardsigmoid": (lambda m: m.Hardsigmoid(), (4, 5)),
    "Hardswish": (lambda m: m.Hardswish(), (4, 5)),
    "RReLU": (lambda m: m.RReLU(0.1, 0.3).eval(), (4, 5)),
    "Threshold": (lambda m: m.Threshold(0.1, 3.0), (4, 5)),
    "Hardtanh": (lambda m: m.Hardtanh(-0.5, 0.25), (4, 5)),
    "ReLU6": (lambda m: m.ReLU6(), (4, 5)),
    "Hardshrink": (lambda m: m.Hardshrink(0.3), (4, 5)),
    "Softshrink": (lambda m: m.Softshrink(0.3), (4, 5)),
    "Tanhshrink": (lambda m: m.Tanhshrink(), (4, 5)),
    "Softsign": (lambda m: m.Softsign(), (4, 5)),
    "LogSigmoid": (lambda m: m.LogSigmoid(), (4, 5)),
    "GLU": (lambda m: m.GLU(dim=0), (4, 5)),
    "Softmin": (lambda m: m.Softmin(dim=1), (4, 5)),
    "Softmax2d": (lambda m: m.Softmax2d(), (3, 4, 5)),
    "RMSNorm": (lambda m: m.RMSNorm((3, 5)), (4, 3, 5)),
    "LocalResponseNorm": (lambda m: m.LocalResponseNorm(3, alpha=0.5), (2, 5, 4)),
    "LPPool1d": (lambda m: m.LPPool1d(2, 3, stride=2), (2, 3, 8)),
    "LPPool2d": (lambda m: m.LPPool2d(2.0, (3, 2)), (2, 3, 8, 5)),
    "ChannelShuffle": (lambda m: m.ChannelShuffle(2), (2, 6, 3)),
    "Dropout3d": (lambda m: m.Dropout3d(0.4).eval(), (2, 3, 2, 2, 2)),
    "AlphaDropout": (lambda m: m.AlphaDropout(0.4).eval(), (4, 5)),
    "FeatureAlphaDropout": (lambda m: m.FeatureAlphaDropout(0.4).eval(), (4, 5)),
    "Sigmoid": (lambda m: m.Sigmoid(), (4, 5)),
    "Tanh": (lambda m: m.Tanh(), (4, 5)),
    "Softmax": (lambda m: m.Softmax(dim=1), (4, 5)),
    "LogSoftmax": (lambda m: m.LogSoftmax(dim=-1), (4, 5)),
    "LayerNorm": (lambda m: m.LayerNorm(5, eps=1e-3), (4, 5)),
    "LayerNorm-two": (lambda m: m.LayerNorm((3, 5), bias=False), (4, 3, 5)),
    "LayerNorm-plain": (lambda m: m.LayerNorm([5], elementwise_affine=False), (4, 5)),
    "Dropout-0": (lambda m: m.Dropout(0.0), (4, 5)),
    "Dropout-1": (lambda m: m.Dropout(1.0), (4, 5)),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_layers_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    make, shape = LAYERS[name]
    ours, theirs = make(nn).double(), make(torch.nn).double()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = uniform(*shape)
    a, b = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    np.testing.assert_allclose(array(y), array(z), atol=1e-12)
    g = uniform(*z.shape, seed=1)
    y.backward(tg.tensor(g))
    z.backward(torch.tensor(g))
    pairs = [(a, b), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    for p, q in pairs:
        np.testing.assert_allclose(array(p.grad), array(q.grad), atol=1e-12)


def test_bilinear_and_embedding_equal_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = nn.Bilinear(3, 4, 2).double(), torch.nn.Bilinear(3, 4, 2).double()
    ours.load_state_dict(theirs.state_dict())
    x1, x2 = uniform(2, 5, 3), uniform(2, 5, 4, seed=1)
    y, z = ours(tg.tensor(x1), tg.tensor(x2)), theirs(torch.tensor(x1), torch.tensor(x2))
    np.testing.assert_allclose(array(y), array(z), atol=1e-12)
    table, other = nn.Embedding(7, 3, padding_idx=-1).double(), torch.nn.Embedding(7, 3, padding_idx=-1).double()
    assert repr(table) == repr(other) and not array(table.weight)[6].any() and array(table.weight)[:6].all()
    table.load_state_dict(other.state_dict())
    index = np.array([[0, 6, 2], [2, 2, 6]])
    y, z = table(tg.tensor(index)), other(torch.tensor(index))
    np.testing.assert_allclose(array(y), array(z))
    g = uniform(2, 3, 3)
    y.backward(tg.tensor(g))
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(array(table.weight.grad), array(other.weight.grad), atol=1e-12)


CLASSES = np.array([0, 2, 1, 2])
LOSSES = {
    "CrossEntropyLoss": (lambda m, t: m.CrossEntropyLoss(), CLASSES),
    "CrossEntropyLoss-all": (
        lambda m, t: m.CrossEntropyLoss(weight=t([0.5, 2.0, 1.5]), ignore_index=2, label_smoothing=0.1),
        CLASSES,
    ),
    "CrossEntropyLoss-probabilities": (lambda m, t: m.CrossEntropyLoss(reduction="sum"), abs(uniform(4, 3, seed=3))),
    "NLLLoss": (lambda m, t: m.NLLLoss(weight=t([0.5, 2.0, 1.5]), reduction="none"), CLASSES),
    "MSELoss": (lambda m, t: m.MSELoss(), uniform(4, 3, seed=3)),
    "L1Loss": (lambda m, t: m.L1Loss(reduction="sum"), uniform(4, 3, seed=3)),
    "SmoothL1Loss": (lambda m, t: m.SmoothL1Loss(beta=0.5), uniform(4, 3, seed=3)),
    "HuberLoss": (lambda m, t: m.HuberLoss(delta=0.5), uniform(4, 3, seed=3)),
    "BCELoss": (lambda m, t: m.BCELoss(), abs(uniform(4, 3, seed=3))),
    "BCEWithLogitsLoss": (
        lambda m, t: m.BCEWithLogitsLoss(pos_weight=t([0.5, 2.0, 1.5])),
        abs(uniform(4, 3, seed=3)),
    ),
    "KLDivLoss": (lambda m, t: m.KLDivLoss(reduction="batchmean"), abs(uniform(4, 3, seed=3))),
    "KLDivLoss-log": (lambda m, t: m.KLDivLoss(reduction="sum", log_target=True), uniform(4, 3, seed=3)),
}


SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
MARGINS = {  # make, the input's shape, what else forward takes
    "CosineSimilarity": (lambda m, t: m.CosineSimilarity(1), (4, 3), [uniform(4, 3, seed=3)]),
    "PairwiseDistance": (lambda m, t: m.PairwiseDistance(3, keepdim=True), (4, 3), [uniform(4, 3, seed=3)]),
    "CosineEmbeddingLoss": (lambda m, t: m.CosineEmbeddingLoss(-0.5), (4, 3), [uniform(4, 3, seed=3), SIGNS]),
    "MarginRankingLoss": (lambda m, t: m.MarginRankingLoss(0.3), (4,), [uniform(4, seed=3), SIGNS]),
    "HingeEmbeddingLoss": (lambda m, t: m.HingeEmbeddingLoss(0.5), (4,), [SIGNS]),
    "SoftMarginLoss": (lambda m, t: m.SoftMarginLoss(reduction="sum"), (4,), [SIGNS]),
    "MultiMarginLoss": (lambda m, t: m.MultiMarginLoss(2, 0.7, t([0.5, 2.0, 1.5])), (4, 3), [CLASSES]),
    "MultiMarginLoss-one": (lambda m, t: m.MultiMarginLoss(reduction="none"), (3,), [np.array(1)]),
    "MultiLabelMarginLoss": (lambda m, t: m.MultiLabelMarginLoss(), (2, 4), [np.array([[3, 0, -1, 1], [-1, 2, 0, 1]])]),
    "MultiLabelSoftMarginLoss": (
        lambda m, t: m.MultiLabelSoftMarginLoss(t([0.5, 2.0, 1.5])),
        (4, 3),
        [abs(uniform(4, 3, seed=3)).round()],
    ),
    "TripletMarginLoss": (
        lambda m, t: m.TripletMarginLoss(2.0, swap=True),
        (4, 3),
        [uniform(4, 3, seed=3), uniform(4, 3, seed=4)],
    ),
    "TripletMarginWithDistanceLoss": (
        lambda m, t: m.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1), margin=3.0),
        (4, 3),
        [uniform(4, 3, seed=3), uniform(4, 3, seed=4)],
    ),
    "GaussianNLLLoss": (
        lambda m, t: m.GaussianNLLLoss(full=True, eps=0.1),
        (4, 3),
        [uniform(4, 3, seed=3), abs(uniform(4, 1, seed=4))],
    ),
    "PoissonNLLLoss": (lambda m, t: m.PoissonNLLLoss(full=True), (4, 3), [abs(uniform(4, 3, seed=3)) * 4]),
    "PoissonNLLLoss-plain": (
        lambda m, t: m.PoissonNLLLoss(log_input=False, eps=2.0, reduction="none"),
        (4, 3),
        [abs(uniform(4, 3, seed=3))],
    ),
}


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", list(MARGINS))
def test_losses_on_margins_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    make, shape, others = MARGINS[name]
    ours = make(nn, lambda x: tg.tensor(x, dtype=tg.float64))
    theirs = make(torch.nn, lambda x: torch.tensor(x, dtype=torch.float64))
    assert list(ours.state_dict()) == list(theirs.state_dict()) and repr(ours) == repr(theirs)
    arrays = [uniform(*shape), *others]
    several = name.startswith(("Cosine", "Pairwise", "MarginRanking", "Triplet", "Gaussian"))  # inputs, not a target
    a = [tg.tensor(x, requires_grad=k == 0 or several) for k, x in enumerate(arrays)]
    b = [torch.tensor(x, requires_grad=k == 0 or several) for k, x in enumerate(arrays)]
    y, z = ours(*a), theirs(*b)
    assert tuple(y.shape) == tuple(z.shape)
    np.testing.assert_allclose(array(y), array(z), atol=1e-12)
    y.sum().backward()
    z.sum().backward()
    for p, q in zip(a, b, strict=True):
        if q.grad is not None:
            np.testing.assert_allclose(array(p.grad), array(q.grad), atol=1e-12)


@pytest.mark.parametrize("old", [{"size_average": False}, {"size_average": True}, {"reduce": False}])
def test_old_names_of_reductions(old):
    torch = pytest.importorskip("torch")
    x, y = uniform(4, 3), uniform(4, 3, seed=1)
    for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "BCEWithLogitsLoss", "SoftMarginLoss"):
        with pytest.warns(UserWarning, match="size_average and reduce"):
            ours, theirs = getattr(nn, name)(**old), getattr(torch.nn, name)(**old)
        np.testing.assert_allclose(
            array(ours(tg.tensor(x), tg.tensor(y))), array(theirs(torch.tensor(x), torch.tensor(y))), atol=1e-12
        )
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.functional.cross_entropy(tg.zeros(2, 3), tg.zeros(2, dtype=tg.int64), None, False).item() > 2


def test_what_is_left_out_says_so():
    for name, why in (("Conv3d", "volumes"), ("LSTM", "recurrent"), ("LazyLinear", "lazy"), ("Nonsense", "attribute")):
        with pytest.raises(AttributeError, match=why):
            getattr(nn, name)
    with pytest.raises(AttributeError, match="volumes"):
        _ = nn.functional.max_pool3d


@pytest.mark.parametrize("name", list(LOSSES))
def test_losses_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    make, target = LOSSES[name]
    ours = make(nn, lambda x: tg.tensor(x, dtype=tg.float64))
    theirs = make(torch.nn, lambda x: torch.tensor(x, dtype=torch.float64))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = abs(uniform(4, 3)) if name == "BCELoss" else uniform(4, 3)
    a, b = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a, tg.tensor(target)), theirs(b, torch.tensor(target))
    np.testing.assert_allclose(array(y), array(z), atol=1e-12)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(array(a.grad), array(b.grad), atol=1e-12)


def test_reprs_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(m):
        return m.Sequential(
            m.Flatten(),
            m.Linear(4, 3, bias=False),
            m.ReLU(inplace=True),
            m.ModuleDict({"a": m.ModuleList([m.Tanh()]), "b": m.Sequential()}),
            m.CrossEntropyLoss(),
            m.Dropout(0.3),
        )

    assert repr(build(nn)) == repr(build(torch.nn))


@pytest.mark.parametrize("norm_type", [1, 2, 3.5, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm_equals_pytorch(norm_type, max_norm):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.Linear(4, 3).double(), torch.nn.Linear(4, 3).double()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        g = uniform(*q.shape)
        p.grad, q.grad = tg.tensor(g), torch.tensor(g)
    a = nn.utils.clip_grad_norm_(ours.parameters(), max_norm, norm_type)
    b = torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm, norm_type)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(array(p.grad), array(q.grad), rtol=1e-12)


def test_gains_and_fans_equal_pytorch():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
    fans = nn.init._calculate_fan_in_and_fan_out(tg.zeros(4, 3, 5, 2))
    assert fans == torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(4, 3, 5, 2)) == (30, 40)


# Registration


def test_assignment_before_init_is_an_error():
    class Bad(nn.Module):
        def __init__(self, value):
            self.x = value

    for value, kind in ((nn.Parameter(tg.zeros(1)), "parameters"), (nn.ReLU(), "modules")):
        with pytest.raises(AttributeError, match=f"cannot assign {kind} before Module.__init__"):
            Bad(value)


def test_what_may_be_assigned_to_a_registered_name():
    m = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object as parameter 'weight'"):
        m.weight = tg.zeros(2, 2)
    m.bias = None
    assert [n for n, _ in m.named_parameters()] == ["weight"] and m.bias is None
    m.child = nn.ReLU()
    with pytest.raises(TypeError, match="as child module 'child'"):
        m.child = 3
    m.child = None
    assert list(m.children()) == []
    m.register_buffer("b", tg.zeros(1))
    with pytest.raises(TypeError, match="as buffer 'b'"):
        m.b = 3
    m.b = tg.ones(1)
    assert m._buffers["b"].item() == 1
    m.plain = 3
    m.plain = nn.Parameter(tg.zeros(1))  # takes the name over
    assert "plain" in m._parameters and "plain" not in vars(m)
    m.child = nn.Parameter(tg.zeros(1))
    assert "child" in m._parameters and "child" not in m._modules
    m.b = nn.ReLU()
    assert "b" in m._modules and "b" not in m._buffers
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'missing'"):
        _ = m.missing
    del m.plain
    assert not hasattr(m, "plain")
    m.buffer = nn.Buffer(tg.ones(2), persistent=False)
    assert "buffer" in m._buffers and "buffer" not in m.state_dict()
    assert {"weight", "buffer", "forward"} <= set(dir(m))


@pytest.mark.parametrize(
    "register, error, message",
    [
        (lambda m: m.register_parameter("a.b", None), KeyError, 'contain "."'),
        (lambda m: m.register_parameter("", None), KeyError, "be empty"),
        (lambda m: m.register_parameter(3, None), TypeError, "should be a string"),
        (lambda m: m.register_parameter("forward", None), KeyError, "already exists"),
        (lambda m: m.register_parameter("a", tg.zeros(1)), TypeError, "'Tensor' object to parameter 'a'"),
        (lambda m: m.register_buffer("weight", None), KeyError, "already exists"),
        (lambda m: m.register_buffer("a", 3), TypeError, "'int' object to buffer 'a'"),
        (lambda m: m.add_module("a", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("weight", nn.ReLU()), KeyError, "already exists"),
        (lambda m: m.get_submodule("x.y"), AttributeError, "has no attribute `x`"),
        (lambda m: m.get_submodule("weight"), AttributeError, "is not an nn.Module"),
        (lambda m: m.get_parameter("in_features"), AttributeError, "is not an nn.Parameter"),
        (lambda m: m.train("yes"), ValueError, "expected to be boolean"),
        (lambda m: m.to(tg.int64), TypeError, "only accepts floating point"),
        (lambda m: m.to("cuda"), RuntimeError, "cuda"),
        (lambda m: m.load_state_dict([1]), TypeError, "dict-like"),
        (lambda m: nn.Module()(1), NotImplementedError, "forward"),
        (lambda m: nn.Parameter([1.0]), TypeError, "must be a Tensor"),
        (lambda m: nn.Parameter(tg.zeros(2, dtype=tg.int64)), RuntimeError, "floating-point"),
        (lambda m: nn.Dropout(1.5), ValueError, "between 0 and 1"),
        (lambda m: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx 3"),
        (lambda m: nn.MSELoss(reduction="average"), ValueError, "average"),
        (lambda m: nn.Unflatten(1, 4), TypeError, "unflattened_size"),
        (lambda m: nn.init.xavier_normal_(tg.zeros(3)), ValueError, "fewer than 2 dimensions"),
        (lambda m: nn.init.kaiming_normal_(tg.zeros(3, 3), mode="in"), ValueError, "Mode in not supported"),
        (lambda m: nn.init.calculate_gain("relu7"), ValueError, "Unsupported nonlinearity relu7"),
        (lambda m: nn.init.eye_(tg.zeros(3)), ValueError, "2 dimensions"),
    ],
)
def test_bad_arguments(register, error, message):
    with pytest.raises(error, match=message):
        register(nn.Linear(2, 2))


def test_getting_by_path():
    net = Net()
    assert net.get_submodule("encoder.0") is net.encoder[0] and net.get_submodule("") is net
    assert net.get_parameter("encoder.0.weight") is net.encoder[0].weight
    assert net.get_buffer("mean") is net.mean


# Errors name the place


def test_errors_name_the_module():
    net = Net()
    with pytest.raises(RuntimeError) as error:
        net(tg.zeros(2, 7))
    assert error.value.__notes__ == ["in Net.encoder.0: Linear(in_features=4, out_features=3, bias=True)"]
    net.heads[1] = nn.Linear(5, 5)
    with pytest.raises(RuntimeError) as error:
        nn.Sequential(net)(tg.zeros(2, 4))
    assert error.value.__notes__ == ["in Sequential.0.heads.1: Linear(in_features=5, out_features=5, bias=True)"]

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.unregistered = [nn.Linear(2, 2)]

        def forward(self, x):
            return self.unregistered[0](x)

    with pytest.raises(RuntimeError) as error:
        Hidden()(tg.zeros(2, 7))
    assert error.value.__notes__[0].startswith("in Hidden.Linear: Linear(in_features=2")


# Changing all at once


def test_train_eval_apply_and_gradients():
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    seen = []
    net.encoder.apply(seen.append)
    assert seen == [*net.encoder, net.encoder]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(tg.ones(2, 4)).sum().backward()
    p = net.encoder[0].bias
    net.zero_grad(set_to_none=False)
    assert p.grad is not None and not array(p.grad).any()
    net.zero_grad()
    assert p.grad is None


def test_to_keeps_parameters_and_converts_gradients():
    m = nn.Linear(3, 2)
    m.register_buffer("count", tg.zeros(1, dtype=tg.int64))
    m.register_buffer("mean", tg.zeros(1))
    weight = m.weight
    before = array(weight).copy()
    m(tg.ones(1, 3)).sum().backward()
    assert m.double() is m and m.weight is weight and weight.dtype is tg.float64 and weight.grad.dtype is tg.float64
    assert m.mean.dtype is tg.float64 and m.count.dtype is tg.int64
    assert np.array_equal(array(weight), before)
    m(tg.ones(1, 3, dtype=tg.float64)).sum().backward()
    assert array(weight.grad).tolist() == [[2.0] * 3] * 2
    assert m.to("cpu", tg.float32).weight.dtype is tg.float32
    assert m.to(tg.zeros(1, dtype=tg.float64)).weight.dtype is tg.float64
    assert m.float().weight.dtype is tg.float32


def test_structure_changes_are_noted_for_recorded_steps():
    from tinygrad_edu.modes import modes

    net = Net()
    changes = [
        lambda: setattr(net, "scale", nn.Parameter(tg.zeros(3))),
        lambda: setattr(net, "mean", tg.ones(3)),
        lambda: setattr(net, "encoder", nn.Sequential(nn.Linear(4, 3))),
        lambda: net.eval(),
        lambda: net.train(),
        lambda: setattr(net, "training", False),
        lambda: delattr(net, "scale"),
        lambda: net.heads.append(nn.ReLU()),
        lambda: net.double(),
        lambda: net.named.pop("table"),
    ]
    for change in changes:
        before = modes.structure[0]
        change()
        assert modes.structure[0] > before
    net.eval()
    before = modes.structure[0]
    net.eval()
    assert modes.structure[0] == before, "nothing has changed"


# Saving, copying


def test_state_dict_shares_memory_and_assign_takes_the_tensors():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    saved = a.state_dict()
    assert saved["weight"].data_ptr() == a.weight.data_ptr() and not saved["weight"].requires_grad
    assert a.state_dict(keep_vars=True)["weight"] is a.weight
    weight = b.weight
    b.load_state_dict(saved)
    assert b.weight is weight and np.array_equal(array(weight), array(a.weight))
    assert b.weight.data_ptr() != a.weight.data_ptr()
    b.load_state_dict(saved, assign=True)
    assert b.weight is not weight and b.weight.data_ptr() == a.weight.data_ptr()
    assert isinstance(b.weight, nn.Parameter) and b.weight.requires_grad


def test_numpy_arrays_can_be_loaded_and_anything_else_cannot():
    m = nn.Linear(2, 1, bias=False)
    m.load_state_dict({"weight": np.array([[1.0, 2.0]])})
    assert m.weight.dtype is tg.float32 and m.weight.tolist() == [[1.0, 2.0]]
    with pytest.raises(RuntimeError, match="weight: expected a Tensor or an array, got str"):
        m.load_state_dict({"weight": "a"})


def test_pickle_and_deepcopy():
    net = Net()
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert repr(twin) == repr(net)
        for (name, p), (other, q) in zip(net.named_parameters(), twin.named_parameters(), strict=True):
            assert name == other and type(q) is nn.Parameter and q.requires_grad
            assert np.array_equal(array(p), array(q)) and p.data_ptr() != q.data_ptr()
        assert twin.heads[0].weight is twin.heads[1].weight
        assert "scratch" not in twin.state_dict()
        twin(tg.ones(2, 4)).sum().backward()
        assert net.scale.grad is None and twin.scale.grad is not None


def test_state_dict_hooks():
    m = nn.Sequential(nn.Linear(2, 2))
    log = []
    m.register_state_dict_pre_hook(lambda module, prefix, keep: log.append(("pre", prefix, keep)))
    m[0].register_state_dict_post_hook(lambda module, state, prefix, meta: state.pop(prefix + "bias"))
    assert list(m.state_dict()) == ["0.weight"] and log == [("pre", "", False)]

    def rename(module, state, prefix, meta, strict, missing, unexpected, errors):
        state[prefix + "weight"] = state.pop(prefix + "w")

    m[0].register_load_state_dict_pre_hook(rename)
    handle = m.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    m.load_state_dict({"0.w": tg.ones(2, 2)})
    assert array(m[0].weight).all()
    handle.remove()
    with pytest.raises(RuntimeError, match=r'Missing key.* "0\.bias"'):
        m.load_state_dict({"0.w": tg.ones(2, 2)})


# Hooks


def test_forward_hooks():
    m = nn.Linear(2, 2)
    log = []
    first = m.register_forward_pre_hook(lambda module, args: log.append("pre"))
    m.register_forward_pre_hook(lambda module, args: (args[0] * 0,), prepend=True)
    m.register_forward_hook(lambda module, args, output: output + 1)
    m.register_forward_hook(lambda module, args, kwargs, output: log.append((args, kwargs)), with_kwargs=True)
    y = m(tg.ones(1, 2))
    np.testing.assert_allclose(array(y)[0], array(m.bias) + 1)
    assert log[0] == "pre" and not array(log[1][0][0]).any() and log[1][1] == {}
    first.remove()
    m(tg.ones(1, 2))
    assert log.count("pre") == 1
    m.register_forward_pre_hook(lambda module, args, kwargs: (args, {"input": args[0]}), with_kwargs=True)
    with pytest.raises(TypeError, match="multiple values"):
        m(tg.ones(1, 2))


class Two(nn.Module):
    def forward(self, x, y, factor=2.0):
        return x * y, x * factor


def backward_hook_log(library, make):
    """What the hooks of a module with two inputs and two outputs see, and the gradients that come out."""
    module = type("Two", (library.Module,), {"forward": Two.forward})()
    log = []

    def hook(m, grad_input, grad_output):
        log.append([array(g).tolist() for g in (*grad_input, *grad_output)])
        return grad_input[0] * 10, grad_input[1]

    module.register_full_backward_hook(hook)
    module.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 3, grad_output[1]))
    x, y = make([1.0, 2.0]).requires_grad_(), make([[3.0, 4.0]] * 2).requires_grad_()
    a, b = module(x * 1, y)
    (a.sum() + (b * b).sum()).backward()
    return log, x.grad.tolist(), y.grad.tolist()


def test_backward_hooks_see_and_change_what_pytorchs_do():
    torch = pytest.importorskip("torch")
    assert backward_hook_log(nn, tg.tensor) == backward_hook_log(torch.nn, torch.tensor)


def test_backward_hook_of_one_tensor():
    m = nn.Linear(2, 2)
    seen = []
    handle = m.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go)))
    x = tg.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    ((grad_input,), (grad_output,)) = seen[0]
    np.testing.assert_allclose(array(grad_input), array(x.grad))
    assert array(grad_output).tolist() == [[1.0, 1.0]]
    handle.remove()
    m(x).sum().backward()
    assert len(seen) == 1
    m.register_full_backward_hook(lambda module, gi, go: (None, None))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        m(x).sum().backward()


def test_backward_hook_without_inputs_that_require_grad_warns():
    m = nn.Linear(2, 2)
    seen = []
    m.register_full_backward_hook(lambda module, gi, go: seen.append(gi))
    with pytest.warns(UserWarning, match="none of its inputs requires"):
        m(tg.ones(1, 2)).sum().backward()
    assert seen == [(None,)]


# Containers


def test_sequential():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    m = nn.Sequential(a, b)
    assert m.append(c) is m and len(m) == 3 and list(m) == [a, b, c] and m[-1] is c
    assert isinstance(m[:2], nn.Sequential) and list(m[:2]) == [a, b]
    m.insert(1, d := nn.Tanh())
    assert list(m) == [a, d, b, c] and list(m._modules) == ["0", "1", "2", "3"]
    assert m.pop(1) is d and list(m) == [a, b, c]
    del m[0]
    assert list(m) == [b, c] and list(m._modules) == ["0", "1"]
    m[0] = d
    assert list(m) == [d, c]
    m += [b]
    assert list(m + nn.Sequential(a)) == [d, c, b, a]
    named = nn.Sequential({"first": a, "second": b})
    assert named.first is a and list(named.state_dict()) == ["first.weight", "first.bias"]
    with pytest.raises(IndexError, match="index 5 is out of range for a Sequential of length 2"):
        named[5]
    with pytest.raises(TypeError, match="not a Module subclass"):
        nn.Sequential(a, lambda x: x)


def test_repeated_and_replaced_modules():
    two = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    four = two * 2
    assert len(four) == 4 and four[2] is two[0] and list((2 * two).state_dict()) == list(four.state_dict())
    two *= 3
    assert len(two) == 6 and two[4] is two[0]
    with pytest.raises(TypeError, match="not float"):
        two * 1.5
    with pytest.raises(ValueError, match="positive"):
        two * 0
    net = nn.Sequential(nn.Sequential(nn.Tanh()))
    net.set_submodule("0.0", nn.ReLU(), strict=True)
    net.set_submodule("0.more", nn.Linear(2, 1))
    assert repr(net.get_submodule("0.0")) == "ReLU()" and "0.more.weight" in net.state_dict()
    for target, module, error in (
        ("", nn.ReLU(), ValueError),
        ("0", 3, ValueError),
        ("1.x", nn.ReLU(), AttributeError),
    ):
        with pytest.raises(error):
            net.set_submodule(target, module)
    with pytest.raises(AttributeError, match="no attribute `new`"):
        net.set_submodule("new", nn.ReLU(), strict=True)


def test_extra_state():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    a, b = nn.Sequential(Counter(), nn.Linear(1, 1)), nn.Sequential(Counter(), nn.Linear(1, 1))
    a[0].count = 7
    assert list(a.state_dict()) == ["0._extra_state", "1.weight", "1.bias"]
    b.load_state_dict(a.state_dict())
    assert b[0].count == 7
    with pytest.raises(RuntimeError, match=r"Missing key.*_extra_state"):
        b.load_state_dict({k: v for k, v in a.state_dict().items() if "extra" not in k})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*_extra_state"):
        nn.Linear(1, 1).load_state_dict({**nn.Linear(1, 1).state_dict(), "_extra_state": 3})


def test_embedding_that_bounds_its_rows_and_counts_them():
    torch = pytest.importorskip("torch")
    table = uniform(6, 3) * 3
    index = np.array([[0, 2, 2], [5, 2, 0]])
    made = [
        m.Embedding(6, 3, max_norm=1.5, norm_type=3.0, scale_grad_by_freq=True, _weight=t(table))
        for m, t in ((nn, tg.tensor), (torch.nn, torch.tensor))
    ]
    ours, theirs = made
    assert repr(ours) == repr(theirs)
    y, z = ours(tg.tensor(index)), theirs(torch.tensor(index))
    np.testing.assert_allclose(array(y), array(z), atol=1e-7)
    np.testing.assert_allclose(array(ours.weight), array(theirs.weight), atol=1e-7)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(array(ours.weight.grad), array(theirs.weight.grad), atol=1e-12)
    with pytest.raises(NotImplementedError, match="sparse"):
        nn.Embedding(3, 2, sparse=True)


def test_functions_of_pytorchs_top_level():
    torch = pytest.importorskip("torch")
    x, v = uniform(4, 3), abs(uniform(3, seed=1)) + 0.5

    def calls(t):
        a, b = t.tensor(x), t.tensor(v)
        yield t.batch_norm(a, b, b, b.clone(), b.clone(), True, 0.1, 1e-5, True)
        yield t.instance_norm(a[None], b[:1].expand(4), None, None, None, True, 0.1, 1e-5, True)
        yield t.group_norm(a, 3, b, b, 1e-3, True)
        yield t.embedding(a, t.tensor([2, 0]), -1)
        yield from t.adaptive_max_pool1d(a, 2)
        yield t.dropout(a, 0.5, False)
        yield t.cosine_similarity(a, a * 2 + 1)
        yield t.celu(a, 0.5)
        yield t.rms_norm(a, (3,), b)

    for y, z in zip(calls(tg), calls(torch), strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), atol=1e-12)


def test_module_list_and_dict():
    a, b = nn.Linear(2, 3), nn.ReLU()
    m = nn.ModuleList([a])
    m.extend([b]).insert(0, b)
    assert list(m) == [b, a, b] and isinstance(m[1:], nn.ModuleList) and list(m + nn.ModuleList([a])) == [b, a, b, a]
    with pytest.raises(NotImplementedError):
        m(1)
    with pytest.raises(TypeError, match="iterable"):
        m.extend(3)
    d = nn.ModuleDict({"a": a})
    d.update([("b", b)])
    assert list(d) == ["a", "b"] and "a" in d and d["b"] is b and dict(d.items()) == {"a": a, "b": b}
    assert d.pop("a") is a and list(d.keys()) == ["b"] and list(d.values()) == [b]
    d.clear()
    assert len(d) == 0
    with pytest.raises(ValueError, match="element #0"):
        d.update([3])


def test_parameter_list_and_dict():
    m = nn.ParameterList([tg.ones(2), nn.Parameter(tg.zeros(3))])
    m.append(tg.ones(1))
    assert len(m) == 3 and all(isinstance(p, nn.Parameter) for p in m) and m[-1].shape == (1,)
    assert [n for n, _ in m.named_parameters()] == ["0", "1", "2"] and len(m[1:]) == 2
    m[0] = tg.zeros(4)
    assert m[0].shape == (4,)
    d = nn.ParameterDict({"a": tg.ones(2)})
    d["b"] = nn.Parameter(tg.ones(1))
    assert [n for n, _ in d.named_parameters()] == ["a", "b"] and isinstance(d["a"], nn.Parameter)
    assert "(a): Parameter containing: [tinygrad_edu.float32 of size 2]" in repr(d)


# Initialisation: bounds, moments and what is exact


def moments(t):
    a = array(t)
    return a.mean(), a.std()


def test_parameter_dict_is_a_dictionary():
    d = nn.ParameterDict({"a": tg.ones(1)})
    assert d.get("b") is None and d.setdefault("b", tg.zeros(2)) is d["b"] and list(reversed(d)) == ["b", "a"]
    more = d | {"c": tg.zeros(3)}
    assert list(more) == ["a", "b", "c"] and more["a"] is d["a"] and "c" not in d
    d |= {"a": tg.zeros(4)}
    assert d["a"].shape == (4,) and d.popitem()[0] == "b" and list(nn.ParameterDict.fromkeys("xy")) == ["x", "y"]
    with pytest.raises(KeyError, match="empty"):
        nn.ParameterDict().popitem()


def test_initial_distributions():
    tg.manual_seed(0)
    big = tg.zeros(300, 200)
    n = big.numel()
    cases = [
        (lambda: nn.init.uniform_(big, -2, 4), 1.0, 6 / math.sqrt(12), (-2, 4)),
        (lambda: nn.init.normal_(big, 3, 0.5), 3.0, 0.5, None),
        (lambda: nn.init.xavier_uniform_(big, gain=2), 0.0, 2 * math.sqrt(2 / 500), None),
        (lambda: nn.init.xavier_normal_(big), 0.0, math.sqrt(2 / 500), None),
        (lambda: nn.init.kaiming_uniform_(big, nonlinearity="relu"), 0.0, math.sqrt(2 / 200), None),
        (lambda: nn.init.kaiming_normal_(big, mode="fan_out", a=1), 0.0, math.sqrt(1 / 300), None),
        (lambda: nn.init.trunc_normal_(big), 0.0, 0.8796, (-2, 2)),
        (lambda: nn.init.trunc_normal_(big, 0, 1, 1, 3), 1.5150, 0.4225, (1, 3)),
    ]
    for fill, mean, deviation, bounds in cases:
        assert fill() is big
        m, s = moments(big)
        assert abs(m - mean) < 5 * deviation / math.sqrt(n) and s == pytest.approx(deviation, rel=0.02)
        if bounds:
            assert bounds[0] <= array(big).min() and array(big).max() <= bounds[1]


def test_default_initialisation_of_linear():
    tg.manual_seed(0)
    m = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for p in (m.weight, m.bias):
        a = array(p)
        assert np.abs(a).max() <= bound and np.abs(a).max() > 0.98 * bound
        assert a.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_initialisation_repeats_with_the_seed():
    tg.manual_seed(7)
    a = array(nn.Linear(5, 4).weight).copy()
    b = array(nn.Linear(5, 4).weight)
    tg.manual_seed(7)
    assert np.array_equal(a, array(nn.Linear(5, 4).weight)) and not np.array_equal(a, b)


def test_exact_initialisations():
    p = nn.Parameter(tg.zeros(2, 3))
    assert array(nn.init.eye_(p)).tolist() == np.eye(2, 3).tolist()
    assert array(nn.init.ones_(p)).all() and not array(nn.init.zeros_(p)).any()
    assert (array(nn.init.constant_(p, 2.5)) == 2.5).all() and p.requires_grad and p.is_leaf
    for shape in ((4, 6), (6, 4), (4, 2, 3)):
        q = array(nn.init.orthogonal_(tg.zeros(*shape, dtype=tg.float64), gain=2)).reshape(shape[0], -1)
        gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)
    sparse = array(nn.init.sparse_(tg.zeros(10, 7), 0.25))
    assert ((sparse == 0).sum(axis=0) == 3).all()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nn.init.kaiming_uniform_(tg.zeros(0, 3))
    assert "zero-element" in str(caught[0].message)


# Utilities


def test_clipping_by_value_and_norm():
    p = nn.Parameter(tg.zeros(2))
    unused = nn.Parameter(tg.zeros(2))
    p.grad = tg.tensor([3.0, -4.0])
    assert nn.utils.clip_grad_norm_([p, unused], 1.0).item() == 5.0
    np.testing.assert_allclose(array(p.grad), [0.6, -0.8], rtol=1e-6)
    nn.utils.clip_grad_value_(p, 0.7)
    np.testing.assert_allclose(array(p.grad), [0.6, -0.7], rtol=1e-6)
    assert nn.utils.clip_grad_norm_([unused], 1.0).item() == 0.0
    p.grad = tg.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector():
    m = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(m.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(vector * 2, m.parameters())
    np.testing.assert_allclose(array(nn.utils.parameters_to_vector(m.parameters())), 2 * array(vector), rtol=1e-6)
    with pytest.raises(ValueError, match=r"a vector of 9 elements, got shape \(8,\)"):
        nn.utils.vector_to_parameters(vector[:8], m.parameters())


def test_dropout_depends_on_the_mode():
    tg.manual_seed(0)
    m, x = nn.Dropout(0.25), tg.ones(10_000)
    y = array(m(x))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)} and (y == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert array(m.eval()(x)).all()
