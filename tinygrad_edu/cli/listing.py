"""tinygrad-edu list: every run, what the report says of it, what came of it here. Read next: ../reports/tables.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("list", help="show all runs and the reports' figures", description="Show all runs.")
    parser.set_defaults(command=list_command)


def list_command(args: argparse.Namespace, usage: Callable[[str], Any]) -> int:
    """tinygrad-edu list"""
    from ..reports.tables import listing

    print(listing())
    return 0
