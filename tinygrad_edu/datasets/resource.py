"""One file of a data set, wherever it may lie: found in the usual folders, else downloaded, and always checked.

What is checked are the decompressed bytes, since the same data lies about in .gz files that differ in their headers
(Debian's from the official ones). A damaged file is an error, never skipped in silence. Read next: vision.py.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .download import DownloadError, download, reason

ROOT_VARIABLE = "TINYGRAD_EDU_DATA"


class DatasetError(RuntimeError):
    """A data set is not there, or a file of it is damaged; the message says where it was looked for and what to do."""


@dataclass(frozen=True)
class Resource:
    """A file, plain as `name` or compressed as `name`.gz, and what it holds when decompressed.

    packed=False: what it holds are its own bytes, be they compressed."""

    name: str
    size: int
    sha256: str
    packed: bool = True

    def read(self, path: Path) -> bytes:
        """The decompressed contents of `path`. Raises ValueError when they are not what they should be."""
        try:
            with open(path, "rb") as plain:
                packed = self.packed and plain.read(2) == b"\x1f\x8b"
            with gzip.open(path) if packed else open(path, "rb") as file:
                data = file.read(self.size + 1)  # one more, to notice what is too long without reading all of it
                if packed and len(data) == self.size:
                    file.read(1)  # gzip compares its own checksum only at the end
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if len(data) < self.size:
            raise ValueError(f"{path} is truncated: {len(data)} bytes of data, expected {self.size}")
        if len(data) > self.size:
            raise ValueError(f"{path} is too long: more than the {self.size} bytes of data expected")
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise ValueError(f"{path} is damaged or of another data set: SHA-256 {found}, expected {self.sha256}")
        return data


@dataclass(frozen=True)
class Source:
    """Where the files of one data set lie: `folder` in torchvision's tree, `other` elsewhere; `hint`: one more way."""

    folder: str
    other: str
    mirrors: Sequence[str]
    hint: str = ""

    def places(self, root: str | os.PathLike[str] | None) -> list[Path]:
        """The folders to look in, in this order, for a root given by the user (or None)."""
        places = []
        for base in (root, os.environ.get(ROOT_VARIABLE) or None):
            if base is not None:
                base = Path(base).expanduser()
                places += [base / self.folder / "raw", base / self.folder, base / self.other, base]
        home = Path.home()
        places += [Path("data") / self.folder / "raw", Path("data") / self.folder, Path("data") / self.other]
        places.append(Path(os.environ.get("KERAS_HOME") or home / ".keras") / "datasets" / self.other)
        places.append(Path("/usr/share/datasets") / self.other)
        places.append(user_cache() / self.folder / "raw")
        return list(dict.fromkeys(places))

    def target(self, root: str | os.PathLike[str] | None) -> Path:
        """Where a download goes: into the root given, else the environment's, else the user's cache."""
        base = root if root is not None else os.environ.get(ROOT_VARIABLE) or user_cache()
        return Path(base).expanduser() / self.folder / "raw"

    def find(self, resource: Resource, root: str | os.PathLike[str] | None) -> Path | None:
        """The first file of that name, plain or compressed."""
        for place in self.places(root):
            for name in (resource.name, resource.name + ".gz"):
                if (place / name).is_file():
                    return place / name
        return None

    def load(self, resource: Resource, root: str | os.PathLike[str] | None, fetch: bool) -> bytes:
        """The contents of the resource, downloaded first where it is missing and `fetch` says so.

        Raises DatasetError when it can't be had or is damaged.
        """
        path = self.find(resource, root)
        failure = ""
        if path is None and fetch:
            target = self.target(root) / (resource.name + ".gz")
            urls = [f"{mirror}{resource.name}.gz" for mirror in self.mirrors]
            try:
                download(urls, target, resource.read)
                path = target
            except (DownloadError, OSError) as error:
                failure = f"{reason(error)}\n"
        if path is None:
            raise DatasetError(failure + self.advice(resource, root, fetch))
        try:
            return resource.read(path)
        except (ValueError, OSError) as error:
            raise DatasetError(
                f"{reason(error)}\nDelete that file, or name a folder with a good one by root=."
            ) from None

    def advice(self, resource: Resource, root: str | os.PathLike[str] | None, fetched: bool) -> str:
        """Where was looked, and how the data can be had."""
        looked = "\n  ".join(str(place) for place in self.places(root))
        ways = ["" if fetched else "download it with download=True"]
        ending, endings = (".gz", "[.gz]") if resource.packed else ("", "")
        ways += [f"put {resource.name}{ending} from {self.mirrors[0]} into {self.target(root)}", self.hint]
        get = ", or ".join(way for way in ways if way)
        return (
            f"{self.folder}: {resource.name}{endings} was not found in\n  {looked}\nTo get it, {get}. "
            f"Data lying elsewhere is found through root= or the environment variable {ROOT_VARIABLE}."
        )


def user_cache() -> Path:
    """The folder for this user's downloads, by the system's custom."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tinygrad_edu"
