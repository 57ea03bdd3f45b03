"""Progress on a terminal, in a log file and in a notebook: what is written, and how much of it."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

from tinygrad_edu.train.progress import progress


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def train(bar, epochs=3, batches=4):
    for epoch in range(1, epochs + 1):
        for _ in range(batches):
            bar.advance(100)
        bar.advance(0, epoch=str(epoch), loss="0.500")


def test_a_bar_on_a_terminal_takes_one_line(monkeypatch):
    pytest.importorskip("tqdm")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("r1-arch-8", 1600, done=400) as bar:
        train(bar)
    text = screen.getvalue()
    assert text.count("\n") == 1 and "100%" in text and "1600/1600" in text and "epoch=3, loss=0.500" in text
    screen.truncate(0)
    with progress("4 runs", 40, unit="epochs") as bar:
        bar.line("r1-arch-8: done")
    above = screen.getvalue().split("\r")
    assert "r1-arch-8: done\n" in [line.lstrip("\x00") for line in above]  # the bar was wiped out before


def test_a_short_job_leaves_nothing_in_a_log_file(capsys):
    with progress("r1-arch-8", 1200) as bar:
        train(bar)
    assert capsys.readouterr() == ("", "")


def test_a_long_job_leaves_a_line_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress("r3-cnn", 1000, done=100) as bar:
        for image in range(100, 1000):
            now[0] += 1.0
            bar.advance(1)
            if image % 3 == 0:
                bar.advance(0, epoch=str(image), loss="0.500")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 75  # in 900 seconds, after news every third
    assert lines[0] == "r3-cnn: 112 of 1,000 images after 00:00:12, epoch 111, loss 0.500"


def test_a_long_epoch_leaves_a_line_a_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress("r3-cnn", 3600) as bar:
        for _ in range(3600):
            now[0] += 1.0
            bar.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 60 and lines[-1] == "r3-cnn: 3,600 of 3,600 images after 01:00:00"


NOTEBOOK = """
import sys, types
{kernel}
from tinygrad_edu.train.progress import progress
with progress("r1-arch-8", 1200) as bar:
    bar.advance(1200, epoch="1")
print(type(bar).__name__)
"""
KERNEL = """
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
sys.modules["IPython"] = types.ModuleType("IPython")
class ZMQInteractiveShell: pass
sys.modules["IPython"].get_ipython = ZMQInteractiveShell
sys.modules["ipywidgets"] = None
"""


@pytest.mark.parametrize("kernel", ["", KERNEL, 'sys.modules["tqdm"] = None'], ids=["script", "notebook", "no tqdm"])
def test_without_a_terminal_ipywidgets_or_tqdm_nothing_warns(kernel):
    command = [sys.executable, "-W", "error", "-c", NOTEBOOK.format(kernel=kernel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Lines\n", "")
