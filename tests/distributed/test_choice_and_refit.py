"""A choice of the backbone, and a training that is repeated on train and val, by two processes as by one."""

import os
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from obverse.recipe import dump_recipe, load_recipe

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("ranks")]


@pytest.fixture
def folder(tmp_path, draw_classes, make_recipe):
    """Data, a recipe with a refit, and weights, of which the first are blind."""
    draw_classes(tmp_path / "data", per_class=19)
    recipe = make_recipe(
        data={"size": {"height": 32, "width": 32}},
        model={"backbone": {"kind": "auto", "pretrained": str(tmp_path / "weights")}},
        optim={"kind": "sgd", "lr": 0.005},
        training={"epochs": 2, "ema_decay": 0.8, "select": "loss", "refit": True},
        evaluation={"maps": 0},
    )
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    torch.manual_seed(0)
    state = timm.create_model("test_vit", num_classes=0).state_dict()
    (tmp_path / "weights").mkdir()
    save_file(state, tmp_path / "weights" / "sees.safetensors")
    state["patch_embed.proj.weight"].zero_()
    save_file(state, tmp_path / "weights" / "blind.safetensors")
    return tmp_path


def train(folder, run, *options):
    arguments = ["train", folder / "data", "--recipe", folder / "recipe.yaml", "--run", run, *options]
    command = [sys.executable, "-m", "obverse.cli.main", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_two_processes_choose_and_refit_as_one(folder):
    alone, shared = folder / "alone", folder / "shared"
    train(folder, alone)
    output = train(folder, shared, "--processes", 2)
    assert output.count("2 pretrained backbones are at hand") == 1
    chosen = [load_recipe(run / "recipe.yaml").model.backbone.pretrained for run in (alone, shared)]
    assert chosen == [str(folder / "weights" / "sees.safetensors")] * 2
    assert "refit: once more on train and val" in output
    ours, theirs = (load_file(run / "bundle" / "model.safetensors") for run in (shared, alone))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
