"""The command line: what it prints and writes, and that whatever fails says so in a paragraph, without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from small_images import small_images

from tinygrad_edu import cli, config
from tinygrad_edu.datasets import DatasetError
from tinygrad_edu.reports import RUNS, report1, runner
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.tables import table


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Every run is on small images, in a folder of its own."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "load", lambda name, root: small_images())
    return tmp_path


KEYS = [
    "run", "mode", "seed", "epochs", "test_accuracy", "test_loss", "train_seconds", "backend", "threads",
    "report_accuracy",
]  # fmt: skip


@pytest.mark.parametrize("mode", ["as-reported", "corrected"])
def test_run(small, capsys, mode):
    assert cli.main(["run", "r1-batch-8", "--mode", mode, "--epochs", "3", "--json", "--out", "out"]) == 0
    text = capsys.readouterr()
    found = json.loads(text.out.splitlines()[-1])
    assert list(found) == KEYS and found["run"] == "r1-batch-8" and found["mode"] == mode and found["epochs"] == 3
    assert found["report_accuracy"] == 83.89 and 0 <= found["test_accuracy"] <= 100 and found["train_seconds"] > 0
    assert "this run" in text.out and text.err == ""  # no bar off a terminal

    folder = small / "out" / f"r1-batch-8-{mode}"
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint-0.safetensors", "checkpoint-1.safetensors", "config.json",
        "confusion.png", "confusion.svg", "figure.png", "figure.svg", "log.jsonl", "metrics.json",
        "pictures.safetensors", "weights.safetensors"
    ]  # fmt: skip
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in log] == [1, 2, 3] and log[-1]["test_accuracy"] == found["test_accuracy"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {key: metrics[key] for key in KEYS} == found and len(metrics["confusion"]) == len(metrics["classes"]) == 10
    settings = json.loads((folder / "config.json").read_text())
    assert settings["batch"] == 8 and settings["lr"] == (0.001 if mode == "as-reported" else 0.05)
    assert (folder / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert all(word in (folder / "figure.svg").read_text() for word in ("<svg", "test accuracy", "test loss"))

    from safetensors.numpy import load_file

    assert load_file(folder / "weights.safetensors")["0.weight"].shape == (64, 36)


def test_several_runs_share_a_figure_and_give_a_line_each(small, capsys):
    assert cli.main(["run", "r1-lr-0.01", "r1-batch-4096", "--epochs", "1", "--seed", "7", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["run"] for line in lines[-2:]] == ["r1-lr-0.01", "r1-batch-4096"]
    assert (small / "runs" / "figure-r1-as-reported.svg").exists() and (
        small / "runs" / "r1-lr-0.01-as-reported-seed7"
    ).is_dir()


def test_a_run_again_replaces_what_it_left(small):
    for _ in range(2):
        assert cli.main(["run", "r1-arch-1", "--epochs", "2"]) == 0
    assert len((small / "runs/r1-arch-1-as-reported/log.jsonl").read_text().splitlines()) == 2


def test_learning_rates():
    rate = report1.learning_rate
    assert rate(RUNS["r1-lr-0.01"], Options("as-reported")) == rate(RUNS["r1-lr-0.01"], Options()) == 0.01
    assert rate(RUNS["r1-lr-0.01"], Options("corrected")) == 0.01  # the run is about it
    assert rate(RUNS["r1-arch-8"], Options("corrected")) == 0.05
    assert rate(RUNS["r1-arch-8"], Options("corrected", lr=0.5)) == 0.5


def test_collapsed_runs_still_give_json(small, capsys):
    assert cli.main(["run", "r1-lr-0.1", "--lr", "1e30", "--epochs", "1", "--json"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "NaN" not in line and "Infinity" not in line
    json.loads(line)


def test_threads_option(small, capsys):
    before = config.get_num_threads()
    try:
        assert cli.main(["run", "r1-arch-1", "--epochs", "1", "--threads", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["threads"] == 1
    finally:
        config.set_num_threads(before)


def test_the_table_compares_only_what_can_be_compared():
    record = {"epoch": 30, "test_accuracy": 84.0, "test_loss": 0.5, "seconds": 1.0}
    history = [{**record, "epoch": 1, "test_accuracy": 67.0}, record]
    run = RUNS["r1-batch-8"]
    settings = {**report1.settings(run, Options()), "data": "FashionMNIST"}
    whole = table(Result(run, settings, history))
    assert all(text in whole for text in ("67.00", "66.43", "84.00", "83.89", "0.554", "252.0"))
    short = table(Result(run, settings, history[:1]))
    assert "66.43" in short and "83.89" not in short and "252.0" not in short
    other = table(Result(run, {**settings, "data": "Digits"}, history))
    assert "84.00" in other and "66.43" not in other and "83.89" not in other and "Digits" in other


def test_list(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in RUNS) and "784-512-256-128-64-10 relu" in text


def test_demo_trains_both_modes_and_says_where_the_figure_is(small, capsys):
    assert cli.main(["demo", "--epochs", "1"]) == 0
    text = capsys.readouterr().out
    assert "as-reported" in text and "corrected" in text and "runs/demo.svg" in text
    assert (small / "runs" / "demo.svg").exists() and (small / "runs" / "demo.png").exists()


def test_demo_without_data_falls_back_to_digits_and_says_so(monkeypatch, tmp_path, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    whole = runner.load

    def load(name, root):
        if name != "Digits":
            raise DatasetError("FashionMNIST: nowhere to be found")
        return whole(name, root)

    monkeypatch.setattr(runner, "load", load)
    assert cli.main(["demo", "--epochs", "2"]) == 0
    text = capsys.readouterr()
    assert "nowhere to be found" in text.err and "NOTICE" in text.err and "digits" in text.err
    assert "Digits" in text.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "command"),
        (["run"], "ID"),
        (["run", "r1-arch-9"], "did you mean r1-arch-"),
        (["run", "r1-arch-8", "--mode", "best"], "as-reported"),
        (["run", "r1-arch-8", "--epochs", "0"], "positive whole number"),
        (["run", "r1-arch-8", "--epochs", "1" + "0" * 400], "positive whole number"),
        (["run", "r1-arch-8", "--seeds", "1000000000"], "10,000 seeds at most"),
        (["run", "r1-arch-8", "--lr", "nan"], "positive number"),
        (["run", "r1-arch-8", "--lr", "1e400"], "positive number"),
        (["run", "r1-arch-8", "--seed", "-1"], "2^32"),
        (["run", "r1-arch-8", "--threads", "two"], "positive whole number"),
        (["run", "r1-arch-8", "--patience", "3"], "--patience is not for r1-arch-8"),
        (["run", "r3-ann", "--mode", "corrected"], "--mode is not for r3-ann"),
        (["run", "r3-ann", "--patience", "0"], "positive whole number"),
        (["run", "r3-ann", "--schedule", "linear"], "onecycle"),
        (["run", "r3-ann", "--checkpoint-every", "10m"], "such as 500, or 30s"),
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_failures_exit_with_1_and_a_paragraph(small, monkeypatch, capsys):
    (small / "file").write_text("")
    assert cli.main(["run", "r1-arch-1", "--epochs", "1", "--out", "file"]) == 1
    assert capsys.readouterr().err.startswith("tinygrad-edu: ")

    def nothing(name, root):
        raise DatasetError("no data")

    monkeypatch.setattr(runner, "load", nothing)
    assert cli.main(["run", "r1-arch-1"]) == 1
    assert capsys.readouterr().err == "tinygrad-edu: no data\n"


def test_damaged_data_exits_with_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")
    assert cli.main(["run", "r1-arch-1", "--data", str(tmp_path)]) == 1
    assert "train-images-idx3-ubyte.gz is damaged" in capsys.readouterr().err


def test_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu.cli", "list"], capture_output=True, text=True, check=True
    )
    assert "r1-lr-0.005" in done.stdout and done.stderr == ""
