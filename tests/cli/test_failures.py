"""What is nobody's input: memory, divergence, and bugs of ours."""

import errno
import os
import re
import subprocess
import sys

import pytest
import torch

LACKS = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory: you tried ..."),
]


@pytest.fixture
def fails(monkeypatch):
    """Let a function of ours raise."""

    def replace(target, error):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(target, fail)

    return replace


@pytest.mark.parametrize("error", LACKS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["experiment.train.tune", "training.trainer.train_step"])
def test_out_of_memory_while_training(refused, training, fails, error, place):
    fails(f"obverse.{place}", error)
    result = refused(71, "out of memory; try a smaller", *training.arguments, untouched=training.data)
    assert "training.micro_batch_size" in result.err
    assert training.run.exists() == place.endswith("train_step")


@pytest.mark.parametrize("error", LACKS, ids=lambda error: type(error).__name__)
def test_out_of_memory_with_a_trained_model(refused, shapes, shapes_run, fails, error):
    fails("obverse.experiment.evaluate.run_engine", error)
    fails("obverse.inference.predictor.run_engine", error)
    result = refused(71, "out of memory", "evaluate", shapes_run, untouched=shapes_run)
    assert "evaluation.batch_size" in result.err
    refused(71, "try a smaller batch_size", "predict", shapes_run, shapes / "sample.jpg", untouched=shapes_run)


def test_divergence_names_the_samples_and_harms_no_checkpoint(obverse, refused, training, tree):
    run = training.run
    assert obverse(*training.arguments).code == 0
    checkpoints = tree(run / "checkpoints")
    (run / "training_log.json").unlink()
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    rate = next(line for line in recipe.splitlines() if line.strip().startswith("lr:"))
    changed = recipe.replace(rate, "  lr: 1.0e+30").replace("epochs: 1\n", "epochs: 50\n")
    (run / "recipe.yaml").write_text(changed, encoding="utf-8")
    result = refused(66, "diverged at step", "train", "--run", run, "--resume", "--force")
    assert "the samples" in result.err
    assert ".png" in result.err.splitlines()[-1]
    assert "optim.lr" in result.err.splitlines()[-1]
    assert tree(run / "checkpoints") == checkpoints


def test_a_run_that_diverges_at_once_leaves_no_bundle(refused, training):
    run = training.run
    more = ("--set", "optim.lr=1e30", "--set", "training.epochs=50")
    refused(66, "diverged at step", *training.arguments, *more, untouched=training.data)
    assert not (run / "bundle").exists()
    assert not (run / "training_log.json").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError("boom"), OSError("an odd one"), RuntimeError("boom")])
def test_a_bug_of_ours_asks_for_a_report(obverse, training, fails, error):
    fails("obverse.experiment.train.build_index", error)
    result = obverse(*training.arguments)
    assert result.code == 1
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1] == "This is a bug in Obverse; please report it with the lines above."
    assert not training.run.exists()


KILLED_WORKER = """
import os, signal, sys
from obverse.manifest.store import PictureStore

main_process, real = os.getpid(), PictureStore.decode

def decode(self, path, **least):
    if path.endswith("p3.png") and os.getpid() != main_process:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, path, **least)

PictureStore.decode = decode
from obverse.cli.main import main
main()
"""


def test_a_worker_that_dies_names_the_sample_it_was_reading(training):
    changed = ["runtime.num_workers=2", "data.cache.kind=none"]
    arguments = [*map(str, training.arguments), *[word for change in changed for word in ("--set", change)]]
    command = [sys.executable, "-c", KILLED_WORKER, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 65, done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.search(r"a process that reads pictures died .* while it read '(dark|light)/p3.png'; ", last), last
