"""Reading the folders of finished runs: each way in which one can be no result of its run is planted, and noticed."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from tinygrad_edu.reports import RUNS, report_of
from tinygrad_edu.reports.report import Options, Result
from tinygrad_edu.reports.results import Results, read, read_all
from tinygrad_edu.train.folder import as_json


def plant(out, name="r3-ann", seed=42, folder=None, mode=None, epochs=None, **changed):
    """A finished run's folder, of as many epochs, with settings that are changed; returns it."""
    run = RUNS[name]
    settings = report_of(name).settings(run, Options(mode=mode, seed=seed, epochs=epochs))
    settings |= {"data": run.data, "images": 60000, **changed}
    n = settings["epochs"]
    numbers = {"train_loss": 0.1, "validation_loss": 0.3, "test_accuracy": 80.0, "test_loss": 0.5}
    history = [{"epoch": k, "seconds": 2.0 * k, **numbers, "validation_accuracy": 88.0} for k in range(1, n + 1)]
    own_mode = {"mode": settings["mode"]} if "mode" in settings else {}
    more = {"test_accuracy": 88.0, "last_test_accuracy": 87.0, "best_epoch": n, "train_seconds": 2.0 * n}
    more |= {"validation_accuracy": 88.0, "best_validation_accuracy": 88.0}
    metrics = {"run": name, **own_mode, "seed": settings["seed"], "epochs": n, **more}
    path = out / (folder or f"{name}-{mode or ''}-seed{seed}")
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(as_json(settings)))
    (path / "metrics.json").write_text(json.dumps(as_json(metrics)))
    (path / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in history))
    return path


def change(path, **changed):
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_finished_runs_are_read_in_the_order_of_their_seeds(tmp_path):
    for seed in (44, 7, 42):
        plant(tmp_path, seed=seed)
    plant(tmp_path, "r1-batch-8", mode="corrected")
    results = read_all(tmp_path)
    assert results.notes == [] and set(results.found) == {("r3-ann", None), ("r1-batch-8", "corrected")}
    assert [result.settings["seed"] for result in results.of("r3-ann")] == [7, 42, 44]
    assert results.of("r1-batch-8") == [] and len(results.of("r1-batch-8", "corrected")) == 1  # as-reported comes first
    assert results.values("r3-ann", "test_accuracy") == [88.0] * 3
    assert read_all(tmp_path / "nowhere").found == {}


def lines(path, text):
    """Write log.jsonl anew, from its lines."""
    log = path / "log.jsonl"
    log.write_text("".join(text(log.read_text().splitlines(keepends=True))))


DAMAGE = {
    "no metrics": (lambda path: (path / "metrics.json").unlink(), "not finished, there is no metrics.json"),
    "no log": (lambda path: (path / "log.jsonl").unlink(), "not finished, there is no log.jsonl"),
    "half a file": (lambda path: (path / "metrics.json").write_text('{"run": '), "damaged: JSONDecodeError"),
    "no text": (lambda path: (path / "config.json").write_bytes(b"\xff\xfe\x00"), "damaged: UnicodeDecodeError"),
    "a folder": (lambda path: [(path / "log.jsonl").unlink(), (path / "log.jsonl").mkdir()], "IsADirectoryError"),
    "a list": (lambda path: (path / "metrics.json").write_text("[1]"), "damaged: AttributeError"),
    "no lines": (lambda path: lines(path, lambda log: []), "log.jsonl has 0 lines, metrics.json 30 epochs"),
    "a line less": (lambda path: lines(path, lambda log: log[:-1]), "log.jsonl has 29 lines"),
    "a line twice": (lambda path: lines(path, lambda log: log[:1] + log[:-1]), "damaged: log.jsonl has 30 lines"),
    "half a line": (lambda path: lines(path, lambda log: [*log[:-1], log[-1][:9]]), "damaged: JSONDecodeError"),
    "a line of something": (lambda path: lines(path, lambda log: [*log[:-1], "7\n"]), "damaged: TypeError"),
    "no loss": (lambda path: lines(path, lambda log: [*log[:-1], '{"epoch": 30}\n']), "damaged: KeyError"),
    "no seed": (lambda path: [change(path / f"{name}.json", seed=None) for name in ("config", "metrics")], "the seed"),
    "a text": (lambda path: change(path / "metrics.json", epochs="30"), "damaged: TypeError"),
    "a foreign folder": (lambda path: (path / "config.json").write_text('{"name": "x"}'), "of no run of these"),
    "a foreign list": (lambda path: (path / "config.json").write_text("[]"), "of no run of these reports"),
    "an unknown run": (lambda path: change(path / "config.json", run="r3-rnn"), "of no run of these reports"),
    "a run that is a list": (lambda path: change(path / "config.json", run=["r3-ann"]), "of no run of these reports"),
    "another run": (lambda path: change(path / "config.json", run="r3-opt-sgd"), "run is 'r3-opt-sgd' in config.json"),
    "another seed": (lambda path: change(path / "metrics.json", seed=43), "seed is 42 in config.json and 43"),
    "another mode": (lambda path: change(path / "config.json", mode="best"), "mode is 'best' in config.json"),
    "a mode of another report": (
        lambda path: [change(path / f"{name}.json", mode="corrected") for name in ("config", "metrics")],
        "there is no mode 'corrected'",
    ),
    # A run of 5 epochs that is being resumed, to have 30: its metrics are of another time than its settings.
    "resumed": (
        lambda path: [change(path / "metrics.json", epochs=5), lines(path, lambda log: log[:12])],
        "log.jsonl has 12 lines, metrics.json 5 epochs",
    ),
    "just resumed": (
        lambda path: [change(path / "metrics.json", epochs=5), lines(path, lambda log: log[:5])],
        "5 epochs, of 30",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_left_out_with_a_note(damage, tmp_path):
    plant(tmp_path, seed=1, folder="good")
    path = plant(tmp_path, folder="bad")
    do, message = DAMAGE[damage]
    do(path)
    results = read_all(tmp_path)
    assert [result.folder.name for some in results.found.values() for result in some] == ["good"]
    (note,) = results.notes
    assert note.startswith(f"{path}: ") and message in note and "\n" not in note
    with pytest.raises(ValueError) as caught:
        read(path)
    assert str(caught.value) == note


@pytest.mark.parametrize(
    ("name", "changed", "keys"),
    [
        ("r3-ann", {"epochs": 2}, "epochs"),
        ("r3-ann", {"lr": 0.0011}, "lr"),
        ("r3-ann", {"patience": 30}, "patience"),
        ("r3-ann", {"data": "SmallImages"}, "data"),
        ("r3-ann", {"schedule": "onecycle", "lr": 0.003}, "lr, schedule"),
        ("r3-ann", {"another": 1}, "another"),
        ("r1-lr-0.1", {"clip_grad_norm": 1.0}, "clip_grad_norm"),
        ("r1-lr-0.1-clip", {"clip_grad_norm": None}, "clip_grad_norm"),
        ("r1-arch-1", {"layers": RUNS["r1-arch-2"].layers}, "layers"),
    ],
)
def test_a_run_with_other_settings_is_left_out_with_a_note(name, changed, keys, tmp_path):
    path = plant(tmp_path, name, **changed)
    results = read_all(tmp_path)
    assert results.found == {}
    assert results.notes == [f"{path}: left out, for it was run with other settings: {keys}"]
    assert read(path).settings.items() >= changed.items()  # though it is a result, for whoever asks for these settings


def test_a_run_that_stopped_early_is_a_result_only_of_its_own_settings(tmp_path):
    path = plant(tmp_path, patience=5)
    change(path / "metrics.json", epochs=20)
    lines(path, lambda log: log[:20])
    assert len(read(path).history) == 20
    (note,) = read_all(tmp_path).notes
    assert note.endswith("patience")


def test_a_copy_does_not_count_a_seed_twice(tmp_path):
    path = plant(tmp_path, folder="r3-ann")
    shutil.copytree(path, tmp_path / "r3-ann-copy")
    results = read_all(tmp_path)
    assert len(results.of("r3-ann")) == 1
    (note,) = results.notes
    assert "r3-ann-copy: left out" in note and note.endswith(f"{path} is of the same run and seed")


def test_where_modes_train_alike_a_result_of_one_serves_both(tmp_path):
    plant(tmp_path, "r2-baseline", mode="corrected", seed=1)
    plant(tmp_path, "r2-l2-1e-4", mode="corrected", seed=1)
    results = read_all(tmp_path)
    assert results.of("r2-baseline") == results.of("r2-baseline", "corrected") != []
    assert results.of("r2-l2-1e-4") == [] != results.of("r2-l2-1e-4", "corrected")


def test_numbers_that_are_none_are_left_out_of_values():
    run = RUNS["r3-ann"]
    some = [Result(run, {"seed": k}, metrics={"x": x}) for k, x in enumerate((1.0, None, math.nan, math.inf, 2))]
    results = Results({("r3-ann", None): [*some, Result(run, {"seed": 9})]})
    assert results.values("r3-ann", "x") == [1.0, 2]
    assert results.values("r3-ann", lambda result: result.settings["seed"]) == [0, 1, 2, 3, 4, 9]


def test_a_collapsed_run_is_a_result(tmp_path):
    """Its losses are NaN, which JSON has no word for."""
    nothing = {"test_loss": None, "train_loss": None, "validation_loss": None}
    for name in ("r1-lr-0.1", "r3-opt-sgd"):
        path = plant(tmp_path, name)
        lines(path, lambda log: [json.dumps({**json.loads(line), **nothing}) + "\n" for line in log])
    assert read_all(tmp_path).notes == []


def test_json_nested_beyond_reading_is_damage(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "config.json").write_text("[" * 100_000)
    (note,) = read_all(tmp_path).notes
    assert "deep: damaged: RecursionError" in note
