"""tinygrad-edu data: fetch the data sets, say where their files are, check them. Read next: ../datasets/resource.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import data_argument

if TYPE_CHECKING:
    from ..datasets import ImageDataset
    from ..datasets.resource import Resource

ACTIONS = ("fetch", "where", "verify")
NAMES = ("FashionMNIST", "KMNIST", "CIFAR10", "MNIST")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "data",
        help="fetch the data sets, say where they are, check them",
        description="fetch: download what is missing; where: say where each file is; verify: read each file and "
        f"compare its SHA-256. Data sets: {', '.join(NAMES)} (default: all).",
    )
    parser.set_defaults(command=data_command, again=". The same command goes on where it was.")
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="where", help="(default: where)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a data set, such as KMNIST")
    data_argument(parser.add_argument)


def plain(name: str) -> str:
    """So that fashion-mnist is FashionMNIST."""
    return name.lower().replace("-", "").replace("_", "")


def sets_of(names: Sequence[str]) -> list[type[ImageDataset]]:
    """The data sets of those names, all if there are none. Raises ValueError for another name."""
    from .. import datasets

    known = {plain(name): name for name in NAMES}
    wrong = [name for name in names if plain(name) not in known]
    if wrong:
        raise ValueError(f"there is no data set {wrong[0]!r}; there are {', '.join(NAMES)}")
    return [getattr(datasets, known[plain(name)]) for name in names or NAMES]


def files_of(kind: Any) -> list[Resource]:
    """The files of a data set."""
    parts = kind.batches if hasattr(kind, "batches") else kind.resources
    return list(dict.fromkeys(resource for train in (True, False) for resource in parts[train]))


def look(kind: Any, resource: Resource, root: str | None, read: bool) -> tuple[str, str]:
    """Where a file is ("" if nowhere), and what is wrong with it as far as was looked."""
    from ..datasets.download import reason

    path = kind.source.find(resource, root)
    if path is None:
        archive = kind.source.find(kind.archive, root) if hasattr(kind, "archive") else None
        if archive is None:
            return "", ""
        resource, path = kind.archive, archive  # to be unpacked when it is first used
    try:
        if read:
            resource.read(path)
    except (ValueError, OSError) as error:
        return str(path), reason(error)
    return str(path), ""


def data_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu data"""
    try:
        kinds = sets_of(args.names)
    except ValueError as error:
        usage(str(error))
    return fetch(kinds, args.data) if args.action == "fetch" else show(kinds, args.data, args.action == "verify")


def show(kinds: Sequence[Any], root: str | None, read: bool) -> int:
    """tinygrad-edu data where, verify"""
    missing, wrong = [], []
    for kind in kinds:
        print(kind.__name__)
        for resource in files_of(kind):
            path, error = look(kind, resource, root, read)
            if not path:
                missing.append(kind.__name__)
            if error:
                wrong.append(error)
            state = "good     " if read and path and not error else "DAMAGED  " if error else ""
            print(f"  {resource.name:23}  {state}{path or 'missing'}", flush=True)
    if missing:
        names = " ".join(dict.fromkeys(missing))
        print(
            f"tinygrad-edu: {len(missing)} file{'s are' if len(missing) > 1 else ' is'} missing. "
            f"To download: tinygrad-edu data fetch {names}. Files that lie elsewhere are found through --data or the "
            "environment variable TINYGRAD_EDU_DATA.",
            file=sys.stderr,
        )
    for error in dict.fromkeys(wrong):
        print(f"tinygrad-edu: {error}. Delete that file; `tinygrad-edu data fetch` gets a good one.", file=sys.stderr)
    return 1 if missing or wrong else 0


def fetch(kinds: Sequence[Any], root: str | None) -> int:
    """tinygrad-edu data fetch: each set as far as it can be had."""
    from ..datasets import DatasetError

    status = 0
    for kind in kinds:
        try:
            count = sum(len(kind(root, train=train, download=True)) for train in (True, False))
        except DatasetError as error:
            print(f"tinygrad-edu: {error}", file=sys.stderr)
            status = 1
        else:
            folders = sorted({str(kind.source.find(resource, root).parent) for resource in files_of(kind)})
            print(f"{kind.__name__}: {count:,} images in {' and '.join(folders)}", flush=True)
    return status
