"""The gradient checker is tested before anything relies on it: faults are planted in throw-away ops, and every one
must be found, by the full comparison and by the random projections. Published engines have shipped checkers that pass
when the gradients of exp and log are nonsense. Read next: cases.py, test_ops.py.
"""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.autograd import GradcheckError, gradcheck, gradgradcheck
from tinygrad_edu.op import Op

MODES = pytest.mark.parametrize("fast", [False, True], ids=["full", "fast"])


@pytest.fixture
def plant():
    """plant(reference, **rules): an op that is forgotten again after the test."""
    planted = []

    def make(reference, shape=lambda first, *_: first.shape, dtype=None, **rules):
        op = Op(reference, shape, dtype, name=f"planted_{reference.__name__}_{len(planted)}")
        planted.append(op)
        op.vjps(**rules)
        return op

    yield make
    for op in planted:
        del Op.registry[op.name]
        backends.fell_back.discard(op.name)


def leaf(*shape, low=0.5, high=2.0, seed=0):
    array = np.random.default_rng([seed, *shape]).uniform(low, high, shape)
    return tg.tensor(array, requires_grad=True)


def exp(out, x):
    np.exp(x, out=out)


def log(out, x):
    np.log(x, out=out)


def sine(out, x):
    np.sin(x, out=out)


def product(out, x, y):
    np.multiply(x, y, out=out)


def quotient(out, x, y):
    np.divide(x, y, out=out)


def square(out, x):
    np.multiply(x, x, out=out)


def double(out, x):
    np.multiply(x, 2, out=out)


def softmax(out, x):
    e = np.exp(x - x.max(-1, keepdims=True))
    np.divide(e, e.sum(-1, keepdims=True), out=out)


def nothing(out, x):
    out[...] = 0


def rejected(function, inputs, fast, match="mismatch|random cotangent"):
    with pytest.raises(GradcheckError, match=match):
        gradcheck(function, inputs, fast_mode=fast)
    assert gradcheck(function, inputs, fast_mode=fast, raise_exception=False) is False


# What is right passes


@MODES
def test_right_rules_pass(plant, fast):
    good = [
        (plant(exp, x=lambda g, y: g * y), 1),
        (plant(log, x=lambda g, x: g / x), 1),
        (plant(product, x=lambda g, y: g, y=lambda g: g), 0),  # `y` asks for the output, not the input
        (plant(square, x=lambda g, x: g * x * 2), 1),
        (plant(double, x=lambda g: g * 2), 1),
    ]
    for op, inputs in good:
        if inputs:
            assert gradcheck(op, (leaf(3, 2),), fast_mode=fast)
            assert gradgradcheck(op, (leaf(3, 2),), fast_mode=fast)


@MODES
def test_two_inputs_several_outputs_and_plain_arguments(fast):
    def function(x, factor, n, y):
        return x * y * factor, x * x, n

    count = tg.tensor([1, 2])
    assert gradcheck(function, (leaf(2), 3.0, count, leaf(2, seed=1)), fast_mode=fast)
    assert gradgradcheck(function, (leaf(2), 3.0, count, leaf(2, seed=1)), fast_mode=fast)


# Faults in a rule


@MODES
@pytest.mark.parametrize(
    "reference, rule",
    [
        (square, lambda g, x: g * x),  # the factor 2 is missing
        (square, lambda g, x: g * x * 2.01),  # off by half a hundredth
        (square, lambda g, x: -(g * x * 2)),  # the sign
        (square, lambda g, x: g * 0.0),
        (square, lambda g, x: None),
        (square, lambda g, x: (g * x * 2).detach() * 0.0 + g),
        (exp, lambda g, x: g * x),
        (exp, lambda g: g),
        (log, lambda g, x: g * x),
        (log, lambda g, y: g * y),
        (log, lambda g, y: g / y),
        (double, lambda g: g * g * 2),  # right for a cotangent of ones, not linear
        (double, lambda g: g * 2 + 1.0),
        (softmax, lambda g, y: g * y),  # a plain sum of the output would not see it
        (softmax, lambda g, y: g * 0.0),  # nor this: the sum is constant
        (nothing, lambda g: g),  # a kernel of zeros under a rule that is not
    ],
)
def test_wrong_rules_are_found(plant, fast, reference, rule):
    rejected(plant(reference, x=rule), (leaf(3, 2),), fast, "mismatch|random cotangent|not zero for a zero cotangent")


@MODES
def test_a_zero_kernel_is_found(plant, fast):
    rejected(plant(nothing, x=lambda g, x: g * x * 2), (leaf(4),), fast)


@MODES
def test_a_rule_of_none_is_found(plant, fast):
    op = plant(square)
    op.vjps(x=None)
    rejected(op, (leaf(3),), fast)


@MODES
def test_swapped_rules_are_found(plant, fast):
    def weighted(out, a, b):
        np.multiply(a, b * b, out=out)

    right = plant(weighted, a=lambda g, b: g * b * b, b=lambda g, a, b: g * a * b * 2)
    swapped = plant(weighted, b=lambda g, b: g * b * b, a=lambda g, a, b: g * a * b * 2)
    inputs = (leaf(3), leaf(3, seed=1))
    assert gradcheck(right, inputs, fast_mode=fast)
    rejected(swapped, inputs, fast)


@MODES
def test_one_wrong_element_is_found(plant, fast):
    mask = np.ones((4, 5))
    mask[2, 3] = 0.9

    def rule(g, x):
        return g * x * 2 * tg.tensor(mask)

    op = plant(square, x=rule)
    rejected(op, (leaf(4, 5),), fast)
    if not fast:
        with pytest.raises(GradcheckError, match=r"output 0.*input 0.*output index \(2, 3\), input index \(2, 3\)"):
            gradcheck(op, (leaf(4, 5),))


@MODES
def test_a_missing_rule_is_found(plant, fast):
    with pytest.raises(RuntimeError, match="no gradient rule for its input 'x'"):
        gradcheck(plant(square), (leaf(3),), fast_mode=fast)


@MODES
def test_a_gradient_of_wrong_shape_is_found(plant, fast):
    with pytest.raises(RuntimeError, match=r"gave a gradient of shape \(3, 3\) for an input of shape \(3,\)|mismatch"):
        gradcheck(plant(square, x=lambda g, x: (g * x).reshape(3, 1) * x), (leaf(3),), fast_mode=fast)
    with pytest.raises(RuntimeError, match=r"gave a gradient of shape \(2, 2\) for an input of shape \(4,\)"):
        gradcheck(plant(square, x=lambda g, x: (g * x * 2).reshape(2, 2)), (leaf(4),), fast_mode=fast)


@MODES
def test_a_gradient_of_wrong_dtype_is_found(plant, fast):
    with pytest.raises(RuntimeError, match="gave a gradient of dtype"):
        gradcheck(plant(square, x=lambda g, x: (g * x * 2).to(tg.float32)), (leaf(3),), fast_mode=fast)


@MODES
def test_an_output_cut_off_from_the_graph_is_found(fast):
    rejected(lambda x: (x * x).detach(), (leaf(3),), fast)
    rejected(lambda x: (x * 2, (x * x).detach()), (leaf(3),), fast)
    assert gradcheck(lambda x: (x * 2, (x * 0.0).detach()), (leaf(3),), fast_mode=fast)


@MODES
def test_nondeterminism_is_found(plant, fast):
    rng = np.random.default_rng(0)

    def noisy(out, x):
        np.multiply(x, 1 + 1e-9 * rng.standard_normal(x.shape), out=out)

    with pytest.raises(GradcheckError, match="not deterministic"):
        gradcheck(plant(noisy, x=lambda g: g), (leaf(3),), fast_mode=fast)

    def rule(g, x):
        return g * 2 * float(1 + 1e-9 * rng.standard_normal())

    with pytest.raises(GradcheckError, match="gradient of output 0 for input 0 is not deterministic"):
        gradcheck(plant(double, x=rule), (leaf(3),), fast_mode=fast)
    assert gradcheck(plant(double, x=rule), (leaf(3),), fast_mode=fast, nondet_tol=1e-6)


# Faults in the second derivative only


@MODES
@pytest.mark.parametrize(
    "rule, fine",
    [
        (lambda g, x: g * x * 2, True),
        (lambda g, x: g * x.detach() * 2, False),  # forgets that the gradient depends on x
        (lambda g, x: (g * x * 2).detach(), False),
        (lambda g, x: g.detach() * x * 2, False),
        (lambda g, x: g * x + g * x.detach(), False),  # half of it is there
    ],
)
def test_second_order(plant, fast, rule, fine):
    op = plant(square, x=rule)
    assert gradcheck(op, (leaf(3, 2),), fast_mode=fast)
    if fine:
        assert gradgradcheck(op, (leaf(3, 2),), fast_mode=fast)
    else:
        with pytest.raises(GradcheckError, match="mismatch"):
            gradgradcheck(op, (leaf(3, 2),), fast_mode=fast)
        assert gradgradcheck(op, (leaf(3, 2),), fast_mode=fast, raise_exception=False) is False


@MODES
def test_a_wrong_rule_of_a_gradient_op(plant, fast):
    """A fused gradient kernel is an op with rules of its own; here one of them is wrong."""

    def sine_grad(out, upper, x):
        np.multiply(upper, np.cos(x), out=out)

    def make(sign):
        inner = plant(sine_grad)
        inner.vjps(upper=lambda g, x: inner(g, x), x=lambda g, upper, x: g * upper * tg.sin(x) * sign)
        return plant(sine, x=lambda g, x: inner(g, x))

    right, wrong = make(-1.0), make(1.0)
    assert gradcheck(right, (leaf(3),), fast_mode=fast) and gradgradcheck(right, (leaf(3),), fast_mode=fast)
    assert gradcheck(wrong, (leaf(3),), fast_mode=fast)
    with pytest.raises(GradcheckError, match="mismatch"):
        gradgradcheck(wrong, (leaf(3),), fast_mode=fast)


# What cannot be checked is refused


def test_inputs_that_cannot_be_checked_are_refused():
    with pytest.raises(ValueError, match="at least one input that requires grad"):
        gradcheck(lambda x: x * 2, (leaf(3).detach(),))
    expanded = leaf(3, 1).detach().expand(3, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="share memory"):
        gradcheck(lambda x: x * 2, (expanded,))
    base = leaf(4).detach()
    a, b = base.narrow(0, 0, 3).requires_grad_(), base.narrow(0, 1, 3).requires_grad_()
    with pytest.raises(RuntimeError, match="inputs 0 and 1 share memory"):
        gradcheck(lambda x, y: x * y, (a, b))
    with pytest.raises(ValueError, match="must return tensors"):
        gradcheck(lambda x: 3.0, (leaf(3),))
    with pytest.raises(ValueError, match="no output of the function requires grad"):
        gradgradcheck(lambda x: x.detach(), (leaf(3),))
    with pytest.raises(ValueError, match="1 outputs require grad, but 2 grad_outputs"):
        gradgradcheck(lambda x: x * 2, (leaf(3),), (leaf(3), leaf(3)))


@pytest.mark.parametrize(
    "check, words",
    [
        (gradcheck, ("check_batched_grad", "check_batched_forward_grad", "check_forward_ad")),
        (gradgradcheck, ("check_batched_grad", "check_fwd_over_rev")),
    ],
)
def test_what_is_not_here_is_not_passed_over(check, words):
    f, x = lambda x: x**3, leaf(2)
    assert check(f, x, masked=False, **dict.fromkeys(words, False))
    for word in words:
        with pytest.raises(NotImplementedError, match=word):
            check(f, x, **{word: True})
    with pytest.raises(ValueError, match="leaves nothing to check"):
        check(f, x, **{"check_backward_ad" if check is gradcheck else "check_rev_over_rev": False})


def test_float32_gets_a_warning():
    x = tg.tensor([1.0, 2.0], dtype=tg.float32, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert gradcheck(lambda x: x * 2, (x,), eps=1e-2, atol=1e-3, rtol=1e-2)
    assert "float64" in str(caught[0].message) and caught[0].filename == __file__


@MODES
def test_the_same_tensor_twice_and_views_and_inputs_returned(fast):
    x = leaf(2, 3)
    assert gradcheck(lambda a, b: a * b, (x, x), fast_mode=fast)
    assert gradcheck(lambda a: a, (x,), fast_mode=fast)
    assert gradcheck(lambda a: a * a, (leaf(2, 3).detach().t().requires_grad_(),), fast_mode=fast)
    assert gradcheck(lambda a: a * a, (x * 2.0,), fast_mode=fast)  # not a leaf
    assert gradcheck(lambda a: a * a, (leaf(0, 3),), fast_mode=fast)
    assert gradcheck(lambda a: a * a, (leaf(),), fast_mode=fast)


def test_inputs_are_left_as_they_were():
    x = leaf(3)
    before = x.detach().numpy().copy()
    gradcheck(lambda x: x * x, (x,))
    assert (x.detach().numpy() == before).all() and x.grad is None


def test_noncontiguous_grad_outputs():
    assert gradgradcheck(lambda x: x * x * x, (leaf(3, 4),), gen_non_contig_grad_outputs=True)
