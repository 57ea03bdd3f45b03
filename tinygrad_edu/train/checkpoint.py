"""Checkpoints: all that a training is made of, in one file, from which a killed run goes on bit for bit.

A file is safetensors: the tensors, and in its metadata everything else as JSON and a SHA-256 of it all, so that a
damaged file is refused instead of trained on. Two generations take turns, and the newer good one is never written to:
whenever a run dies, in the middle of writing too, one whole checkpoint is left. Read next: training.py, what is saved.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..ops.create import tensor
from ..tensor import Tensor
from .folder import replace_file

FORMAT = "tinygrad_edu checkpoint 1"
NAMES = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")


class CheckpointError(RuntimeError):
    """A checkpoint is damaged, or belongs to another run."""


def pack(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """`value` as JSON has it. Tensors go to `arrays`, named by where they were; dicts become {"dict": pairs}, which
    keeps keys that are no strings, and tuples {"tuple": items}. Raises TypeError for what can't be saved."""
    if isinstance(value, Tensor):
        arrays[name] = value.detach().contiguous().array()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, pack(item, f"{name}/{key}", arrays)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [pack(item, f"{name}/{k}", arrays) for k, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint can't hold {name}, which is a {type(value).__name__}")


def unpack(value: Any, arrays: Mapping[str, Any]) -> Any:
    """What `pack` was given, with tensors of their own memory."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensor(arrays[content])
    if kind == "tuple":
        return tuple(unpack(item, arrays) for item in content)
    return {key: unpack(item, arrays) for key, item in content}


def digest(text: str, arrays: Mapping[str, Any]) -> str:
    """SHA-256 of a text and of arrays with their names, types and shapes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a tree of dicts, lists, tuples, numbers, strings and tensors. Floats come back as they were, to the bit.

    The file is there as a whole or not at all. Raises OSError when it can't be written, TypeError for anything else
    in the tree.
    """
    from safetensors.numpy import save as as_bytes

    arrays: dict[str, Any] = {}
    text = json.dumps(pack(state, "", arrays))
    replace_file(path, as_bytes(arrays, {"format": FORMAT, "state": text, "sha256": digest(text, arrays)}))


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote. Raises CheckpointError when it is damaged, OSError when it can't be read."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # for an OSError that names the file
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path} is no checkpoint of this version: expected {FORMAT!r} in its metadata")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if digest(metadata["state"], arrays) != metadata["sha256"]:
            raise CheckpointError(f"{path} is damaged: its contents do not have the SHA-256 written in it")
        state = unpack(json.loads(metadata["state"]), arrays)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    assert isinstance(state, dict)
    return state


class Checkpoints:
    """The two generations in a run's folder, and when the next one is due: after so many steps, or seconds."""

    def __init__(self, folder: Path, steps: int | None = None, seconds: float | None = None) -> None:
        self.paths = [folder / name for name in NAMES]
        self.steps, self.seconds = steps, seconds
        self.number = 0  # of the next one; numbers go on over resumes
        self.saved_at, self.steps_since = time.monotonic(), 0
        self.damaged: list[str] = []  # what load() found wrong with a file while the other one was good

    def due(self, steps: int) -> bool:
        """Whether it is time, `steps` more steps having been done since this was last asked."""
        self.steps_since += steps
        if self.steps is not None and self.steps_since >= self.steps:
            return True
        return self.seconds is not None and time.monotonic() - self.saved_at >= self.seconds

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a new generation in place of the older one. Raises OSError when that fails; the newer one is left."""
        save(self.paths[self.number % 2], {"number": self.number, "state": state})
        self.number += 1
        self.saved_at, self.steps_since = time.monotonic(), 0

    def load(self) -> Any | None:
        """The newest state that is whole; None where there is no file. Raises CheckpointError if all are damaged."""
        found, self.damaged = [], []
        for path in self.paths:
            if path.exists():
                try:
                    found.append(load(path))
                except CheckpointError as error:
                    self.damaged.append(str(error))
        if not found:
            if self.damaged:
                raise CheckpointError("; ".join(self.damaged) + ". Without --resume the run starts anew.")
            return None
        newest = max(found, key=lambda saved: int(saved["number"]))
        self.number = newest["number"] + 1  # so the next one replaces the other file
        return newest["state"]
