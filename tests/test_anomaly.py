"""Anomaly detection names the op, and the user's line, where the first NaN or infinity arose."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import detect_anomaly, is_anomaly_enabled, set_detect_anomaly


def line():
    return inspect.currentframe().f_back.f_lineno


def test_a_nan_in_the_forward_pass():
    x = tg.tensor([1.0, -1.0], requires_grad=True)
    with detect_anomaly():
        y = x * 2
        with pytest.raises(RuntimeError) as caught:
            here = line() + 1
            z = tg.log(y)
            tg.exp(z)
    assert "'log' gave NaN from finite inputs" in str(caught.value)
    assert f"{__file__}:{here}: z = tg.log(y)" in str(caught.value)


def test_an_infinity_in_the_forward_pass():
    with detect_anomaly(), pytest.raises(RuntimeError, match="'exp' gave an infinity"):
        tg.exp(tg.tensor([1000.0]))


def test_a_nan_in_the_backward_pass_names_the_forward_line():
    x = tg.tensor([0.0, 1.0], dtype=tg.float64, requires_grad=True)
    with detect_anomaly():
        here = line() + 1
        y = tg.sqrt(x)
        loss = (y * 2).sum()
        with pytest.raises(RuntimeError) as caught:
            loss.backward()
    assert "an infinity from finite inputs" in str(caught.value)
    assert f"in the gradient of 'sqrt', called at {__file__}:{here}: y = tg.sqrt(x)" in str(caught.value)
    assert "loss.backward()" in str(caught.value)


def test_given_nans_are_not_anomalies():
    x = tg.tensor([np.nan, 1.0], requires_grad=True)
    with detect_anomaly():
        (x * 2).sum().backward()


def test_check_nan_off_keeps_the_lines():
    x = tg.tensor([-1.0], requires_grad=True)
    with set_detect_anomaly(True, check_nan=False):
        y = tg.log(x)
    assert np.isnan(y.detach().numpy()).all() and "tg.log(x)" in y.grad_fn.trace


def test_switching():
    assert not is_anomaly_enabled()
    set_detect_anomaly(True)
    assert is_anomaly_enabled()
    with set_detect_anomaly(False):
        assert not tg.is_anomaly_enabled() and tg.is_anomaly_check_nan_enabled()
    with set_detect_anomaly(True, check_nan=False):
        assert tg.is_anomaly_enabled() and not tg.is_anomaly_check_nan_enabled()
    with set_detect_anomaly(False):
        tg.log(tg.tensor([-1.0]))
    assert is_anomaly_enabled()
    set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    with pytest.raises(RuntimeError, match="NaN"), detect_anomaly():
        tg.log(tg.tensor([-1.0]))
    assert not is_anomaly_enabled()


def test_integers_and_views_are_fine():
    with detect_anomaly():
        x = tg.arange(4)
        assert (x.view(2, 2) + 1).sum().item() == 10
