"""Fine-tuning as a run: resume is exact, the head goes first, what ships is plain, senseless settings are refused."""

import math
import re
import time
from contextlib import closing
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import save_file

from obverse.bundle import read_bundle
from obverse.errors import Interrupted, RecipeError
from obverse.experiment import start_run
from obverse.experiment.auto import resolve
from obverse.experiment.auto.tune import tune
from obverse.experiment.setup import build_model, describe, set_up
from obverse.manifest import build_index
from obverse.recipe import build_recipe
from obverse.runs import EpochEnd, RunFolder, StepEnd
from obverse.runs.checkpoint import load_newest
from obverse.training.head_first import HeadFit, fit_head, frozen_features
from obverse.training.pace import Pace

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
HEAD_FIRST = {"head_first": {}}
VARIANTS = {
    "unfreezing": {"unfreeze_epochs": 1, "layer_decay": 0.7, **HEAD_FIRST},
    "lora": {"lora": {"rank": 2}, "layer_decay": 0.7},
    "frozen": {"freeze_stages": 2, "head_bias": "prior"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=10, size=(32, 32))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights")
    for name in ("test_vit", "test_resnet"):
        save_file(timm.create_model(name, num_classes=0).state_dict(), path / f"{name}.safetensors")
    return path


@pytest.fixture
def recipe_for(weights, make_recipe):
    def make(finetune, *, name="test_vit", **training):
        backbone = {"kind": "timm", "name": name, "pretrained": str(weights / f"{name}.safetensors")}
        return make_recipe(
            data={"size": {"height": 32, "width": 32}},
            model={"backbone": {**backbone, "drop_path_rate": 0.2} if name == "test_vit" else backbone},
            optim={"lr": 1e-3, "kind": "adamw"},
            training={"epochs": 4, "batch_size": 4, "select": "loss", **training},
            finetune=finetune,
        )

    return make


def state_of(trainer):
    values = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
    values |= {f"average.{k}": v for k, v in trainer.average.model.state_dict().items()}
    return values | {"random": torch.get_rng_state()}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stop", [2, 7, pytest.param(12, marks=pytest.mark.full)])
def test_resume_is_uninterrupted(data, recipe_for, make_trainer, tmp_path, variant, stop):
    recipe = recipe_for(VARIANTS[variant], ema_decay=0.8, epochs=4)
    whole = make_trainer(data, recipe, tmp_path / "a")
    list(whole.run())
    expected, rates = state_of(whole), [group["lr"] for group in whole.optimizer.param_groups]
    first = make_trainer(
        data, recipe, tmp_path / "b", wanted_signal=lambda: 15 if first.progress.step == stop else None
    )
    with pytest.raises(Interrupted):
        list(first.run())
    again = make_trainer(data, recipe, tmp_path / "b")
    again.restore(load_newest(tmp_path / "b")[0])
    list(again.run())
    torch.testing.assert_close(state_of(again), expected, atol=0, rtol=0)
    torch.testing.assert_close(again.best_weights, whole.best_weights, atol=0, rtol=0)
    assert [group["lr"] for group in again.optimizer.param_groups] == rates


def test_an_interruption_while_the_head_goes_first_loses_nothing(data, recipe_for, make_trainer, tmp_path):
    recipe = recipe_for(HEAD_FIRST, ema_decay=0.8, epochs=1)
    whole = make_trainer(data, recipe, tmp_path / "a")
    list(whole.run())
    expected = state_of(whole)
    with pytest.raises(Interrupted):
        list(make_trainer(data, recipe, tmp_path / "b", wanted_signal=lambda: 15).run())
    again = make_trainer(data, recipe, tmp_path / "b")
    again.restore(load_newest(tmp_path / "b")[0])
    list(again.run())
    torch.testing.assert_close(state_of(again), expected, atol=0, rtol=0)


def test_stages_thaw_during_the_run_and_only_then_get_optimizer_state(data, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(data, recipe_for({"unfreeze_epochs": 2}), tmp_path)
    counts = []
    for event in trainer.run():
        if isinstance(event, EpochEnd):
            counts.append((trainer.model.num_trainable(), len(trainer.optimizer.state)))
    trained, states = zip(*counts, strict=True)
    assert trained[0] == trained[1] < trained[2] == trained[3]
    assert states[0] == states[1] == 2 < states[2] == states[3]


def test_the_head_goes_first_and_the_backbone_waits(data, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(data, recipe_for(HEAD_FIRST, epochs=1), tmp_path)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    known = frozen_features(trainer.model, trainer.forward, trainer.loaders.plain.epoch(), trainer.objective)
    assert known.features_NVD.shape == (len(trainer.loaders.train.dataset), 1, 64)
    assert not known.features_NVD.requires_grad
    events = trainer.run()
    texts = [next(events).text, next(events).text]
    num_samples = len(trainer.loaders.train.dataset)
    assert texts[0] == f"head first: {num_samples} samples once through the frozen backbone"
    assert re.fullmatch(
        r"head first: fitted to the frozen features, L2 strength [\d.]+ by cross-validation, "
        r"loss [\d.]+ held out, loss [\d.]+ on all of them",
        texts[1],
    )
    changed = {n for n, t in trainer.model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"head.0.weight", "head.0.bias"}
    events.close()


def test_the_head_is_fitted_to_what_the_teacher_says(data, recipe_for, make_trainer, tmp_path, monkeypatch):
    trainer = make_trainer(data, recipe_for(HEAD_FIRST), tmp_path)
    taught = torch.tensor([0.3, 0.7])
    teach = lambda batch: replace(batch, targets_BK=taught.repeat(len(batch.ids), 1))  # noqa: E731
    trainer.loaders = replace(trainer.loaders, teach=teach)
    seen = []
    monkeypatch.setattr(
        "obverse.training.head_first.fit_head",
        lambda head, known, *_, **__: seen.append(known.targets_NK) or HeadFit(1.0, None, 1.0, 1.0, 1.0),
    )
    with closing(trainer.run()) as events:
        next(events)
        next(events)
    torch.testing.assert_close(seen[0], taught.repeat(len(trainer.loaders.train.dataset), 1))


def test_minutes_that_the_head_used_up_still_give_a_model(data, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(data, recipe_for(HEAD_FIRST, minutes=1e-6), tmp_path)
    events = list(trainer.run())
    assert trainer.progress.step == 1
    assert [event.epoch for event in events if isinstance(event, EpochEnd)] == [0, 1]
    assert trainer.best_weights


def test_what_ships_from_lora_is_plain_and_predicts_the_same(data, recipe_for, tmp_path):
    run = RunFolder(tmp_path / "run")
    result = start_run(data, recipe_for({"lora": {"rank": 2}}, epochs=1), run)
    bundle, model = read_bundle(run.bundle)
    assert not [name for name in model.state_dict() if "base" in name or "down" in name]
    facts = (run.path / "training_log.json").read_text()
    lora = 2 * sum(m.in_features + m.out_features for m in model.backbones[0].modules() if type(m) is torch.nn.Linear)
    assert f"{model.num_parameters():,}, {lora + 64 * 2 + 2:,} trained" in facts
    assert result.metrics["accuracy"]["value"] >= 0
    assert bundle.model.backbone.name == "test_vit"


@pytest.mark.parametrize("kind", ["zero", "prior"])
def test_the_head_starts_at_the_prior(draw_classes, draw_picture, make_recipe, tmp_path, kind):
    draw_classes(tmp_path, per_class=8)
    for n in range(8, 18):
        draw_picture(tmp_path / "dark" / f"{n}.png", seed=100 + n)
    recipe = make_recipe(finetune={"head_bias": kind}, training={"select": "accuracy"})
    index = build_index(tmp_path, recipe.data)
    bias = set_up(resolve(recipe, index).recipe, index.manifest).model.head[-1].bias.detach()
    dark, light = index.manifest.counts("train").values()
    assert dark > light
    shares = [(count + 1) / (dark + light + 2) for count in (dark, light)]
    assert bias.tolist() == pytest.approx([math.log(share) if kind == "prior" else 0.0 for share in shares])


def test_folded_batch_norm_is_frozen_by_itself(data, recipe_for):
    """test_resnet's weights here are fresh: mean 0, variance 1, as if batch norm had been folded away."""
    recipe = recipe_for({}, name="test_resnet")
    index = build_index(data, recipe.data)
    model, tuned = model_and_tuned(recipe, index)
    assert tuned.finetune.freeze_norm is True
    assert model.num_trainable() < model.num_parameters()
    _, tuned = model_and_tuned(recipe_for({}, name="test_vit"), index)
    assert tuned.finetune.freeze_norm is False


def model_and_tuned(recipe, index):
    resolved = resolve(recipe, index)
    model, bundle = build_model(resolved.recipe, index.manifest), describe(resolved.recipe, index.manifest)
    return model, tune(resolved, model, bundle, num_train=len(index.manifest.split("train")))


@pytest.mark.parametrize(
    ("finetune", "sentence"),
    [
        ({"train": "head", "freeze_stages": 1}, "freeze_stages has no effect with `train: head`"),
        ({"train": "head", "layer_decay": 0.5}, "layer_decay has no effect with `train: head`"),
        ({"lora": {}, "freeze_stages": 1}, "freeze_stages has no effect with lora"),
        ({"lora": {}, "train_stages": 1}, "train_stages has no effect with lora"),
        ({"freeze_stages": 1, "train_stages": 1}, "count the same stages from both ends: choose one"),
        ({"layer_decay": 1.5}, "less than or equal to 1"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(finetune, sentence):
    with pytest.raises(RecipeError, match=sentence):
        build_recipe({"finetune": finetune}, "test")


@pytest.mark.parametrize(
    "finetune", [{"train": "head"}, {"freeze_stages": 1}, {"train_stages": 1}, {"lora": {}}, {"freeze_norm": True}]
)
@pytest.mark.parametrize("backbone", [{"kind": "convnet"}, {"kind": "timm", "name": "resnet18", "pretrained": "none"}])
def test_freezing_random_weights_is_refused(finetune, backbone):
    with pytest.raises(RecipeError, match="would freeze random weights, because this backbone starts from scratch"):
        build_recipe({"finetune": finetune, "model": {"backbone": backbone}}, "test")


def test_and_also_when_auto_turns_out_to_be_from_scratch(data, make_recipe):
    recipe = make_recipe(model={"backbone": {"kind": "auto"}}, finetune={"train": "head"})
    with pytest.raises(RecipeError, match="would freeze random weights"):
        resolve(recipe, build_index(data, recipe.data))


def test_a_bias_that_the_head_does_not_have_is_refused():
    with pytest.raises(RecipeError, match=r"head_bias has no effect with loss\.kind: corn"):
        build_recipe({"finetune": {"head_bias": "zero"}, "loss": {"kind": "corn"}}, "test")


@pytest.mark.parametrize("other", [{"loss": {"class_weights": "sqrt"}}, {"training": {"sampler": "balanced"}}])
def test_a_prior_that_the_loss_has_accounted_for_is_refused(other):
    with pytest.raises(RecipeError, match="head_bias: prior is wrong here"):
        build_recipe({"finetune": {"head_bias": "prior"}, **other}, "test")


def test_fitting_the_head_is_not_the_speed_of_training(data, recipe_for, make_trainer, tmp_path, monkeypatch):
    """What is left is told from the steps alone, also after a resume; a budget of minutes counts all of them."""
    monkeypatch.setattr(
        "obverse.training.head_first.fit_head", lambda *args, **more: (time.sleep(0.3), fit_head(*args, **more))[1]
    )
    trainer = make_trainer(data, recipe_for(HEAD_FIRST), tmp_path / "a")
    steps = [event for event in trainer.run() if isinstance(event, StepEnd)]
    progress = trainer.progress
    assert progress.head_seconds > 0.3
    assert 0 < steps[0].run_seconds < steps[-1].run_seconds <= progress.seconds - progress.head_seconds
    again = make_trainer(data, recipe_for(HEAD_FIRST), tmp_path / "b")
    again.restore(trainer.checkpoint())
    assert Pace(again.recipe, 10).seconds(again.progress) == pytest.approx(progress.seconds - progress.head_seconds)
    assert Pace(recipe_for(HEAD_FIRST, minutes=1.0), 10).seconds(progress) == progress.seconds
