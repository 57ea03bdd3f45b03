"""The folder that a run leaves: config.json, log.jsonl (a line an epoch), metrics.json, weights.safetensors, figures,
and the checkpoints it can be resumed from.

Each file is complete whenever it is there: the log grows by whole lines, the others are renamed into place. One process
at a time writes there, which a lock of the system's sees to.
Read next: checkpoint.py; ../viz, for the figures.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LEFT = ("log.jsonl", "metrics.json", "*.safetensors", "*.part", "*.svg", "*.png")
LOCK = "process"  # the file that is locked; it says which process has it


class FolderInUseError(RuntimeError):
    """Another process is writing to the folder."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all, whatever happens to the process or the machine meanwhile.

    Raises OSError when it can't be written; what stood there before still does.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the renaming itself
    finally:
        os.close(folder)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it. Raises OSError when that can't be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot make the folder {path}: {error.strerror}") from None


def as_json(value: Any) -> Any:
    """The same with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: as_json(v) for k, v in value.items()}
    return [as_json(v) for v in value] if isinstance(value, (list, tuple)) else value


def take(path: Path) -> int:
    """Lock a file and write into it who has it. Gives its descriptor, to be closed. Raises as RunFolder.locked does."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise FolderInUseError(f"{path.parent} is in use by {holder}; stop it, or wait for its end") from None
        except OSError:  # a file system that has no locks
            pass
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)  # who had the lock has just removed the file
    with contextlib.suppress(OSError):  # a full disk: then others are not told who it is
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}".encode(), 0)
    return descriptor


class RunFolder:
    """A folder for one run."""

    def __init__(self, path: Path) -> None:
        """Make the folder. Raises OSError when it can't be written."""
        self.path = path
        make_folder(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within: nobody else can lock this folder. The lock ends with the process, however that ends.

        Raises FolderInUseError, which names the process that has it, OSError when the folder can't be written."""
        path = self.path / LOCK
        descriptor = take(path)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()  # before the lock is given back, so that it is ours
            os.close(descriptor)

    def clear(self) -> None:
        """Remove what an earlier run left there."""
        for pattern in LEFT:
            for file in self.path.glob(pattern):
                file.unlink()

    def remove(self, name: str) -> None:
        """Remove NAME.json, if it is there."""
        (self.path / f"{name}.json").unlink(missing_ok=True)

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write NAME.json."""
        replace_file(self.path / f"{name}.json", (json.dumps(as_json(value), indent=2) + "\n").encode())

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to log.jsonl. Raises OSError when it can't be written as a whole."""
        path = self.path / "log.jsonl"
        length = path.stat().st_size if path.exists() else 0
        try:
            with open(path, "a") as file:
                file.write(json.dumps(as_json(record)) + "\n")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(path, length)
            raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None

    def rewrite_log(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Make log.jsonl anew of these records: a killed run may have logged more, or less, than it saved."""
        lines = [json.dumps(as_json(record)) + "\n" for record in records]
        replace_file(self.path / "log.jsonl", "".join(lines).encode())

    def save_tensors(self, name: str, tensors: Mapping[str, Any]) -> None:
        """Write tensors by name, such as a model's state_dict, as NAME.safetensors."""
        from safetensors.numpy import save

        arrays = {key: value.detach().contiguous().array() for key, value in tensors.items()}
        replace_file(self.path / f"{name}.safetensors", save(arrays))
