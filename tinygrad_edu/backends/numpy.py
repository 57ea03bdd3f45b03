"""The reference backend: every op's own NumPy definition, run on arrays that share the tensors' memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..op import Spec
    from ..tensor import Tensor


def unavailable() -> None:
    """NumPy is always there."""


def prepare(spec: Spec) -> Callable[..., None]:
    """A launcher that runs the op's reference."""
    reference, attrs = spec.op.reference, spec.attrs

    def launch(out: Tensor, *inputs: Tensor) -> None:
        with np.errstate(all="ignore"):  # NaN and Inf are values here, as in PyTorch
            arrays = [x.storage.lent(x.layout, x.offset) for x in (out, *inputs)]
            reference(*arrays, **attrs)

    return launch
