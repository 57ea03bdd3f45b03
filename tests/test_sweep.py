"""Sweeps: which runs are meant, that parallel ones end as single ones do, and that nothing takes others with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweep_data

from tinygrad_edu import cli
from tinygrad_edu.reports import REPORTS, RUNS, runner, sweep
from tinygrad_edu.reports.report import Options
from tinygrad_edu.train import Checkpoints

# Of both modes two, and one that fails where KMNIST is missing or kills. Batches are of all 300 images and of 128.
SOME = ["r1-batch-4096", "r1-arch-1", "--mode", "both", "--epochs", "2"]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """No figures, in a folder of its own."""
    pytest.importorskip("joblib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "draw_result", lambda result: [])
    monkeypatch.setattr("tinygrad_edu.reports.figures.draw_together", lambda results, path: "figure: none")
    monkeypatch.setattr(runner, "load", sweep_data.small)
    return tmp_path


def of(prefix):
    return [name for name in RUNS if name.startswith(prefix)]


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["r1-arch-1"], ["r1-arch-1"]),
        (["r3-ann"], ["r3-ann"]),  # not r3-ann-modified
        (["r1-batch-1"], ["r1-batch-16", "r1-batch-128", "r1-batch-1024"]),
        (["r1-*-8"], ["r1-batch-8", "r1-arch-8"]),
        (["r2"], of("r2-")),
        (["r4k-final", "r4k", "r4k-final"], ["r4k-final", *(name for name in of("r4k") if name != "r4k-final")]),
        (["*"], list(RUNS)),
    ],
)
def test_runs_are_meant_by_id_or_beginning_or_pattern(names, meant):
    assert [run.name for run in sweep.select(names)] == meant


@pytest.mark.parametrize("name", ["", "r9", "r1-arch-9", "x*"])
def test_a_name_that_means_nothing(name):
    with pytest.raises(ValueError, match="there is no run"):
        sweep.select([name])


def test_jobs():
    def titles(*names, seeds=1, **options):
        return [job.title for job in sweep.jobs_of(sweep.select(names), Options(**options), seeds)]

    assert titles("r1-arch-1") == ["r1-arch-1-as-reported"]
    assert titles("r1-arch-1", mode="both", seeds=2) == [
        f"r1-arch-1-{mode}{seed}" for mode in ("as-reported", "corrected") for seed in ("", "-seed43")
    ]
    assert titles("r4k-64", mode="both", seed=7) == ["r4k-64-seed7"]
    assert titles("r2-opt-sgd", mode="both") == ["r2-opt-sgd-as-reported"]  # the modes are alike
    assert titles("r2-lr-0.001", mode="both") == ["r2-lr-0.001-as-reported", "r2-lr-0.001-corrected"]
    for wrong in ({"seed": 2**32 - 1, "seeds": 2}, {"mode": "corrected"}, {"clip_grad_norm": 1.0, "mode": "both"}):
        with pytest.raises(ValueError, match=r"seeds|not for"):
            titles("r4k-64", **wrong)


def test_the_longest_come_first():
    jobs = sweep.jobs_of([*REPORTS["r1"].RUNS.values()], Options(epochs=3))
    first, *_, last = sorted(jobs, key=sweep.length, reverse=True)
    assert first.run.startswith("r1-lr-") and last.run == "r1-batch-4096"
    assert sweep.length(jobs[3]) == pytest.approx(507 * 3 / 30)
    assert sweep.length(sweep.Job("r2-epochs-50", Options())) > sweep.length(sweep.Job("r2-epochs-10", Options()))


def results(out):
    """What runs left, but for the time they took and the threads they had."""
    found = {}
    for folder in sorted(Path(out).iterdir()):
        metrics = json.loads((folder / "metrics.json").read_text())
        del metrics["train_seconds"], metrics["threads"]
        found[folder.name] = metrics, (folder / "weights.safetensors").read_bytes()
    return found


def backend(name):
    """The options for parallel runs."""
    if name == "dask":
        pytest.importorskip("distributed")
    return ["--jobs", "2", "--backend", name]


@pytest.mark.parametrize("name", ["loky", "dask"])
def test_parallel_runs_end_as_single_ones_do(quick, capsys, name):
    assert cli.main(["run", *SOME, "--out", "one"]) == 0
    capsys.readouterr()
    assert cli.main(["run", *SOME, "--out", "two", *backend(name), "--json"]) == 0
    text = capsys.readouterr()
    assert results("two") == results("one") and len(results("one")) == 4
    lines = [json.loads(line) for line in text.out.splitlines()[-4:]]
    assert [(line["run"], line["mode"]) for line in lines] == [
        (run, mode) for run in ("r1-batch-4096", "r1-arch-1") for mode in ("as-reported", "corrected")
    ]
    assert {line["threads"] for line in lines} == {1}
    assert text.err.count("test accuracy") == 4 and "±" not in text.out


def test_one_failure_leaves_the_others(quick, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", sweep_data.missing)
    names = ["r4k-64", "r1-arch-1", "r4k-128"]
    assert cli.main(["run", *names, "--epochs", "1", "--jobs", "2", "--json"]) == 1
    text = capsys.readouterr()
    lines = [json.loads(line) for line in text.out.splitlines()[-3:]]
    assert [("error" in line, line["run"]) for line in lines] == [
        (True, "r4k-64"),
        (False, "r1-arch-1"),
        (True, "r4k-128"),
    ]
    assert text.err.splitlines()[-2:] == [
        "tinygrad-edu: 2 of 3 runs failed",
        "  r4k-64, r4k-128: KMNIST: nowhere to be found",
    ]
    assert [p.name for p in (quick / "runs").iterdir()] == ["r1-arch-1-as-reported"]
    weights = quick / "runs/r1-arch-1-as-reported/weights.safetensors"
    before = weights.stat().st_mtime_ns
    names = ["r1-arch-1", "r1-arch-2"]  # once the cause is mended
    assert cli.main(["run", *names, "--epochs", "1", "--jobs", "2", "--resume"]) == 0
    assert capsys.readouterr().err.count("finished before") == 1 and weights.stat().st_mtime_ns == before
    assert set(results("runs")) == {f"{name}-as-reported" for name in names}


def test_a_process_that_dies_takes_no_other_run_with_it(quick, monkeypatch, capsys):
    monkeypatch.setattr(runner, "load", sweep_data.deadly)
    names = ["r1-lr-0.1", "r4k-final", "r1-batch-8", "r1-batch-4096"]
    assert cli.main(["run", *names, "--epochs", "1", "--jobs", "2"]) == 1
    text = capsys.readouterr()
    assert "1 of 4 runs failed" in text.err and "r4k-final: its process died: " in text.err and "SIGKILL" in text.err
    assert set(results(quick / "runs")) == {f"{name}-as-reported" for name in names if name != "r4k-final"}
    assert "Traceback" not in text.err


def test_resume_leaves_finished_runs_alone(quick, capsys):
    start = ["run", *SOME]
    assert cli.main([*start, "--out", "whole"]) == 0
    assert cli.main(["run", "r1-arch-1", "--epochs", "2", "--out", "runs"]) == 0
    done = quick / "runs/r1-arch-1-as-reported"
    before = {p.name: p.stat().st_mtime_ns for p in done.iterdir()}
    assert cli.main([*start, "--resume"]) == 0
    assert {p.name: p.stat().st_mtime_ns for p in done.iterdir()} == before
    assert results("runs") == results("whole")
    capsys.readouterr()
    assert cli.main([*start, "--resume"]) == 0
    assert capsys.readouterr().err.count("finished before") == 4
    (done / "metrics.json").write_text("{")  # what it can't read is not finished
    assert cli.main([*start, "--resume"]) == 0
    assert results("runs") == results("whole")


def test_more_epochs_are_not_finished(quick):
    start = ["run", "r1-arch-1", "--resume"]
    assert cli.main([*start, "--epochs", "1"]) == 0
    assert cli.main([*start, "--epochs", "3"]) == 0
    assert cli.main(["run", "r1-arch-1", "--epochs", "3", "--out", "whole"]) == 0
    assert results("runs") == results("whole")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler is for --backend dask"),
        (["--jobs", "2", "--threads", "2"], "--threads is not for --jobs"),
        (["--jobs", "0"], "positive whole number"),
        (["--seed", "4294967295", "--seeds", "2"], "no 2 seeds"),
    ],
)
def test_a_wrong_command_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "r1-arch-1", *arguments])
    assert caught.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(("module", "extra", "options"), [
    ("joblib", "examples", ["--jobs", "2"]),
    ("distributed", "cluster", ["--backend", "dask"]),
])  # fmt: skip
def test_what_is_missing_is_named(quick, monkeypatch, capsys, module, extra, options):
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["run", "r1-arch-1", "r1-arch-2", *options]) == 1
    assert f"pip install 'tinygrad_edu[{extra}]'" in capsys.readouterr().err


@pytest.mark.parametrize(("wish", "count"), [(10**9, 3), (2, 2)])
def test_no_more_processes_than_runs(quick, monkeypatch, wish, count):
    def pool(backend, workers, scheduler):
        raise OSError(f"asked for {workers}")

    monkeypatch.setattr(sweep, "pool", pool)
    jobs = sweep.jobs_of(sweep.select(["r1-arch-1"]), Options(), 3)
    with pytest.raises(OSError, match=f"asked for {count}$"):
        list(sweep.carry_out_all(jobs, runner.load, wish))


def test_a_scheduler_that_does_not_answer(quick, capsys):
    distributed = pytest.importorskip("distributed")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "300ms"}):
        assert distributed and cli.main(["run", "r1", "--backend", "dask", "--scheduler", "tcp://127.0.0.1:1"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.02)


def nobody(group):
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("name", ["loky", pytest.param("dask", marks=pytest.mark.slow)])
@pytest.mark.parametrize("whom", ["group", "parent"])
def test_ctrl_c_leaves_checkpoints_and_no_process(tmp_path, name, whom):
    pytest.importorskip("joblib")
    arguments = ["r1-batch-8", "r1-batch-16", "r1-batch-32", *backend(name)]
    command = [sys.executable, sweep_data.__file__, "run", *arguments, "--epochs", "2000", "--out", str(tmp_path)]
    folders = [tmp_path / f"r1-batch-{size}-as-reported" for size in (8, 16)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            wait_for(
                lambda: process.poll() is not None or all((f / "checkpoint-1.safetensors").exists() for f in folders)
            )
            (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=60)
            wait_for(lambda: nobody(process.pid), 5)
        finally:
            if not nobody(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err == "tinygrad-edu: interrupted. The same command with --resume goes on from the last checkpoint.\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f.name for f in folders)  # the third was not begun
    for folder in folders:
        epochs = len((folder / "log.jsonl").read_text().splitlines())
        saved = Checkpoints(folder).load()["training"]
        assert len(saved["history"]) == epochs and 0 < epochs < 2000


def test_a_sweep_without_its_parent_ends(tmp_path):
    pytest.importorskip("joblib")
    arguments = ["r1-batch-8", "r1-batch-16", "--jobs", "2", "--epochs", "2000", "--out", str(tmp_path)]
    command = [sys.executable, sweep_data.__file__, "run", *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_for(lambda: len(list(tmp_path.glob("*/checkpoint-1.safetensors"))) == 2)
        process.kill()
        process.wait()
        wait_for(lambda: nobody(process.pid), 20)
