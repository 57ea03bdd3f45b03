"""Data for tests of sweeps, by functions that other processes can import; and a program that sweeps on them.

python sweep_data.py ARGUMENTS...    tinygrad-edu on the small images of killed_run.py
"""

import os
import signal
import sys

from killed_run import many_images
from small_images import small_images

from tinygrad_edu import cli
from tinygrad_edu.datasets import DatasetError
from tinygrad_edu.reports import runner, sweep


def small(name, root):
    sweep.draw_result = lambda result: []  # in the process where this is called: it takes half of the time
    return small_images()


def missing(name, root):
    if name == "KMNIST":
        raise DatasetError("KMNIST: nowhere to be found")
    return small(name, root)


def deadly(name, root):
    if name == "KMNIST":
        os.kill(os.getpid(), signal.SIGKILL)
    return small(name, root)


if __name__ == "__main__":
    runner.load = many_images
    sys.exit(cli.main(sys.argv[1:]))
