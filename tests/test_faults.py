"""What goes wrong around the library: processes in each other's way, threads, forks, wrong arguments, hostile users."""

from __future__ import annotations

import copy
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from killed_run import many_images

import tinygrad_edu as tg
from tinygrad_edu import cli, nn, optim, transforms
from tinygrad_edu.modes import modes, watching
from tinygrad_edu.nn import functional as F
from tinygrad_edu.ops.move import copy_op
from tinygrad_edu.reports import runner
from tinygrad_edu.train import FolderInUseError, RunFolder
from tinygrad_edu.utils import data

HOLDER = """
import pathlib, sys
from tinygrad_edu.train import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder of r1-arch-1 locked."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "r1-arch-1-corrected")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.parametrize("how", ["ends", signal.SIGTERM, signal.SIGKILL])
def test_two_processes_in_one_folder(tmp_path, monkeypatch, capsys, holder, how):
    monkeypatch.setattr(runner, "load", many_images)
    arguments = ["run", "r1-arch-1", "--mode", "corrected", "--epochs", "1", "--out", str(tmp_path)]
    folder = tmp_path / "r1-arch-1-corrected"
    for more in ([], ["--resume"]):
        assert cli.main(arguments + more) == 1
        assert f"{folder} is in use by process {holder.pid} on " in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == ["process"]
    if how == "ends":
        holder.communicate()
    else:
        holder.send_signal(how)
    holder.wait()
    assert cli.main(arguments) == 0
    assert (folder / "metrics.json").exists() and not (folder / "process").exists()


def test_a_lock_holds_within_one_process_too_and_ends_with_an_exception(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(ZeroDivisionError), folder.locked():
        with pytest.raises(FolderInUseError), RunFolder(tmp_path).locked():
            pass
        raise ZeroDivisionError
    with folder.locked():
        pass
    assert not list(tmp_path.iterdir())


def interrupted(function, count):
    """Call it; at the count-th Python function that begins meanwhile, a Ctrl-C comes. Whether it has come.

    Where Python looks for signals is where functions begin, among others; an __exit__ that is one may not begin."""

    def profile(frame, event, arg):
        nonlocal count
        if event == "call" and frame.f_code.co_name != "__del__":  # there Python itself drops exceptions
            count -= 1
            if count == 0:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        function()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    return count <= 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of objects that were half made
@pytest.mark.parametrize("replayed", [False, True])
def test_ctrl_c_at_any_moment_of_a_step_leaves_no_mode_switched(replayed):
    p = tg.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    step(tg.ones(2))  # what is worked out once is known
    count = 0
    while True:
        count += 1
        function = tg.replay(step) if replayed else step
        if not interrupted(lambda function=function: function(tg.ones(2)), count):
            break
        assert modes.grad is True and not modes.watchers and not watching, count
    assert count > 50
    step(tg.ones(2))
    assert p.grad.tolist() == [1, 1]


NAN = float("nan")
EDGES = {  # what a call on the edge of what there is gives: values, or a gradient
    "max of one bool": (lambda: list(tg.tensor(True).max(0)), [True, 0]),
    "min of one bool": (lambda: list(tg.tensor(False).min(0, True)), [False, 0]),
    "atan2 at the origin": (lambda: slope(lambda x: tg.atan2(x, x.detach()), [0.0, 1.0]), [0, 0.5]),
    "atan2 near it": (lambda: slope(lambda x: tg.atan2(x, x.detach() * 0 + 2.0**-90), [0.0]), [2.0**90]),
    "in": (
        lambda: [2 in tg.ones(2, 3), 1 in tg.ones(2, 3), tg.ones(3) in tg.ones(2, 3), 1 in tg.ones(())],
        [0, 1, 1, 1],
    ),
    "a number to a power": (lambda: tg.float_power(0.1, tg.ones(1)).tolist(), [0.1]),
    "NumPy's ints": (lambda: numpys_ints(np.int64(1)), [True] * 9),
    "clamp of NaN": (lambda: slope(lambda x: x.clamp(tg.zeros(3), tg.ones(3)), [NAN, 0.5, 2.0]), [0, 1, 0]),
    "clamp_min of NaN": (lambda: slope(lambda x: x.clamp_min(tg.zeros(3)), [NAN, 0.5, -2.0]), [0, 1, 0]),
    "clamp to NaN": (lambda: slope(lambda x: x.clamp_max(tg.tensor([NAN, 1.0, 1.0])), [0.5, 0.5, 2.0]), [0, 1, 0]),
}


def numpys_ints(one):
    """Whether a NumPy int does where an int does."""
    x = tg.arange(24.0).reshape(1, 2, 3, 4)
    calls = [
        lambda n: x.sum(n),
        lambda n: x.any((n, 2)),
        lambda n: x.softmax(n),
        lambda n: x.transpose(n, 2),
        lambda n: tg.cat([x, x], n),
        lambda n: x.select(n, n),
        lambda n: F.max_pool2d(x, n + 1, padding=(n, n)),
        lambda n: F.cross_entropy(x[0, :, :, 0], tg.tensor([0, 2]), ignore_index=n),
        lambda n: nn.LayerNorm(3 + n)(x).detach(),
    ]
    return [bool((call(one) == call(int(one))).all()) for call in calls]


def slope(function, at):
    x = tg.tensor(at, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    call, expected = EDGES[name]
    assert call() == expected


def hooked(answer):
    """Backward through a layer with a hook that gives this answer."""
    layer = nn.Linear(1, 1)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: answer)
    layer(tg.ones(1, 1, requires_grad=True)).sum().backward()


SET = data.TensorDataset(tg.arange(3))
WRONG = [
    (lambda: tg.set_grad_enabled("yes"), TypeError, "set_grad_enabled: mode must be a bool, got str"),
    (lambda: tg.ones(1).requires_grad_(1), TypeError, "requires_grad must be a bool, got int"),
    (lambda: tg.autograd.grad("a", "b"), TypeError, "grad: input 0 must be a Tensor, got str"),
    (lambda: tg.autograd.backward(3.0), TypeError, "iterable"),
    (lambda: tg.autograd.backward([np.ones(1)]), TypeError, "output 0 must be a Tensor, got ndarray"),
    (lambda: setattr(nn.Linear(1, 1), "weight", nn.ReLU()), TypeError, "'ReLU' object as parameter 'weight'"),
    (lambda: setattr(nn.Linear(1, 1), "weight", nn.Buffer(tg.ones(1, 1))), TypeError, "'Buffer' object as parameter"),
    (
        lambda: setattr(nn.Sequential(nn.ReLU()), "0", nn.Buffer(tg.ones(1))),
        TypeError,
        "'Buffer' object as child module",
    ),
    (lambda: tg.randn(2, generator=3), TypeError, "generator must be a tinygrad_edu.Generator, got int"),
    (lambda: data.DataLoader([1], num_workers=1.5), TypeError, "num_workers must be an int, got 1.5"),
    (lambda: list(data.DataLoader(SET, batch_sampler=[[]])), IndexError, "a batch without indices"),
    (lambda: data.TensorDataset(tg.ones(2), np.ones(2)), TypeError, "argument 1 must be a Tensor, got ndarray"),
    (lambda: data.random_split(SET, [5, -2]), ValueError, "must not be negative"),
    (lambda: data.WeightedRandomSampler([1.0, -1.0], 1), ValueError, "not negative"),
    (lambda: data.WeightedRandomSampler([1.0, 0.0], 2, replacement=False), ValueError, "2 samples of 1"),
    (lambda: data.WeightedRandomSampler([0.0], 2), ValueError, "2 samples of 0"),
    (lambda: None in tg.ones(2), RuntimeError, "can't be searched for a NoneType"),
    (lambda: transforms.RandomHorizontalFlip("a"), TypeError, "p should be a number, got 'a'"),
    (lambda: transforms.Resize("a"), TypeError, "size should be a number or two, got 'a'"),
    (lambda: transforms.Resize(3, max_size=[4]), TypeError, r"max_size should be an int or None, got \[4\]"),
    (lambda: transforms.Normalize(0.5, 0.5)(np.ones((1, 2, 2))), TypeError, "expected a float tensor .*, got ndarray"),
    (lambda: transforms.Normalize(0.5, 0.5)(tg.zeros(1, 2, 2, dtype=tg.uint8)), TypeError, "got tinygrad_edu.uint8"),
    (lambda: tg.zeros(2.5), TypeError, r"zeros: expected ints, got \(2.5,\)"),
    (lambda: nn.Linear(2, True), TypeError, r"empty: expected ints, got \(True, 2\)"),
    (lambda: tg.ones(2).sum(np.float64(0)), TypeError, "sum: dim must be an int, got float64"),
    (lambda: hooked(3), TypeError, "Backward hook must return gradients for grad_input, or None, got int"),
    (lambda: hooked((None, None)), RuntimeError, "invalid number of grad_input, got 2, but expected 1"),
    (lambda: nn.HuberLoss(delta=1j), TypeError, "delta must be a float or int, got complex"),
]


# What users give where a tensor is meant, most of all an array to a model.
NO_TENSORS = {
    "sum": tg.sum,
    "view": lambda x: tg.reshape(x, (1,)),
    "copy": copy_op,
    "tril": tg.tril,
    "roll": lambda x: tg.roll(x, 1),
    "chunk": lambda x: tg.chunk(x, 2),
    "cumsum": lambda x: tg.cumsum(x, 0),
    "norm": lambda x: tg.norm(x, 3),
    "addmm": lambda x: tg.addmm(x, tg.ones(2, 2), tg.ones(2, 2)),
    "mm": lambda x: tg.mm(x, tg.ones(2, 2)),
    "conv2d": lambda x: F.conv2d(tg.ones(1, 1, 2, 2), x),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 1),
    "elu": F.elu,
    "l1_loss": lambda x: F.l1_loss(tg.ones(2), x),
}


@pytest.mark.parametrize("given", [[1.0], None, "a"])
@pytest.mark.parametrize("name", NO_TENSORS)
def test_what_is_no_tensor_is_refused_by_name(name, given):
    with pytest.raises(TypeError, match=rf"{name}: .*got .*{type(given).__name__}"):
        NO_TENSORS[name](given)


@pytest.mark.parametrize("given", [np.ones((1, 2), np.float32), [[1.0, 2.0]], None])
def test_a_model_says_that_it_wants_a_tensor(given):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(TypeError, match=f"expected .*Tensor.*, got .*{type(given).__name__}") as caught:
        model(given)
    assert caught.value.__notes__ == ["in Sequential.0: Linear(in_features=2, out_features=2, bias=True)"]


@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_wrong_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_deep_copy_shares_memory_where_the_original_does():
    x = tg.arange(6.0)
    linear = nn.Linear(2, 3)
    linear.register_buffer("flat", linear.weight.detach().view(-1))
    copied, part = copy.deepcopy([x, x[2:].view(2, 2)])
    copied[3] = 9.0
    assert part.tolist() == [[2, 9], [4, 5]] and x[3].item() == 3
    again = copy.deepcopy(linear)
    again.flat.fill_(7.0)
    assert (again.weight == 7).all() and not (linear.weight == 7).any() and again.weight.requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_keep_what_users_put_on_parameters(copied):
    p = nn.Parameter(tg.ones(2))
    p.tag = ["bias"]
    again = copied(p)
    assert again.tag == ["bias"] and again.tag is not p.tag and isinstance(again, nn.Parameter)
    assert copied(nn.Buffer(tg.ones(1), persistent=False)).persistent is False


@pytest.mark.parametrize("replayed", [False, True])
def test_users_change_the_list_of_groups(replayed):
    p, q, r = (tg.zeros(1, requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([{"params": [p]}, {"params": [q], "lr": 2.0}], lr=1.0)

    def step():
        optimizer.zero_grad()
        (p + q + r).sum().backward()
        optimizer.step()

    run = tg.replay(step) if replayed else step
    run()
    del optimizer.param_groups[0]
    run()
    optimizer.param_groups.append({**optimizer.defaults, "params": [r], "lr": 5.0})
    run()
    assert [t.item() for t in (p, q, r)] == [-1, -6, -5]
