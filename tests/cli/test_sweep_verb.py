"""`obverse sweep`, `folds` and `ensemble` as commands; several real processes on one study, one of them killed."""

import json
import os
import subprocess
import sys
import time

import pytest

STUDY = """
settings:
  data.size: {height: 16, width: 16}
  model.backbone: {kind: convnet, widths: [4, 8]}
  training.epochs: 6
  training.batch_size: 4
  schedule.warmup_epochs: 0
  evaluation.maps: 0
  runtime.num_workers: 0
  runtime.num_threads: 1
  runtime.precision: fp32
  runtime.channels_last: false
  runtime.matmul: highest
  runtime.compile: false
variants: {baseline: {}, smoothing: {loss.label_smoothing: 0.2}, hot: {optim.lr: 0.05}}
"""


@pytest.fixture
def study(classes, tmp_path):
    """(file, data) of a study of three short runs."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file, classes(tmp_path / "data")


def weights(out):
    return {path.parts[-4]: path.read_bytes() for path in out.glob("runs/*/*/bundle/model.safetensors")}


def start(file, data, out):
    command = [sys.executable, "-m", "obverse.cli.main", "sweep", str(file), str(data), "--out", str(out)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def test_two_processes_share_a_study_and_a_killed_one_costs_nothing(obverse, study, tmp_path):
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    result = obverse("sweep", *study, "--out", whole)
    assert result.code == 0, result.err
    assert "3 of 3 runs finished" in result.out
    with start(*study, shared) as killed:
        wait_for(lambda: any(shared.glob("runs/*/*/events.jsonl")), killed)
        with start(*study, shared) as other:
            wait_for(lambda: len(list(shared.glob("runs/*/*/events.jsonl"))) > 1, other)
            killed.kill()
            killed.wait()
            _, err = other.communicate(timeout=200)
    assert other.returncode in (0, 75), err
    result = obverse("sweep", *study, "--out", shared)
    assert result.code == 0, result.err
    assert weights(shared) == weights(whole)
    epochs = [json.loads(path.read_text())["epochs"] for path in shared.glob("runs/*/*/training_log.json")]
    assert [len(rows) for rows in epochs] == [6, 6, 6]


def test_what_is_refused(refused, study, tmp_path):
    file, _ = study
    refused(2, "obverse sweep FILE DATA", "sweep", file)
    refused(2, "cannot be read", "sweep", tmp_path / "absent.yaml", tmp_path)
    refused(2, "at least two runs", "ensemble", tmp_path, "--out", tmp_path / "out")
    refused(2, "--folds", "folds", tmp_path, "--set", "data.split.folds=3")


def test_a_study_that_failed_as_a_whole_ends_as_its_first_run_did(refused, study, tmp_path):
    file, data = study
    file.write_text(
        STUDY.replace("baseline: {}, smoothing: {loss.label_smoothing: 0.2}, ", "").replace("0.05", "1.0e+30")
    )
    for _ in range(2):
        refused(
            66, "every run of the study failed; the first: diverged", "sweep", file, data, "--out", tmp_path / "out"
        )
    assert "1 failed" in (tmp_path / "out/summary.md").read_text()


def test_runs_of_a_study_become_one_model(obverse, two_runs, shapes, tmp_path):
    result = obverse("ensemble", *two_runs, "--out", tmp_path / "both")
    assert result.code == 0, result.err
    assert "test accuracy" in result.out
    predicted = obverse("predict", tmp_path / "both", shapes / "sample.jpg", "--format", "json")
    assert predicted.code == 0, predicted.err
    assert obverse("compare", two_runs[0], tmp_path / "both").code == 0
