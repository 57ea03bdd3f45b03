"""Folders of finished runs of every report, really trained, on small images that pass for the reports' data."""

from __future__ import annotations

from small_images import SmallImages

import tinygrad_edu as tg
from tinygrad_edu.reports import RUNS
from tinygrad_edu.reports.report import Options
from tinygrad_edu.reports.runner import carry_out

RUN = [
    ("r1-batch-4096", "as-reported", 42),
    ("r1-batch-4096", "corrected", 42),
    ("r1-arch-1", "as-reported", 42),
    ("r2-l2-1e-4", "as-reported", 42),
    ("r2-lr-0.01", "as-reported", 42),  # in both modes the same, as is the next, of a group of such
    ("r2-dropout-0.15", "as-reported", 42),
    ("r3-ann", None, 42),
    ("r3-ann", None, 43),
    ("r3-cnn", None, 42),  # of fewer epochs than the report's
    ("r4k-patch-2", None, 42),
]


class Mislabelled(SmallImages):
    """A tenth of the test images has another class's label, so that every model makes mistakes."""

    def load(self, root, train, download):
        images, labels = super().load(root, train, download)
        if not train:
            labels = tg.cat([(labels[:10] + 1) % 10, labels[10:]])
        return images, labels


def small_runs(out, some=RUN):
    """Carry them out, with as many epochs as runs of their names have; returns the folder."""
    for name, mode, seed in some:
        kind = type(RUNS[name].data, (Mislabelled,), {})
        data = kind(train=True), kind(train=False)
        carry_out(RUNS[name], Options(mode=mode, seed=seed, out=str(out), checkpoint_seconds=None), data)
    return out
