"""What goes wrong on the command line: a paragraph that says so, exit status 1, 2 or 130, and nothing is lost."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal
import sys

import pytest
import sweep_data

from tinygrad_edu import cli
from tinygrad_edu.datasets import DatasetError
from tinygrad_edu.reports import runner, sweep
from tinygrad_edu.train import Checkpoints, checkpoint, folder


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Small images, no figures, in a folder of its own with a file in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "load", sweep_data.small)
    monkeypatch.setattr(sweep, "draw_result", lambda result: [])
    (tmp_path / "file").write_text("mine")
    return tmp_path


def missing(monkeypatch):
    monkeypatch.setattr(runner, "load", sweep_data.missing)


def nowhere(monkeypatch):
    def load(name, root):
        raise DatasetError("FashionMNIST: nowhere to be found")

    monkeypatch.setattr(runner, "load", load)


def damaged(monkeypatch):
    assert cli.main(["run", "r1-arch-1", "--epochs", "1"]) == 0
    for name in checkpoint.NAMES:
        with open(f"runs/r1-arch-1-as-reported/{name}", "w") as file:
            file.write("damaged")
    os.unlink("runs/r1-arch-1-as-reported/metrics.json")


def no_memory(monkeypatch):
    def load(name, root):
        raise MemoryError

    monkeypatch.setattr(runner, "load", load)


def a_bug(monkeypatch):
    def load(name, root):
        raise IndexError("tuple index out of range")

    monkeypatch.setattr(runner, "load", load)


NOTHING = lambda monkeypatch: None
RUN = ["run", "r1-arch-1", "--epochs", "1"]
SEVERAL = ["run", "r1-arch-1", "r1-arch-2", "--epochs", "1"]
ROWS = [
    # what was made wrong before, the command line, the exit status, what the message says
    (NOTHING, ["run", "r1-arch-9"], 2, ["no run 'r1-arch-9'", "did you mean r1-arch-"]),
    (NOTHING, ["list", "r7"], 2, ["no run 'r7'", "`tinygrad-edu list`"]),
    (NOTHING, ["data", "where", "imagenet"], 2, ["no data set 'imagenet'", "KMNIST"]),
    (NOTHING, ["data", "remove"], 2, ["fetch", "where", "verify"]),
    (missing, ["run", "r4k-final"], 1, ["KMNIST: nowhere to be found"]),
    (nowhere, RUN, 1, ["FashionMNIST: nowhere to be found"]),
    (nowhere, SEVERAL, 1, ["2 of 2 runs failed", "r1-arch-1-as-reported, r1-arch-2-as-reported: FashionMNIST"]),
    (nowhere, ["demo", "--epochs", "1", "--out", "file/x"], 1, ["nowhere to be found"]),
    (NOTHING, [*RUN, "--out", "file"], 1, ["cannot make the folder file/r1-arch-1", "Not a directory"]),
    (NOTHING, [*RUN, "--out", "file/x"], 1, ["cannot make the folder file/x/r1-arch-1", "Not a directory"]),
    (NOTHING, [*RUN, "--out", "/proc/x"], 1, ["cannot make the folder /proc/x"]),
    (NOTHING, [*SEVERAL, "--out", "/proc/x", "--jobs", "2"], 1, ["cannot make the folder /proc/x"]),
    (NOTHING, ["demo", "--epochs", "1", "--out", "file/x"], 1, ["cannot make the folder file/x/r1-arch-8"]),
    (NOTHING, ["report", "r1", "--to", "file/x"], 1, ["file/x"]),
    (damaged, [*RUN, "--resume"], 1, ["checkpoint-0", "checkpoint-1", "damaged", "Without --resume"]),
    (no_memory, RUN, 1, ["MemoryError"]),
    (a_bug, RUN, 1, ["IndexError: tuple index out of range", "TG_DEBUG=trace"]),
]


@pytest.mark.parametrize(("make", "arguments", "status", "words"), ROWS, ids=[" ".join(row[1]) for row in ROWS])
def test_a_paragraph_says_what_is_wrong(quick, monkeypatch, capsys, make, arguments, status, words):
    if "--jobs" in arguments:
        pytest.importorskip("joblib")
    make(monkeypatch)
    capsys.readouterr()
    try:
        found = cli.main(arguments)
    except SystemExit as caught:
        found = caught.code
    text = capsys.readouterr()
    assert found == status
    assert all(word in text.err for word in words) and "tinygrad-edu" in text.err
    assert "Traceback" not in text.err and "[Errno" not in text.err
    assert "\n\n" not in text.err or arguments[0] == "demo"  # whose notice is a paragraph of its own
    assert (quick / "file").read_text() == "mine"


@pytest.mark.parametrize("arguments", [RUN, ["demo"], ["list"], ["report", "r1"], ["data"], ["doctor"]])
def test_ctrl_c_is_a_line_and_130(quick, monkeypatch, capsys, arguments):
    def stop(*_, **__):
        raise KeyboardInterrupt

    places = ["reports.sweep.carry_out_all", "reports.runner.load", "reports.results.read_all", "page.make"]
    for place in [*places, "cli.data.sets_of", "config.show_config", "show_config"]:
        monkeypatch.setattr(f"tinygrad_edu.{place}", stop)
    assert cli.main(arguments) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tinygrad-edu: interrupted") and err.count("\n") == 1


@pytest.mark.parametrize("stream", [None, "ascii", "full"])
def test_output_that_does_not_take_everything(quick, monkeypatch, capsys, stream):
    taken = io.BytesIO()
    file = None if stream is None else open("/dev/full", "w") if stream == "full" else io.TextIOWrapper(taken, stream)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", file)
    if stream is None:
        monkeypatch.setattr(sys, "stderr", None)
    assert cli.main([*SEVERAL, "--seeds", "2"]) == (stream == "full")
    assert len(list((quick / "runs").glob("*/metrics.json"))) == 4
    assert (b" \\xb1 " in taken.getvalue()) == (stream == "ascii")
    assert ("No space left" in capsys.readouterr().err) == (stream == "full")
    for opened in (sys.stdout, sys.stderr) if stream is None else (sys.stdout,):
        with contextlib.suppress(OSError):
            opened.close()


class Full:
    """A file on a disk that is full after half of what is written."""

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
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def weights(out):
    return (out / "r1-arch-1-as-reported/weights.safetensors").read_bytes()


def test_a_disk_that_fills_at_any_write_loses_nothing(quick, monkeypatch, capsys):
    start = ["run", "r1-arch-1", "--epochs", "2"]
    assert cli.main([*start, "--out", "whole"]) == 0
    left = [0]

    def opened(path, mode="r"):
        file = builtins.open(path, mode)  # noqa: SIM115 (the caller closes it)
        left[0] -= mode != "rb"
        return Full(file) if left[0] == 0 else file

    monkeypatch.setattr(folder, "open", opened, raising=False)
    status = 0
    for written in range(1, 100):
        left[0] = written
        capsys.readouterr()
        status = cli.main([*start, "--out", f"out{written}"])
        if left[0] > 0:
            break
        text = capsys.readouterr().err
        assert status == 1 and text.startswith("tinygrad-edu: cannot write ") and "No space left on device" in text
        assert ("--resume" in text) == any((quick / f"out{written}").glob("*/checkpoint-*"))
        log = quick / f"out{written}/r1-arch-1-as-reported/log.jsonl"
        assert not log.exists() or log.read_text().count("\n") == log.read_text().count("}")
        assert not list((quick / f"out{written}").glob("*/*.part"))
        assert cli.main([*start, "--out", f"out{written}", "--resume"]) == 0
        assert weights(quick / f"out{written}") == weights(quick / "whole")
    assert status == 0 and written == 9  # config, twice a line and a checkpoint, weights, pictures, metrics: then none


@pytest.mark.parametrize("times", [1, 2])
def test_the_first_ctrl_c_saves_and_the_second_does_not_wait(quick, monkeypatch, capsys, times):
    start = ["run", "r1-arch-1", "--epochs", "3", "--checkpoint-every", "1"]
    assert cli.main([*start, "--out", "whole"]) == 0
    saves, asked = [], []
    save = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda self, state: (saves.append(state), save(self, state)))

    def due(self, steps):
        asked.append(steps)
        if len(asked) == 1:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return False

    monkeypatch.setattr(Checkpoints, "due", due)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(start) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "--resume" in capsys.readouterr().err
    assert (len(saves), len(asked)) == ((1, 1) if times == 1 else (0, 1))
    assert [state["training"]["position"] > 0 for state in saves] == [True] * (times == 1)
    assert cli.main([*start, "--resume"]) == 0
    assert weights(quick / "runs") == weights(quick / "whole")
