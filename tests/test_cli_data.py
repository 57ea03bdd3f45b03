"""tinygrad-edu data, doctor and list: what they say of what is there, missing and damaged."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from small_runs import small_runs
from test_datasets import FILES, Small, packed_files, place, serving, with_mirrors
from test_datasets import nothing_around as nothing_around  # a fixture of every test here

import tinygrad_edu as tg
from tinygrad_edu import cli, datasets
from tinygrad_edu.cli import doctor
from tinygrad_edu.reports import RUNS, report_of
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.results import Results
from tinygrad_edu.reports.tables import overview


@pytest.fixture
def sets(monkeypatch):
    """Four data sets of two small files each."""
    for name in ("FashionMNIST", "KMNIST", "CIFAR10", "MNIST"):
        kind = type(name, (Small,), {"source": dataclasses.replace(Small.source, folder=name, other=name.lower())})
        monkeypatch.setattr(datasets, name, kind)


def run(capsys, *arguments):
    status = cli.main(list(arguments))
    text = capsys.readouterr()
    assert "Traceback" not in text.err and all(len(line) <= 100 for line in text.out.splitlines())
    return status, text.out, text.err


def test_where(sets, capsys):
    place(Path("data/KMNIST/raw"))
    status, out, err = run(capsys, "data", "where", "kmnist")
    assert (status, err) == (0, "")
    assert out.splitlines() == ["KMNIST", *(f"  {name:23}  data/KMNIST/raw/{name}.gz" for name in FILES)]
    status, out, err = run(capsys, "data")
    assert status == 1 and out.count("missing") == 6 and out.count("data/KMNIST/raw") == 2
    assert "6 files are missing. To download: tinygrad-edu data fetch FashionMNIST CIFAR10 MNIST." in err
    place(Path("root/mnist"), packed=False)
    status, out, err = run(capsys, "data", "where", "MNIST", "--data", "root")
    assert status == 0 and "root/mnist/some-images\n" in out


def test_verify(sets, capsys):
    place(Path("data/MNIST"))
    assert run(capsys, "data", "verify", "mnist")[0] == 0
    assert run(capsys, "data", "verify", "mnist")[1].count("good ") == 2
    (Path("data/MNIST") / "some-labels.gz").write_bytes(packed_files()["/some-labels.gz"][:-9])
    status, out, err = run(capsys, "data", "verify", "mnist")
    assert status == 1 and out.count("good ") == 1 and out.count("DAMAGED ") == 1
    assert "some-labels.gz is damaged" in err and err.count("\n") == 1
    assert run(capsys, "data", "where", "mnist")[0] == 0  # it is there


def test_an_archive_that_is_not_unpacked_is_there(capsys, monkeypatch):
    archive = datasets.CIFAR10.archive.name
    Path("data/CIFAR10").mkdir(parents=True)
    (Path("data/CIFAR10") / archive).write_bytes(b"nonsense")
    status, out, err = run(capsys, "data", "where", "cifar-10")
    assert status == 0 and out.count(archive) == 6
    status, out, err = run(capsys, "data", "verify", "CIFAR10")
    assert status == 1 and "truncated" in err and err.count("\n") == 1


def test_fetch_goes_on_where_it_was_cut(sets, capsys, monkeypatch):
    files = packed_files()
    with serving(files, break_after=60) as (url, _):
        monkeypatch.setattr(datasets, "MNIST", with_mirrors(url))
        status, out, err = run(capsys, "data", "fetch", "MNIST", "--data", "root")
        assert status == 1 and "the connection ended after" in err and out == ""
    parts = list(Path("root").rglob("*.part"))
    assert [part.stat().st_size > 0 for part in parts] == [True] and not list(Path("root").rglob("*.gz"))
    with serving(files) as (url, asked):
        monkeypatch.setattr(datasets, "MNIST", with_mirrors(url))
        status, out, err = run(capsys, "data", "fetch", "MNIST", "--data", "root")
        assert (status, out, err) == (0, "Small: 40 images in root/Small/raw\n", "")
        assert asked[0] == ("/some-images.gz", f"bytes={parts[0].stat().st_size if parts[0].exists() else 180}-")
        assert run(capsys, "data", "fetch", "MNIST", "--data", "root")[0] == 0 and len(asked) == 2  # never again


def test_fetch_gets_what_can_be_had(sets, capsys):
    place(Path("data/MNIST"))
    status, out, err = run(capsys, "data", "fetch", "KMNIST", "MNIST")
    assert status == 1 and "MNIST: 40 images in data/MNIST" in out
    assert err.startswith("tinygrad-edu: could not download some-images.gz") and err.count("tinygrad-edu: ") == 1


def test_doctor(sets, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 0.001)
    monkeypatch.setattr(doctor, "version", lambda package: doctor.MISSING if package == "tqdm" else "1.2.3")
    place(Path("data/KMNIST"))
    threads = tg.get_num_threads()
    status, out, err = run(capsys, "doctor")
    assert (status, err) == (0, "") and tg.get_num_threads() == threads
    tg.show_config()
    assert out.startswith(capsys.readouterr().out)  # the facts are config's
    assert "tqdm missing" in out and "matplotlib 1.2.3" in out and "pip install 'tinygrad_edu[examples]'" in out
    assert "tinygrad_edu[numba]" not in out  # nothing of it is missing
    assert "KMNIST        data/KMNIST\n" in out and "tinygrad-edu data fetch MNIST\n" in out
    speeds = re.findall(r"([\d.]+) G(?:FLOP|B)/s", out)
    assert len(speeds) == (2 if threads == 1 else 4) and all(float(speed) > 0 for speed in speeds)


def test_extras_are_those_declared():
    found = doctor.extras()
    assert found["numba"] == ["numba"] and "joblib" in found["examples"] and "distributed" in found["cluster"]
    assert set(found) == {"numba", "examples", "cluster"}


def result(name, accuracy, mode=None, seed=42, **settings):
    """A finished run, as the runner has it."""
    run = RUNS[name]
    own = report_of(name).settings(run, Options(mode=mode, seed=seed)) | {"data": run.data, "images": 60_000}
    record = {"epoch": run.epochs, "test_accuracy": accuracy, "test_loss": 0.5, "seconds": 1.0}
    return Result(run, {**own, **settings}, [record], metrics={"test_accuracy": accuracy})


def test_ours_are_a_mean_over_seeds():
    results = Results(
        {
            ("r1-arch-1", "as-reported"): [result("r1-arch-1", value, seed=k) for k, value in enumerate((82.0, 84.0))],
            ("r1-arch-2", "as-reported"): [result("r1-arch-2", 75.5)],
        }
    )
    lines = overview([RUNS[f"r1-arch-{k}"] for k in (1, 2, 3)], results).splitlines()
    assert [line.split("  ")[1:] for line in [re.sub("   +", "  ", line) for line in lines[1:]]] == [
        ["run", "report", "as-reported", "what"],
        ["r1-arch-1", "83.72", "83.00 ± 1.41 (2)", "784-64-10 relu, batch 128, learning rate 0.001"],
        ["r1-arch-2", "75.66", "75.50", "784-64-10 sigmoid, batch 128, learning rate 0.001"],
        ["r1-arch-3", "53.68", "-", "784-128-64-10 sigmoid, batch 128, learning rate 0.001"],
    ]
    short = result("r1-arch-1", 80.0, epochs=1)
    short.history[0]["epoch"] = 1
    assert " -  " in overview([short.run], Results({("r1-arch-1", "as-reported"): [short]}))  # not to be compared


def test_list_shows_runs_and_what_came_of_them(capsys):
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "") and all(f"  {name} " in out for name in RUNS)
    small_runs(Path("runs"), [("r1-batch-4096", "corrected", 42)])
    shutil.copytree("runs/r1-batch-4096-corrected", "runs/unfinished")
    Path("runs/unfinished/metrics.json").unlink()
    accuracy = json.loads(Path("runs/r1-batch-4096-corrected/metrics.json").read_text())["test_accuracy"]
    status, out, err = run(capsys, "list", "r1-batch-4096")
    lines = [line.split() for line in out.splitlines()]
    assert lines[1][:3] == ["run", "report", "corrected"]
    assert lines[2][:3] == ["r1-batch-4096", "83.15", f"{accuracy:.2f}"]
    assert out.endswith("\n\nNot among these:\n  runs/unfinished: not finished, there is no metrics.json\n")
