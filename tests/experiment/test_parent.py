"""More epochs for a finished run: a new run that begins where the other one ended."""

import json
import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file

from obverse.data import Loader, PictureDataset
from obverse.engines import run_engine
from obverse.errors import DataError, Interrupted, RecipeError
from obverse.experiment import resume_run, start_run
from obverse.experiment.parent import continued
from obverse.experiment.setup import set_up
from obverse.manifest import build_index
from obverse.runs import RunFolder, StepEnd


class Stop:
    """Asks to stop, as a signal does, after a step."""

    def __init__(self, step):
        self.step = step

    def notify(self, event):
        if isinstance(event, StepEnd) and event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        pass


def go_on(trained, path, observers=()):
    recipe = continued(trained.path, [], epochs=2)
    return start_run(trained.path, recipe, RunFolder(path), observers=observers)


@pytest.fixture(scope="module")
def child(trained, tmp_path_factory):
    return go_on(trained, tmp_path_factory.mktemp("children") / "child").run


def weights(run):
    return load_file(run.bundle / "model.safetensors")


def test_it_begins_with_the_weights_that_shipped(trained):
    recipe = continued(trained.path, [], epochs=3)
    setup = set_up(recipe, build_index(trained.path, recipe.data).manifest)
    shipped = weights(trained)
    assert all(torch.equal(tensor, shipped[name]) for name, tensor in setup.model.state_dict().items())
    dataset = PictureDataset(setup.manifest, setup.manifest.split("val"), setup.bundle.geometry)
    outputs = run_engine(setup.engine(), Loader(dataset, 4).epoch())
    log = json.loads((trained.path / "training_log.json").read_text())
    accuracy = (outputs.logits_NK.argmax(1) == outputs.truth).mean()
    assert accuracy == pytest.approx(log["epochs"][log["best_epoch"] - 1]["val_accuracy"])


def test_the_new_run_names_its_parent_and_has_its_split(trained, child):
    recipe = json.loads((child.path / "config.json").read_text())
    assert recipe["parent"]["run"] == str(trained.path)
    assert (recipe["training"]["epochs"], recipe["finetune"]["head_first"]) == (2, None)
    log = json.loads((child.path / "training_log.json").read_text())
    assert log["facts"]["goes on from"] == str(trained.path)
    assert len(log["epochs"]) == 2
    rows = [(run.path / "manifest.csv").read_text().splitlines() for run in (trained, child)]
    assert rows[0] == rows[1]
    assert any(not torch.equal(tensor, weights(trained)[name]) for name, tensor in weights(child).items())


@pytest.mark.parametrize("step", [1, 4])
def test_an_interrupted_one_goes_on_to_the_same_weights(trained, child, tmp_path, step):
    with pytest.raises(Interrupted):
        go_on(trained, tmp_path / "run", observers=[Stop(step)])
    run = resume_run(RunFolder(tmp_path / "run")).run
    assert all(torch.equal(tensor, weights(child)[name]) for name, tensor in weights(run).items())


def test_what_the_weights_decide_is_refused(trained, tmp_path):
    for setting in ("model.backbone.kind=vit", "data.size=32", "finetune.head_first=auto"):
        with pytest.raises(RecipeError, match="the weights of the run decide that"):
            continued(trained.path, [setting], epochs=1)
    with pytest.raises(DataError, match="is no run folder"):
        continued(trained.bundle, [], epochs=1)
    assert continued(trained.path, ["optim.lr=0.5"], epochs=1).optim.lr == 0.5


def test_another_parent_under_the_same_name_is_noticed(trained, tmp_path):
    recipe = continued(trained.path, [], epochs=1)
    assert recipe.parent is not None
    other = recipe.changed({"parent.digest": "0" * 64})
    with pytest.raises(DataError, match="are not those that this run began with"):
        start_run(trained.path, other, RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_damaged_recipe_is_bad_data_and_a_bad_setting_is_bad_usage(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.path, run)
    with pytest.raises(RecipeError, match="optim"):
        continued(run, ["optim.lr=-1"], epochs=1)
    (run / "recipe.yaml").write_text("optim: {lr: -1}\n")
    with pytest.raises(DataError, match=r"recipe.yaml.* cannot be used"):
        continued(run, [], epochs=1)
