"""Fetch a file over HTTP: into a .part file beside its place, continued where it stopped, renamed when it is whole.

What the file must hold is the caller's to say: `check` sees the finished .part before anything takes its name. No
parallel connections and no credentials. Read next: resource.py, which knows what to fetch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte, after which the next mirror has its turn
TRIES = 3  # of one mirror, each going on where the last one stopped


class DownloadError(RuntimeError):
    """No mirror had the file; the message says what each one answered."""


def download(urls: Sequence[str], path: Path, check: Callable[[Path], object], progress: bool = True) -> None:
    """Fetch `path` from the first of `urls` that has it, and `check` it (which raises ValueError for wrong contents).

    A broken connection leaves PATH.part, where the next call goes on. Raises DownloadError when no mirror served, and
    OSError when the folder can't be written.
    """
    from ssl import SSLError

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    answers = []
    for url in urls:
        for _ in range(TRIES):
            before = _size(part)
            try:
                _fetch(url, part, progress)
                check(part)
            except _Refused as error:  # the mirror is well and has not got it
                answers.append(f"{url}: {error}")
                break
            except ValueError as error:  # the contents are wrong; if an old part was in it, it deserves a fresh start
                part.unlink(missing_ok=True)
                answers.append(f"{url}: {error}")
                if not before:
                    break
            except (ConnectionError, TimeoutError, HTTPException, SSLError) as error:
                answers.append(f"{url}: {type(error).__name__}: {reason(error)}")
                if _size(part) <= before:
                    break
            else:
                os.replace(part, path)
                return
    raise DownloadError(f"could not download {path.name}:\n  " + "\n  ".join(answers))


class _Refused(Exception):
    """The server answered with an error status, or there is no way to it."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def reason(error: BaseException) -> str:
    """What went wrong, without the system's number; what it happened to, where the error knows it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _fetch(url: str, part: Path, progress: bool) -> None:
    """Append to `part` what is missing of the file at `url`. Raises ConnectionError when the connection ends early."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    have = _size(part)
    headers = {"User-Agent": "tinygrad_edu", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing lies beyond what is here: whole, or of another version; check() will tell
            return
        raise _Refused(f"HTTP {error.code} {error.reason}") from None
    except URLError as error:
        raise _Refused(str(error.reason)) from None
    with response:
        resumed = response.status == 206
        have = have if resumed else 0  # a server that ignores Range sends all of it again
        length = response.length  # None where the server does not say it, or says no number
        total = None if length is None else have + length
        with open(part, "ab" if resumed else "wb") as file, _bar(part.stem, have, total, progress) as advance:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                advance(len(chunk))
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


@contextlib.contextmanager
def _bar(name: str, have: int, total: int | None, progress: bool) -> Iterator[Callable[[int], Any]]:
    """A progress bar on the terminal, where there is one and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda n: None
        return
    disable = None if progress else True  # None: silent unless on a terminal
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=disable) as bar:
        yield bar.update
