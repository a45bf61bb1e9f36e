"""Whole runs on tiny pictures: repeatable, resumable, and never half-started."""

import hashlib
import json
import signal
from pathlib import Path

import pytest
import yaml

from obverse import models
from obverse.cpus import num_usable_cpus
from obverse.errors import Interrupted, OutputError, RecipeError, UnavailableError
from obverse.experiment import resume_run, start_run
from obverse.models.backbones import timm_backbone
from obverse.recipe import ModelSpec, load_recipe
from obverse.runs import RunFolder, StepEnd

TIMING = {"seconds", "pictures_per_second", "data_wait"}


def digest(run):
    return hashlib.sha256((run.bundle / "model.safetensors").read_bytes()).hexdigest()


def history(run):
    rows = json.loads((run.path / "training_log.json").read_text())["epochs"]
    return [{key: value for key, value in row.items() if key not in TIMING} for row in rows]


def data_of(run):
    return Path(load_recipe(str(run.recipe)).data.path)


def test_the_saved_recipe_gives_the_same_model_again(trained, tmp_path):
    again = RunFolder(tmp_path / "again")
    start_run(data_of(trained), load_recipe(str(trained.recipe)), again)
    assert digest(again) == digest(trained)
    assert history(again) == history(trained)
    assert again.recipe.read_bytes() == trained.recipe.read_bytes()
    assert again.manifest.read_bytes() == trained.manifest.read_bytes()


def leaves(value):
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    return [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("kind", ["views", "classes", "table"])
def test_no_auto_is_left_in_the_recipe_of_a_run(draw_classes, make_recipe, tmp_path, kind):
    data = draw_classes(tmp_path / "data", per_class=6, views=("obverse", "reverse") if kind == "views" else ())
    if kind == "table":
        rows = [f"{path.parent.name},{path}" for path in sorted(data.glob("*/*.png"))]
        data = tmp_path / "data.csv"
        data.write_text("\n".join(["label,image", *rows]))
    choose = {"precision": "auto", "channels_last": "auto", "matmul": "auto", "num_workers": 0}
    recipe = make_recipe(
        data={"size": "auto"},
        augment={"policy": "auto"},
        optim={"lr": "auto"},
        schedule={"warmup_epochs": "auto"},
        training={"epochs": 1, "batch_size": "auto", "micro_batch_size": "auto"},
        runtime=choose,
    )
    run = RunFolder(tmp_path / "run")
    start_run(data, recipe, run)
    values = yaml.safe_load(run.recipe.read_text())
    values.pop("name")
    assert "auto" not in leaves(values)
    assert values["data"]["layout"] == {"views": "view-folders", "classes": "class-folders", "table": "table"}[kind]
    again = RunFolder(tmp_path / "again")
    start_run(data, load_recipe(str(run.recipe)), again)
    assert digest(again) == digest(run)


class SignalAtStep:
    """An observer that sends this process a signal, as a user's Ctrl-C would."""

    def __init__(self, step):
        self.step = step

    def notify(self, event):
        if isinstance(event, StepEnd) and event.step == self.step:
            signal.raise_signal(signal.SIGINT)

    def close(self):
        pass


def test_an_interrupted_run_is_resumed_to_the_same_files(trained, tmp_path):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted) as caught:
        start_run(data_of(trained), load_recipe(str(trained.recipe)), run, observers=[SignalAtStep(4)])
    assert caught.value.exit_code == 130
    assert not run.is_finished
    resume_run(run)
    assert digest(run) == digest(trained)
    assert history(run) == history(trained)


def test_resuming_needs_no_pretrained_weights(draw_classes, make_recipe, tmp_path, monkeypatch):
    """The checkpoint has them: a machine that is offline now can go on."""
    from safetensors.torch import save_file

    options = {"depth": 1, "embed_dim": 24, "num_heads": 2}
    backbone = {"kind": "timm", "name": "vit_tiny_patch16_224", "options": options}
    model = timm_backbone.timm.create_model("vit_tiny_patch16_224", num_classes=0, **options)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    data = draw_classes(tmp_path / "data", per_class=6)
    recipe = make_recipe(model={"backbone": {**backbone, "pretrained": str(tmp_path / "weights.safetensors")}})
    run = RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted):
        start_run(data, recipe, run, observers=[SignalAtStep(2)])
    (tmp_path / "weights.safetensors").unlink()
    resume_run(run)
    assert run.is_finished


def test_weights_that_cannot_be_had_leave_nothing_behind(draw_classes, make_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda name: "the hub cannot be reached")
    recipe = make_recipe(model={"backbone": {"kind": "timm", "name": "vit_tiny_patch16_224"}})
    run = RunFolder(tmp_path / "runs" / "one")
    with pytest.raises(UnavailableError, match="Ways:"):
        start_run(draw_classes(tmp_path / "data", per_class=6), recipe, run)
    assert not run.path.exists()


def test_what_auto_counted_on_and_cannot_be_had_is_trained_from_scratch(
    draw_classes, make_recipe, tmp_path, monkeypatch
):
    """A proxy may answer, and refuse afterwards."""
    monkeypatch.setattr(models, "why_unavailable", lambda name: None)
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda name: "the proxy refuses it")
    recipe = make_recipe(model={"backbone": {"kind": "auto"}}, training={"epochs": 1}, evaluation={"maps": 0})
    recipe = recipe.changed({"data.size": "auto", "model": ModelSpec()})
    log = Log()
    run = RunFolder(tmp_path / "run")
    start_run(draw_classes(tmp_path / "data", per_class=6, size=(70, 70)), recipe, run, observers=[log])
    assert load_recipe(str(run.recipe)).model.backbone.kind == "convnet"
    assert any(text.startswith("model: from scratch, because ") and "the proxy refuses it" in text for text in log.said)


class Log:
    """Remembers what was said."""

    def __init__(self):
        self.said = []

    def notify(self, event):
        self.said.append(getattr(event, "text", ""))

    def close(self):
        pass


def test_batch_norm_of_a_single_sample_is_said(draw_classes, make_recipe, tmp_path):
    backbone = {"kind": "timm", "name": "test_resnet", "pretrained": "none"}
    recipe = make_recipe(model={"backbone": backbone}, training={"batch_size": 4, "micro_batch_size": 1, "epochs": 1})
    data = draw_classes(tmp_path / "data", per_class=6, size=(16, 16))
    with pytest.raises(RecipeError, match="batch norm has nothing to compare at step 0"):
        start_run(data, recipe, RunFolder(tmp_path / "run"))


def test_a_folder_that_holds_something_is_never_written_into(trained, make_recipe, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for run in (trained, RunFolder(tmp_path), RunFolder(tmp_path / "mine.txt")):
        with pytest.raises(OutputError):
            start_run(data_of(trained), make_recipe(), run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_the_run_used_no_more_processors_than_there_are(trained):
    assert load_recipe(str(trained.recipe)).runtime.num_threads <= num_usable_cpus()
