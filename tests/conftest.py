"""What all tests share: a fixed backend state, no grad mode left switched, Hypothesis with a fixed seed."""

import hypothesis
import pytest

from tinygrad_edu import backends
from tinygrad_edu.modes import modes, watching

hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, database=None, max_examples=50, print_blob=False
)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def modes_left_as_found():
    """A test that leaves a mode switched would change the meaning of those after it."""
    backend = backends.current()
    yield
    assert modes.grad is True, "the test left gradients switched off"
    assert not watching, "the test left a watcher"
    assert backends.current() == backend, "the test left another backend"
