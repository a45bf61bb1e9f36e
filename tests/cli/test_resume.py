"""Stopping and going on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from obverse.data import DeadWorker

EPOCHS = 40


def test_resume_of_a_finished_run_only_reports_it(obverse, shapes_run, tree):
    before = tree(shapes_run)
    result = obverse("train", "--run", shapes_run, "--resume")
    assert result.code == 0, result.err
    accuracy = json.loads((shapes_run / "evaluation/test/metrics.json").read_text())["accuracy"]["value"]
    assert f"test accuracy {accuracy:.1%}" in result.out
    assert tree(shapes_run) == before


def test_a_signal_ends_the_run_with_a_checkpoint_and_resume_ends_it(obverse, shapes, tiny, tmp_path):
    run = tmp_path / "run"
    start = ["train", str(shapes), "--run", str(run), *tiny, "--set", f"training.epochs={EPOCHS}"]
    assert _stopped_by(signal.SIGTERM, start, run) == 143
    first = _steps(run)
    assert first
    assert not (run / "training_log.json").exists()
    assert _stopped_by(signal.SIGINT, ["train", "--run", str(run), "--resume"], run) == 130
    assert _steps(run)[-1] >= first[-1]
    result = obverse("train", "--run", run, "--resume")
    assert result.code == 0, result.err
    assert "resumed after step" in result.err
    assert len(json.loads((run / "training_log.json").read_text())["epochs"]) == EPOCHS


def _stopped_by(number, arguments, run):
    """Start the command, wait for its first step, send the signal; the exit code."""
    log = run / "events.jsonl"
    seen = log.read_text().count("StepEnd") if log.exists() else 0
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "obverse.cli.main", *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end:
            if log.exists() and log.read_text().count("StepEnd") > seen:
                process.send_signal(number)
                break
            time.sleep(0.02)
        _, err = process.communicate(timeout=60)
    assert "go on with --resume" in err
    assert "Traceback" not in err
    return process.returncode


def _steps(run):
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def test_a_signal_after_the_last_step_still_counts(obverse, classes, tiny, tmp_path, monkeypatch):
    from obverse.experiment import train

    def trained(self):
        yield from real(self)
        signal.raise_signal(signal.SIGTERM)

    real = train.Trainer.run
    monkeypatch.setattr(train.Trainer, "run", trained)
    run = tmp_path / "run"
    result = obverse("train", classes(tmp_path / "data"), "--run", run, *tiny)
    assert result.code == 143
    assert "--resume" in result.err.splitlines()[-1]
    monkeypatch.undo()
    assert obverse("train", "--run", run, "--resume").code == 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated."),
        DeadWorker("a process that reads pictures died"),  # what the loader makes of it
    ],
    ids=["anywhere", "waiting"],
)
def test_a_signal_that_also_ends_the_workers_is_no_bug(refused, training, monkeypatch, error):
    def stopped(self):
        signal.raise_signal(signal.SIGTERM)
        raise error
        yield

    monkeypatch.setattr("obverse.experiment.train.Trainer.run", stopped)
    refused(143, "--resume goes on from the last checkpoint", *training.arguments, untouched=training.data)


def test_interrupted_while_pictures_are_read_leaves_nothing(obverse, classes, tiny, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("obverse.experiment.train.build_index", interrupted)
    result = obverse("train", classes(tmp_path / "data"), "--run", tmp_path / "deep" / "run", *tiny)
    assert result.code == 130
    assert result.err == "Error: interrupted\n"
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("more", [("--set", "training.epochs=2"), ("--minutes", "1"), ("--recipe", "finetune")])
def test_resume_takes_no_other_recipe(refused, shapes_run, more):
    refused(2, "own recipe", "train", "--run", shapes_run, "--resume", *more, untouched=shapes_run)


def test_resume_needs_a_run(refused, tmp_path, shapes):
    refused(2, "--resume needs --run", "train", "--resume")
    refused(2, "leave out DATA", "train", shapes, "--run", tmp_path, "--resume")
    refused(65, "Start it again without --resume", "train", "--run", tmp_path / "absent", "--resume")
    assert not (tmp_path / "absent").exists()
