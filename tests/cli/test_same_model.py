"""One `train` command, one model: whatever the clock says while the machine has other work to do."""

import hashlib
import random
import subprocess
import sys

import pytest

SETTINGS = {
    "data.size": "{height: 16, width: 16}",
    "model.backbone": "{kind: convnet, widths: [4, 8]}",
    "training.epochs": 1,
    "training.batch_size": 8,
    "evaluation.maps": 0,
    "runtime.num_workers": 0,
}


@pytest.fixture
def busy():
    """Another process on every processor."""
    code = "while True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def models_of(obverse, training, tmp_path, monkeypatch):
    """Digests of the weights that so many runs of one command ship; number formats are left to measurement."""
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]

    def train(times):
        for number in range(times):
            result = obverse("train", training.data, "--run", tmp_path / f"run{number}", *settings)
            assert result.code == 0, result.err
            yield hashlib.sha256((tmp_path / f"run{number}/bundle/model.safetensors").read_bytes()).hexdigest()

    return train


def test_five_runs_under_load(models_of, busy):
    assert len(set(models_of(5))) == 1


def test_five_runs_whose_measurements_end_differently(models_of, monkeypatch):
    """As on a machine where two forms are equally fast: every measurement may end in any of them."""
    turns, measured = random.Random(1), []

    def any_of(forms, *_, **__):
        measured.append(turns.choice(list(forms)))
        return measured[-1]

    for place in ("obverse.runtime.precision", "obverse.experiment.auto.tune"):
        monkeypatch.setattr(f"{place}.choose_faster", any_of)
    assert len(set(models_of(5))) == 1
    assert 0 < len(measured) <= 2
