"""Checkpoints: what goes in comes out, damage is noticed, nothing is lost, a killed run ends as if it had not been."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from killed_run import many_images

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.reports import runner
from tinygrad_edu.train import CheckpointError, Checkpoints, checkpoint

STATE = {
    "weights": {"0.weight": tg.tensor([[1.5, -0.0], [float("nan"), float("inf")]]), "empty": tg.zeros(0, 3)},
    "steps": {0: tg.tensor(3.0, dtype=tg.float64), 1: tg.tensor([1, -(2**40)])},
    "flags": tg.tensor([True, False]),
    "bytes": tg.tensor([0, 255], dtype=tg.uint8),
    "column": tg.arange(6).reshape(2, 3)[:, 1],
    "numbers": [1, 0.1, -0.0, 1e-310, 2**70, None, True, "ü/\n"],
    "pair": (0.9, (1, 2)),
    "nothing": {},
}


def plain(value):
    """A state with arrays as types and bytes, for comparison."""
    if isinstance(value, tg.Tensor):
        array = value.detach().contiguous().array()
        return str(array.dtype), array.shape, array.tobytes()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return type(value), repr(value)


def test_a_state_comes_back_to_the_bit(tmp_path):
    checkpoint.save(tmp_path / "c", STATE)
    assert plain(checkpoint.load(tmp_path / "c")) == plain(STATE)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"/scheduler/lr_lambda.*function"):
        checkpoint.save(tmp_path / "c", {"scheduler": {"lr_lambda": lambda epoch: epoch}})
    assert not (tmp_path / "c").exists()


def test_damage_anywhere_is_noticed(tmp_path):
    path = tmp_path / "c"
    checkpoint.save(path, STATE)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    places = sorted({0, 7, 8, len(whole) - 1, *rng.integers(0, len(whole), 300).tolist()})
    for place in places:
        bad = bytearray(whole)
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            found = checkpoint.load(path)
        except CheckpointError as error:
            assert str(path) in str(error)
        else:  # a blank in the header's padding, say
            assert plain(found) == plain(STATE), place
    for length in (0, 5, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"damaged|no checkpoint"):
            checkpoint.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "weights")
    with pytest.raises(CheckpointError, match="no checkpoint of this version"):
        checkpoint.load(tmp_path / "weights")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "missing")


def test_two_generations_and_the_newer_good_one_is_never_written_to(tmp_path):
    kept = Checkpoints(tmp_path)
    assert kept.load() is None
    for k in range(5):
        kept.save({"k": k})
    assert Checkpoints(tmp_path).load() == {"k": 4}
    newest = max(kept.paths, key=lambda path: checkpoint.load(path)["number"])
    newest.write_bytes(newest.read_bytes()[:-9])
    again = Checkpoints(tmp_path)
    assert again.load() == {"k": 3} and len(again.damaged) == 1 and str(newest) in again.damaged[0]
    good = next(path for path in kept.paths if path != newest)
    before = good.read_bytes()
    again.save({"k": 9})  # in place of the damaged one
    assert good.read_bytes() == before and Checkpoints(tmp_path).load() == {"k": 9}
    for path in kept.paths:
        path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"checkpoint-0.*checkpoint-1.*Without --resume"):
        Checkpoints(tmp_path).load()


def test_when_a_checkpoint_is_due(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    by_steps, by_time, never = (Checkpoints(tmp_path, *limits) for limits in ((10, None), (None, 5.0), (None, None)))
    assert [by_steps.due(4) for _ in range(3)] == [False, False, True]
    by_steps.save({})
    assert not by_steps.due(9) and by_steps.due(1)
    assert not by_time.due(10**6)
    now[0] += 5
    assert by_time.due(1) and not never.due(10**6)
    by_time.save({})
    assert not by_time.due(1)


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """The limit on a file's size stands in for the disk's: writing fails half way through."""
    kept = Checkpoints(tmp_path)
    kept.save({"k": 1})
    kept.save({"k": 2})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*checkpoint-0.*: File too large"):
            kept.save({"big": tg.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(p.name for p in tmp_path.iterdir()) == list(checkpoint.NAMES)
    assert Checkpoints(tmp_path).load() == {"k": 2}


def test_a_run_on_a_full_disk_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", many_images)
    whole, left = os.fsync, [4]  # config.json's and a checkpoint's two each

    def fsync(file):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(file)

    arguments = ["run", "r3-ann", "--epochs", "3", "--checkpoint-every", "5", "--out", str(tmp_path)]
    monkeypatch.setattr(os, "fsync", fsync)
    assert cli.main(arguments) == 1
    text = capsys.readouterr().err
    assert "No space left on device" in text and "checkpoint-" in text and "--resume" in text
    left[0] = 10**9
    assert cli.main([*arguments, "--resume"]) == 0
    text = capsys.readouterr().err
    assert "resumed at epoch 1" in text and "image 0 of" not in text


def test_other_settings_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", many_images)
    start = ["run", "r3-ann", "--out", str(tmp_path)]
    assert cli.main([*start, "--epochs", "1"]) == 0
    assert cli.main([*start, "--resume", "--lr", "0.1"]) == 1
    assert "lr 0.001, now 0.1" in capsys.readouterr().err
    assert cli.main([*start, "--resume", "--epochs", "2", "--patience", "9"]) == 0  # these only say when to stop
    start += ["--seed", "1", "--schedule", "onecycle"]
    assert cli.main([*start, "--epochs", "1"]) == 0
    assert cli.main([*start, "--resume", "--epochs", "2"]) == 1  # here the schedule depends on it
    assert "epochs 1, now 2" in capsys.readouterr().err
    assert cli.main(["run", "r3-opt-sgd", "--epochs", "1", "--resume", "--out", str(tmp_path)]) == 0
    assert "no checkpoint, starting anew" in capsys.readouterr().err


RUNS = {
    "r3-ann-modified": ["--schedule", "onecycle", "--lr", "0.003"],  # batch norm's buffers, dropout, a schedule
    "r3-ann-modified-aug": [],
    "r3-cnn": [],
    "r3-opt-rmsprop": [],
    "r2-final-a": [],  # momentum from the last epoch on
    "r4k-patch-2": [],  # a schedule that goes on after every epoch, as told the training's running sums
    "r1-batch-256": ["--mode", "corrected", "--checkpoint-every", "1"],
    "r1-batch-512": ["--checkpoint-every", "1"],
}
KILLS = [
    pytest.param("r3-ann-modified", "after steps", 13, marks=pytest.mark.slow),  # of 20 in an epoch
    ("r3-ann-modified", "after steps", 46),
    ("r3-ann-modified", "before a checkpoint", 3),  # of 4 in an epoch
    pytest.param("r3-ann-modified", "before a checkpoint", 4, marks=pytest.mark.slow),
    ("r3-ann-modified", "before its renaming", 6),
    ("r3-ann-modified", "within its writing", 7),
    ("r3-ann-modified", "before the weights", 1),
    ("r3-ann-modified", "after steps", 2),  # before there is a checkpoint
    ("r3-ann-modified-aug", "after steps", 27),
    pytest.param("r3-cnn", "after steps", 50, marks=pytest.mark.slow),
    pytest.param("r3-opt-rmsprop", "after steps", 30, marks=pytest.mark.slow),
    ("r2-final-a", "after steps", 43),  # of 17 that are told of in an epoch
    pytest.param("r2-final-a", "before a checkpoint", 9, marks=pytest.mark.slow),  # the first of the third epoch
    ("r4k-patch-2", "after steps", 53),  # of 24 in an epoch
    ("r1-batch-256", "after steps", 15),
    ("r1-batch-512", "after steps", 9),
]


def arguments(run, out, *more):
    return ["run", run, "--epochs", "3", "--checkpoint-every", "5", *RUNS[run], "--out", str(out), *more]


def start(moment, times, arguments, log):
    """The child, whose stderr goes to a file."""
    paths = [str(Path(__file__).parent), str(Path(tg.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    program = [sys.executable, str(Path(__file__).with_name("killed_run.py")), moment, str(times), *arguments]
    with open(log, "w") as file:
        return subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=file)


def without_seconds(value):
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if k not in ("seconds", "train_seconds", "threads")}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value


def left_by(out):
    """What a finished run left: everything but the clock's readings."""
    (path,) = (p for p in out.iterdir() if p.is_dir())
    names = {p.name: p.read_bytes() for p in path.iterdir() if p.name in ("weights.safetensors", "best.safetensors")}
    log = [without_seconds(json.loads(line)) for line in (path / "log.jsonl").read_text().splitlines()]
    metrics = without_seconds(json.loads((path / "metrics.json").read_text()))
    state = without_seconds(Checkpoints(path).load())
    assert not list(path.glob("*.part"))
    return names, log, metrics, plain(state)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What each run leaves when nothing happens to it; made when first asked for."""
    known = {}

    def make(run):
        if run not in known:
            out = tmp_path_factory.mktemp(run)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(runner, "load", many_images)
                assert cli.main(arguments(run, out)) == 0
            known[run] = left_by(out)
        return known[run]

    return make


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(("run", "moment", "times"), KILLS)
def test_a_killed_run_ends_with_the_same_bytes(run, moment, times, tmp_path, undisturbed):
    out, log = tmp_path / "out", tmp_path / "log"
    assert start(moment, times, arguments(run, out), log).wait() == -signal.SIGKILL, log.read_text()
    early = (moment, times) == ("after steps", 2)
    ended = start("never", 0, arguments(run, out, "--resume", "--threads", "1"), log).wait()
    text = log.read_text()
    assert ended == 0, text
    assert ("starting anew" if early else "resumed at epoch") in text
    if moment == "after steps" and not early:
        assert "image 0 of" not in text  # it was in the middle of an epoch
    for ours, theirs in zip(left_by(out), undisturbed(run), strict=True):
        assert ours == theirs


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_from_outside_twice_and_with_the_last_checkpoint_damaged(tmp_path, undisturbed):
    run, out, log = "r3-ann-modified", tmp_path / "out", tmp_path / "log"
    path = out / run
    for k in range(2):
        child = start("never", 0, arguments(run, out, "--resume"), log)
        before = {p.name: p.read_bytes() for p in path.glob("checkpoint-?.safetensors")}
        while {p.name: p.read_bytes() for p in path.glob("checkpoint-?.safetensors")} == before:
            assert child.poll() is None, log.read_text()
            time.sleep(0.0005)
        child.kill()
        assert child.wait() == -signal.SIGKILL, f"kill {k} came too late"
    files = sorted(path.glob("checkpoint-?.safetensors"), key=lambda p: checkpoint.load(p)["number"])
    damaged = bytearray(files[-1].read_bytes())
    damaged[-20] ^= 1
    files[-1].write_bytes(damaged)
    ended = start("never", 0, arguments(run, out, "--resume"), log).wait()
    text = log.read_text()
    assert ended == 0 and files[-1].name in text and "is damaged" in text, text
    for ours, theirs in zip(left_by(out), undisturbed(run), strict=True):
        assert ours == theirs


def test_a_finished_run_resumed_does_nothing_more(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(runner, "load", many_images)
    for more in ([], ["--resume"]):
        assert cli.main(arguments("r1-batch-512", tmp_path, *more)) == 0
        for ours, theirs in zip(left_by(tmp_path), undisturbed("r1-batch-512"), strict=True):
            assert ours == theirs
