"""What the tests of the engine share: float64 leaves, and comparison."""

import numpy as np

import tinygrad_edu as tg


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, tg.Tensor) else a, b, rtol=1e-12)
