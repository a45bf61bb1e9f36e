"""A dead observer is named once and left out; the trackers write what they are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from obverse.errors import OutputError, UnavailableError
from obverse.runs import EpochEnd, Event, Message, RunFinished, RunFolder
from obverse.runs.observers import JsonlObserver, Watch, dotted, open_tracker, require_trackers
from obverse.studies.leaderboard.places import Search


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_closed = False

    def notify(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.is_closed = True


class Broken(Listener):
    def notify(self, event: Event) -> None:
        super().notify(event)
        raise ConnectionError("the server\nis gone")

    def close(self) -> None:
        super().close()
        raise OSError("again")


class BrokenAtClose(Listener):
    def close(self) -> None:
        raise OSError("no space left")


def epoch(step: int) -> EpochEnd:
    return EpochEnd(step, step, 0.5, 0.8, 0.6, 0.7, "accuracy", 0.7, True, 0.001, 100.0, 0.1, 12.5)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_whoever_fails_is_said_once_closed_and_left_out(place: int) -> None:
    good, bad = [Listener(), Listener()], Broken()
    watch = Watch([*good[:place], bad, *good[place:]])
    for text in ("one", "two", "three"):
        watch.notify(Message(text))
    watch.close()
    assert len(bad.events) == 1
    assert bad.is_closed
    for listener in good:
        texts = [event.text for event in listener.events if isinstance(event, Message)]
        said = "Broken failed and is left out, training goes on (ConnectionError: the server is gone)"
        assert sorted(texts) == sorted(["one", "two", "three", said])
        assert listener.is_closed


def test_all_may_fail() -> None:
    broken = [Broken(), Broken(), Broken()]
    watch = Watch(broken)
    watch.notify(Message("one"))
    watch.notify(Message("two"))
    watch.close()
    assert all(observer.is_closed for observer in broken)


def test_a_failure_at_the_end_is_said_to_those_still_open() -> None:
    listener = Listener()
    Watch([listener, BrokenAtClose()]).close()
    assert [event.text for event in listener.events if isinstance(event, Message)] == [
        "BrokenAtClose failed and is left out, training goes on (OSError: no space left)"
    ]
    assert listener.is_closed


def test_a_signal_is_nobodys_failure() -> None:
    class Stopped(Listener):
        def notify(self, event: Event) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch([Stopped()]).notify(Message("one"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_events_does_not_end_the_run() -> None:
    listener = Listener()
    watch = Watch([listener, JsonlObserver(Path("/dev/full"))])
    watch.notify(epoch(1))
    watch.notify(epoch(2))
    watch.close()
    texts = [event.text for event in listener.events if isinstance(event, Message)]
    assert len(texts) == 1
    assert "JsonlObserver failed" in texts[0]
    assert "No space left" in texts[0]


def test_a_missing_package_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    require_trackers(())
    monkeypatch.setattr("obverse.runs.observers.trackers.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"wandb.*pip install 'obverse\[track\]'"):
        require_trackers(("wandb",))


def tracked(name: str, run: RunFolder, steps: range, *, is_finished: bool = True) -> None:
    files = {run.recipe: "name: auto", run.path / "report.html": "<p>", run.bundle / "model.json": "{}"}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    observer = open_tracker(name, run, dotted({"optim": {"lr": 0.1, "betas": [0.9, 0.99]}, "name": "auto"}))
    for step in steps:
        observer.notify(epoch(step))
    observer.notify(Message("ignored"))
    if is_finished:
        recipe, report, bundle = (str(path) for path in (run.recipe, run.path / "report.html", run.bundle))
        observer.notify(RunFinished(steps[-1], "test", {"accuracy": 0.75}, recipe, report, bundle, None))
    observer.close()


@pytest.mark.filterwarnings("ignore")
def test_mlflow_writes_a_local_database_and_a_resumed_run_goes_on_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = RunFolder(tmp_path / "my run")
    tracked("mlflow", run, range(1, 3), is_finished=False)
    tracked("mlflow", run, range(3, 4))
    tracked("mlflow", RunFolder(tmp_path / "other"), range(1, 2))
    assert capfd.readouterr().out == ""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (place,) = [e.experiment_id for e in client.search_experiments() if e.name == "obverse"]
    mine, *_ = [r for r in client.search_runs([place]) if r.info.run_name == "my run"]
    assert len(client.search_runs([place])) == 2
    assert mine.info.status == "FINISHED"
    assert mine.data.params == {"optim.lr": "0.1", "optim.betas": "[0.9, 0.99]", "name": "auto"}
    curve = client.get_metric_history(mine.info.run_id, "accuracy/val")
    assert [(point.step, point.value) for point in curve] == [(1, 0.7), (2, 0.7), (3, 0.7)]
    assert mine.data.metrics["test/accuracy"] == 0.75
    kept = {file.path for place in (None, "bundle") for file in client.list_artifacts(mine.info.run_id, place)}
    assert kept == {"recipe.yaml", "report.html", "bundle", "bundle/model.json"}
    assert not (tmp_path / "mlruns").exists()
    places = Search(tmp_path).run().places
    assert [place.name for place in places] == ["my run", "other"]  # an artefact is no run


@pytest.mark.filterwarnings("ignore")
def test_wandb_is_offline_by_default_and_writes_into_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = RunFolder(tmp_path / "run")
    tracked("wandb", run, range(1, 3))
    (written,) = run.path.glob("wandb/offline-run-*/run-*.wandb")
    end = time.monotonic() + 20
    while b"accuracy/val" not in written.read_bytes() and time.monotonic() < end:
        time.sleep(0.1)  # its own process may write a little after `finish`
    assert b"accuracy/val" in written.read_bytes()
    assert b"optim.betas" in written.read_bytes()
    assert b"test/accuracy" in written.read_bytes()
    assert b"report.html" in b"".join(path.read_bytes() for path in run.path.rglob("*") if path.is_file())
    assert capfd.readouterr().out == ""


def test_what_wandb_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, which slows every import of timm and so is not among the packages of development."""
    fake = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delitem(sys.modules, "obverse.runs.observers.wandb_run", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = RunFolder(tmp_path / "run")
    tracked("wandb", run, range(1, 3), is_finished=False)
    tracked("wandb", run, range(3, 4))
    first, second = (call.kwargs for call in fake.init.call_args_list)
    assert (first["mode"], first["dir"], first["name"], first["id"]) == ("offline", str(run.path), "run", second["id"])
    assert first["config"] == {"optim.lr": 0.1, "optim.betas": [0.9, 0.99], "name": "auto"}
    logged = fake.init.return_value.log.call_args_list
    assert [(call.args[0]["accuracy/val"], call.kwargs) for call in logged] == [(0.7, {"step": n}) for n in (1, 2, 3)]
    assert fake.init.return_value.finish.call_count == 2
    fake.init.return_value.summary.update.assert_called_once_with({"test/accuracy": 0.75})
    artefact = fake.Artifact.return_value
    files = [call.args[1] if len(call.args) > 1 else Path(call.args[0]).name for call in artefact.add_file.mock_calls]
    assert files == ["recipe.yaml", "report.html", "bundle/model.json"]
    fake.init.return_value.log_artifact.assert_called_once_with(artefact)
    monkeypatch.delitem(sys.modules, "obverse.runs.observers.wandb_run")


def test_other_observers_are_still_plain_files(tmp_path: Path) -> None:
    watch = Watch([JsonlObserver(tmp_path / "events.jsonl")])
    watch.notify(epoch(1))
    watch.close()
    assert json.loads((tmp_path / "events.jsonl").read_text())["val_accuracy"] == 0.7


def test_half_a_line_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    for number in (1, 2):
        watch = Watch([JsonlObserver(log)])
        watch.notify(epoch(number))
        watch.close()
        with log.open("a") as file:
            file.write('{"event": "StepEnd", "st')
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()[:-1]] == [1, 2]


def test_the_packages_are_not_imported_unasked(tmp_path: Path) -> None:
    # timm imports wandb itself, where it is installed: our own file tells whether we did.
    files = "{'mlflow', 'obverse.runs.observers.mlflow_store', 'obverse.runs.observers.wandb_run'}"
    program = f"import sys, obverse.experiment; assert not {files} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_tracker_is_known_by_name(make_recipe: Any) -> None:
    assert make_recipe(training={"trackers": ["mlflow", "wandb"]}).training.trackers == ("mlflow", "wandb")
    from obverse.errors import RecipeError

    with pytest.raises(RecipeError, match="trackers"):
        make_recipe(training={"trackers": ["neptune"]})


def test_a_pipe_in_place_of_the_events_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events.jsonl")
    with pytest.raises(OutputError, match="is a pipe, not a file"):
        JsonlObserver(tmp_path / "events.jsonl")
