"""Data changed between forward and backward is noticed, changes in place are differentiated, gradients add up.

Read next: test_inplace.py, which tries every in-place form.
"""

import numpy as np
import pytest
from graphs import close, leaf

import tinygrad_edu as tg

# Data changed between forward and backward


def change_by_op(x):
    with tg.no_grad():
        x.add_(1.0)


def change_by_data(x):
    x.data.mul_(2.0)


def change_by_detach(x):
    x.detach().fill_(7.0)


def change_by_index(x):
    with tg.no_grad():
        x[0] = 5.0


def change_by_view(x):
    with tg.no_grad():
        x.view(-1)[1:].zero_()


def change_by_numpy(x):
    x.detach().numpy()[0] = 9.0


def change_by_optimizer(x):
    x.grad = tg.ones_like(x)
    tg.optim.SGD([x], lr=0.1).step()


CHANGES = [
    change_by_op,
    change_by_data,
    change_by_detach,
    change_by_index,
    change_by_view,
    change_by_numpy,
    change_by_optimizer,
]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_input_is_noticed(change):
    x = leaf(1.0, 2.0, 3.0)
    y = (x * x).sum()
    change(x)
    with pytest.raises(
        RuntimeError, match=r"gradient of 'mul' needs input '(input|other)' of shape .*changed in place"
    ):
        y.backward()


@pytest.mark.parametrize("change", CHANGES)
def test_changed_input_that_is_not_needed_is_fine(change):
    x = leaf(1.0, 2.0, 3.0)
    y = (x + x).sum()
    change(x)
    x.grad = None
    y.backward()
    close(x.grad, [2, 2, 2])


def test_changed_output_is_noticed():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match=r"gradient of 'exp' needs the output .*changed in place"):
        y.sum().backward()


def test_numpy_array_taken_before():
    x = leaf(1.0, 2.0)
    array = x.detach().numpy()
    y = (x * x).sum()
    array[0] = 5
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_numpy_array_changed_before_the_forward_pass_is_fine():
    x = leaf(1.0, 2.0)
    array = x.detach().numpy()
    array[0] = 5
    (x * x).sum().backward()
    close(x.grad, [10, 4])


def test_array_behind_from_numpy():
    array = np.array([1.0, 2.0, 3.0])
    x = tg.from_numpy(array)
    array[1] = 4
    close(x, [1, 4, 3])
    w = leaf(1.0, 1.0, 1.0)
    y = (w * x).sum()
    array[0] = 7
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    part = tg.from_numpy(array[::2])
    y = (leaf(1.0, 1.0) * part).sum()
    array[2] = 8
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_tensor_copies_its_array():
    array = np.array([1.0, 2.0])
    x = tg.tensor(array)
    array[0] = 9
    close(x, [1, 2])


# In-place changes that are recorded


def test_a_leaf_cannot_be_changed_in_place():
    x = leaf(1.0, 2.0)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x.copy_(x * 2)):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    with tg.no_grad():
        x.add_(1)
    close(x, [2, 3])
    assert x.is_leaf and x.requires_grad


def test_changes_in_place_are_differentiated():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x = a * 2
    x.add_(b)
    x.mul_(3.0)
    (x * x).sum().backward()
    close(a.grad, 2 * 9 * (2 * np.array([1, 2]) + [3, 4]) * 2)
    close(b.grad, 2 * 9 * (2 * np.array([1, 2]) + [3, 4]))


def test_a_product_in_place():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x = a * 2
    x.mul_(b)
    x.sum().backward()
    close(a.grad, [6, 8])
    close(b.grad, [2, 4])


def test_changing_in_place_what_is_needed():
    a = leaf(1.0, 2.0)
    x = a * 2
    y = x * x
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_plain_tensor_joins_the_graph():
    a = leaf(1.0, 2.0)
    x = tg.zeros(2, dtype=tg.float64)
    x.add_(a)
    x.sum().backward()
    close(a.grad, [1, 1])


def test_views_in_place_under_no_grad():
    x = tg.zeros(2, 3)
    x[1].add_(2)
    x.t()[0].fill_(5)
    x[:, 2] = 7
    close(x, [[5, 0, 7], [5, 2, 7]])


def test_views_in_place_while_recording_are_right_or_refused():
    a = leaf(1.0, 2.0)
    x = a * 1
    v = x.view(2)
    try:
        v.mul_(3.0)
    except RuntimeError as error:
        assert "view" in str(error)
        return
    x.sum().backward()
    close(a.grad, [3, 3])


# Accumulation


def test_gradients_add_up_and_do_not_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = tg.tensor([1.0, 1.0], dtype=tg.float64)
    z = a + b
    z.backward(seed)
    assert a.grad.storage is not b.grad.storage
    assert seed.storage not in (a.grad.storage, b.grad.storage)
    a.grad.zero_()
    close(b.grad, [1, 1])
    close(seed, [1, 1])
    (a + b).backward(seed)
    close(a.grad, [1, 1])
    close(b.grad, [2, 2])


def test_a_leaf_that_is_its_own_output():
    x = leaf(2.0)
    seed = tg.tensor(3.0, dtype=tg.float64)
    x.backward(seed)
    x.grad.zero_()
    assert seed.item() == 3


def test_grad_is_accumulated_in_place():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    close(first, [5, 5])


def test_grad_of_a_broadcast_has_memory_of_its_own():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    assert x.grad.is_contiguous()
    x.grad.mul_(tg.tensor([1.0, 5.0], dtype=tg.float64))
    close(x.grad, [1, 5])


def test_unbroadcasting():
    a, b = leaf([[1.0], [2.0]]), leaf(10.0, 20.0, 30.0)
    (a * b).sum().backward()
    close(a.grad, [[60], [60]])
    close(b.grad, [3, 3, 3])
