"""What no machine can hold: sizes, windows and numbers are refused by name, or give what mathematics says.

Nothing here may overflow in silence, hang, or end the process. Read next: test_tensor.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F

PICTURE = tg.ones(1, 1, 5, 5)
PAIR = tg.ones(1, 1, 2, 2)
TOO_LARGE = {
    "zeros": lambda: tg.zeros(2**32, 2**32),
    "no elements": lambda: tg.zeros(2**70, 0),
    "expand": lambda: tg.ones(1).expand(2**40, 2**40),
    "one_hot": lambda: F.one_hot(tg.tensor([2**61])),
    "pad": lambda: F.pad(PICTURE, (2**62, 2**62)),
    "conv2d, padded": lambda: F.conv2d(PICTURE, PAIR, dilation=2**40, padding=2**39),
    "conv2d, scratch": lambda: F.conv2d(PICTURE, PAIR, dilation=2**20, padding=2**19),
    "max_pool2d": lambda: F.max_pool2d(PICTURE, 2**40, padding=2**39),
    "avg_pool2d": lambda: F.avg_pool2d(PICTURE, 2**40, padding=2**39),
    "interpolate": lambda: F.interpolate(PICTURE, size=(2**31, 2**31)),
    "Linear": lambda: tg.nn.Linear(2**31, 2**31),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_too_large(name):
    with pytest.raises(MemoryError):
        TOO_LARGE[name]()


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
@pytest.mark.parametrize("stride", [7, 2**31, 2**62])
def test_a_stride_beyond_the_picture_leaves_one_window(function, stride):
    kernel = tg.arange(9.0).view(1, 1, 3, 3).requires_grad_()
    x = tg.full((1, 1, 1, 1) if function is F.conv_transpose2d else (1, 1, 5, 5), 2.0, requires_grad=True)
    y = function(x, kernel, stride=(stride, 2**62))
    y.sum().backward()
    expected = 2 * kernel if function is F.conv_transpose2d else tg.full((1, 1, 1, 1), 72.0)
    assert tg.equal(y, expected) and x.grad.sum() == 36
    assert tg.equal(kernel.grad, tg.full((1, 1, 3, 3), 2.0))


@pytest.mark.parametrize("value", [300, -300, 1e30, float("nan"), float("-inf"), 2**64])
@pytest.mark.parametrize("dtype", [tg.uint8, tg.int32, tg.int64], ids=str)
def test_integers_hold_a_number_or_refuse_it(dtype, value):
    own = np.iinfo(dtype.name)
    calls = [
        lambda: tg.full((2,), value, dtype=dtype),
        lambda: tg.zeros(2, dtype=dtype).fill_(value),
        lambda: tg.tensor([0, value], dtype=dtype),
    ]
    for call in calls:
        if value == value and own.min <= value <= own.max:
            assert call()[1] == value
        else:
            with pytest.raises((RuntimeError, OverflowError), match=r"does not fit into|is too large for a tensor"):
                call()


X, AT = tg.ones(4, 4), tg.tensor([[1]])
WHOLE = {
    "view": lambda n: X.view(n, 16),
    "reshape": lambda n: X.reshape((4, 4, n)),
    "flatten": lambda n: X[None].flatten(n),
    "squeeze": lambda n: X[:, None].squeeze(n),
    "unsqueeze": lambda n: X.unsqueeze(n),
    "permute": lambda n: X.permute(n, 0),
    "transpose": lambda n: X.transpose(0, n),
    "expand": lambda n: X[None].expand(n, 4, 4),
    "narrow from": lambda n: X.narrow(0, n, 1),
    "narrow length": lambda n: X.narrow(0, 1, n),
    "select": lambda n: X.select(0, n),
    "select from": lambda n: X.select(n, 0),
    "diagonal": lambda n: X.diagonal(n),
    "gather": lambda n: X.gather(n, AT),
    "scatter": lambda n: X.scatter(n, AT, 2.0),
    "scatter_add": lambda n: X.scatter_add(n, AT, X),
    "take_along_dim": lambda n: X.take_along_dim(X.long(), n),
    "index_select": lambda n: X.index_select(n, AT[0]),
    "index_add": lambda n: X.index_add(n, AT[0], X[:, :1]),
    "index_copy": lambda n: X.index_copy(n, AT[0], X[:, :1]),
    "argsort": lambda n: X.argsort(n),
    "sort": lambda n: X.sort(n),
    "topk": lambda n: X.topk(n),
    "topk along": lambda n: X.topk(2, n),
    "kthvalue": lambda n: X.kthvalue(n),
    "one_hot": lambda n: F.one_hot(tg.tensor([0]), n),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_equals_an_int_is_none(name):
    """Signatures are remembered in dicts, to which 1.0 and True are 1."""
    for _ in range(2):
        WHOLE[name](1)
        for number in (1.0, True):
            with pytest.raises(TypeError, match="int"):
                WHOLE[name](number)


def test_an_index_of_a_float_or_bool_is_not_that_of_an_int():
    assert X[1].shape == (4,)
    assert X[True].shape == (1, 4, 4)
    assert X[1:3].shape == (2, 4)
    for index in (1.0, slice(1.0, 3), (slice(None), 1.0)):
        with pytest.raises((IndexError, TypeError)):
            X[index]
