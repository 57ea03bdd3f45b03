"""A program for tests: tinygrad-edu on small images, which kills itself (SIGKILL) at a chosen moment.

python killed_run.py MOMENT TIMES ARGUMENTS...    dies the TIMES-th time that it comes to MOMENT; "never" to live on
"""

import builtins
import os
import signal
import sys

import numpy as np
from small_images import SmallImages

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.reports import runner, sweep
from tinygrad_edu.train import checkpoint, folder


class ManyImages(SmallImages):
    """The small images ten times, each time with other noise: twenty steps of 128 an epoch."""

    def load(self, root, train, download):
        images, labels = super().load(root, train, download)
        many = np.tile(images.numpy(), (10, 1, 1)).astype(int)
        noise = np.random.default_rng(3).normal(0, 60, many.shape)
        return tg.from_numpy(np.clip(many + noise, 0, 255).astype(np.uint8)), labels.repeat(10)


def many_images(name="", root=None):
    return ManyImages(train=True), ManyImages(train=False)


def die_at(moment, times):
    left = [times]

    def count(by=1):
        left[0] -= by
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(owner, name, by=lambda *args: 1):
        function = getattr(owner, name)
        setattr(owner, name, lambda *args: (count(by(*args)), function(*args))[1])

    if moment == "after steps":
        before(checkpoint.Checkpoints, "due", lambda self, steps: steps)
    elif moment == "before a checkpoint":
        before(checkpoint.Checkpoints, "save")
    elif moment == "before its renaming":
        replace = os.replace
        os.replace = lambda a, b: (count("checkpoint" in str(a)), replace(a, b))[1]
    elif moment == "within its writing":

        class Half:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, data):
                self.file.write(data[: len(data) // 2])
                self.file.flush()
                count()
                self.file.write(data[len(data) // 2 :])

        def opened(path, mode="r"):
            file = builtins.open(path, mode)  # noqa: SIM115 (the caller closes it)
            return Half(file) if "checkpoint" in str(path) else file

        folder.open = opened
    elif moment == "before the weights":
        before(folder.RunFolder, "save_tensors")
    else:
        assert moment == "never", moment


if __name__ == "__main__":
    runner.load = many_images
    sweep.draw_result = lambda result: []  # half of the time
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(cli.main(sys.argv[3:]))
