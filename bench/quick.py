"""`make bench-quick`: every comparison in a few minutes, as Markdown for the README."""

from __future__ import annotations

from . import eager, gemm, steps


def main() -> None:
    import sys

    sys.argv[1:] = []
    for part in (steps, gemm, eager):
        part.main()
        print()


if __name__ == "__main__":
    main()
