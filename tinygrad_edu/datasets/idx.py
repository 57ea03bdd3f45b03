"""The IDX format of the MNIST family: two zero bytes, the type, the number of dimensions, the sizes, the data.

All numbers are big-endian. Only unsigned bytes are read, since no set of the family holds anything else.
Format: http://yann.lecun.com/exdb/mnist/. Read next: resource.py, which finds the bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

UNSIGNED_BYTE = 0x08


def read_idx(data: bytes, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The array in `data`, read-only and without a copy. `name` is for messages.

    Raises ValueError for a wrong magic number, an unsupported type, and data shorter or longer than the sizes say.
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(
            f"{name} is no IDX file: it starts with {data[:4]!r}, expected two zero bytes, type, dimensions"
        )
    kind, ndim = data[2], data[3]
    if kind != UNSIGNED_BYTE:
        raise ValueError(f"{name} holds IDX type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    start = 4 + 4 * ndim
    if len(data) < start:
        raise ValueError(f"{name} is truncated: {len(data)} bytes, its header alone takes {start}")
    shape = struct.unpack(f">{ndim}I", data[4:start])
    expected = start + math.prod(shape)
    if len(data) != expected:
        what = "truncated" if len(data) < expected else "too long"
        raise ValueError(f"{name} is {what}: {len(data)} bytes, an array of shape {shape} takes {expected}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
