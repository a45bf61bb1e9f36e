"""The real launcher: what a run folder holds, and a process that is killed and started again."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.run import get_args_parser

from obverse.experiment import start_run
from obverse.recipe import dump_recipe
from obverse.runs import RunFolder

pytestmark = pytest.mark.xdist_group("ranks")
PAGE = Path(__file__).parents[2] / "docs/how-to/several-processes.md"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, draw_classes, make_recipe):
    """Data, a recipe, and the run of one process."""
    folder = tmp_path_factory.mktemp("torchrun")
    data = draw_classes(folder / "data", per_class=13)
    recipe = make_recipe(optim={"kind": "sgd", "lr": 0.05}, training={"epochs": 3, "ema_decay": 0.8})
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    start_run(data, recipe, RunFolder(folder / "alone"))
    return folder


def launch(folder, run, port, *options, program=("-m", "obverse.cli.main"), **more):
    train = ["train", folder / "data", "--recipe", folder / "recipe.yaml", "--run", run]
    command = [*TORCHRUN, port, *options, *program[:-1], "--", program[-1], *train]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | more
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300)


def assert_as_alone(folder, run):
    alone, shared = (load_file(path / "bundle/model.safetensors") for path in (folder / "alone", run))
    torch.testing.assert_close(shared, alone, atol=1e-6, rtol=1e-5)
    for split in ("val", "test"):
        ids = [json.loads((path / f"evaluation/{split}/ids.json").read_text()) for path in (folder / "alone", run)]
        assert ids[0] == ids[1]


def names(run):
    paths = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    return {name for name in paths if "tfevents" not in name and not name.startswith("checkpoints")}


@pytest.mark.parametrize(("rank", "step"), [(1, 7), pytest.param(0, 12, marks=pytest.mark.full)])
def test_a_killed_process_is_started_again_and_the_run_ends_as_if_it_had_not_been(prepared, tmp_path, port, rank, step):
    run = tmp_path / "run"
    program = (Path(__file__).with_name("victim.py"),)
    done = launch(prepared, run, port(), "--max-restarts=1", program=program, OBVERSE_VICTIM=f"{rank}:{step}")
    assert done.returncode == 0, done.stderr
    assert "resumed after step" in done.stderr
    assert done.stdout.count("report: ") == 1
    assert_as_alone(prepared, run)
    assert names(run) == names(prepared / "alone")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["epoch"] for event in events if event["event"] == "EpochEnd"] == [1, 2, 3]


@pytest.mark.full
def test_a_run_of_two_processes_is_the_run_of_one(prepared, tmp_path, port):
    done = launch(prepared, tmp_path / "run", port())
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1  ") == 1
    assert_as_alone(prepared, tmp_path / "run")
    again = launch(prepared, tmp_path / "run", port())
    assert again.returncode == 1  # torchrun's own
    assert again.stderr.count("already holds a run; go on with --resume") == 1
    assert "exitcode  : 73" in again.stderr


def documented(first):
    """The page's commands that begin so, as words."""
    lines = re.findall(rf"^{first}.*$", PAGE.read_text(encoding="utf-8"), re.M)
    assert lines
    return [shlex.split(line) for line in lines]


def test_the_documented_command_trains_one_model(prepared, tmp_path):
    command, *words = next(words for words in documented("obverse train ") if "--processes" in words)
    places = {"DATA": prepared / "data", "runs/NAME": tmp_path / "run", "8": 2}
    words = [str(places.get(word, word)) for word in words] + ["--recipe", str(prepared / "recipe.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", command, *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    assert_as_alone(prepared, tmp_path / "run")


def test_torchrun_takes_the_documented_commands():
    """Its parser takes `--run` for a beginning of its own `--run-path`, unless a `--` stands before."""
    for _, *words in documented("torchrun --n"):
        told = get_args_parser().parse_args(words)
        assert (told.module, told.training_script) == (True, "obverse")
        assert told.training_script_args[:4] == ["train", "DATA", "--run", "runs/NAME"]
