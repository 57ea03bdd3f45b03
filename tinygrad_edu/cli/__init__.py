"""The command line, tinygrad-edu: run the reports' models, list them, watch a demonstration, look after the data.

Thin: arguments in, what ../reports made out; a module a command. Exit status 2 for a wrong command line, 1 for what
failed, with a paragraph that says why, 130 after Ctrl-C. Read next: run.py, ../reports/sweep.py.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from . import data, doctor, listing, report, run

# Each has add(commands), whose command gives the exit status, and where one can go on, `again` says how.
COMMANDS = (run, listing, report, data, doctor)


def arguments() -> argparse.ArgumentParser:
    """The parser."""
    parser = argparse.ArgumentParser(prog="tinygrad-edu", description="Train the reports' models with tinygrad_edu.")
    commands = parser.add_subparsers(metavar="command", required=True)
    for module in COMMANDS:
        module.add(commands)
    for command in commands.choices.values():
        command.set_defaults(usage=command.error)
    return parser


def prepare_output() -> None:
    """Nothing that is printed fails for its letters (the system's may not have all of ours) or for a closed stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the process)
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    prepare_output()
    parser = arguments()
    args = parser.parse_args(argv)
    try:
        status = int(args.command(args, args.usage))
        sys.stdout.flush()  # what can't be written is an error while there is someone to say so
        return status
    except BrokenPipeError:  # who read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (RuntimeError, ValueError, OSError, MemoryError, ImportError) as error:
        if "trace" in os.environ.get("TG_DEBUG", ""):
            raise
        from ..datasets.download import reason

        print(f"tinygrad-edu: {reason(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"tinygrad-edu: interrupted{getattr(args, 'again', '')}", file=sys.stderr)
        return 130
