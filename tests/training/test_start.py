"""The frozen features with a fitted head are epoch 0: a candidate for what ships, and said wherever epochs are."""

import json

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from obverse.bundle import read_bundle
from obverse.errors import Interrupted
from obverse.experiment import start_run
from obverse.runs import EpochEnd, Message, RunFolder
from obverse.runs.checkpoint import load_newest
from obverse.training.pace import Pace

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
# Of noise cross-validation would leave the fit of the head out.
FITTED = 1000.0
CLOCKS = {"seconds", "head_seconds", "pictures_per_second", "data_wait"}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=12, size=(32, 32))


@pytest.fixture(scope="module")
def noise(tmp_path_factory, draw_picture):
    """Classes that do not differ, so that a high rate can only make the loss worse."""
    root = tmp_path_factory.mktemp("noise")
    for number in range(24):
        draw_picture(root / "ab"[number % 2] / f"{number}.png", size=(32, 32), seed=number)
    return root


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), path)
    return {"kind": "timm", "name": "test_vit", "pretrained": str(path)}


@pytest.fixture
def recipe_for(backbone, make_recipe):
    def make(rate=1e-3, *, schedule=None, strength=None, train="all", **training):
        return make_recipe(
            data={"size": {"height": 32, "width": 32}},
            model={"backbone": backbone},
            optim={"lr": rate, "kind": "sgd", "clip_norm": 1.0},
            schedule=schedule or {},
            training={"epochs": 3, "select": "loss", "ema_decay": 0.8, **training},
            finetune={"head_first": {"strength": strength}, "train": train},
        )

    return make


def epochs_of(events):
    return [event for event in events if isinstance(event, EpochEnd)]


def test_the_start_is_validated_before_the_first_step(data, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(data, recipe_for(), tmp_path)
    events = list(trainer.run())
    start, *later = epochs_of(events)
    assert (start.epoch, start.step, start.learning_rate, start.is_best) == (0, 0, 0.0, True)
    assert [event.epoch for event in later] == [1, 2, 3]
    assert events.index(start) < events.index(later[0])
    assert "epoch 0 is the frozen features with the fitted head" in next(
        event.text for event in events[events.index(start) :] if isinstance(event, Message)
    )
    progress = trainer.progress
    assert [row["epoch"] for row in progress.history] == [0, 1, 2, 3]
    assert [row["epoch"] for row in progress.epochs] == [1, 2, 3]
    assert progress.best_row["epoch"] == progress.best_epoch + 1
    # Neither the fit nor this validation is counted as time of steps.
    assert progress.head_seconds == pytest.approx(start.seconds)
    assert Pace(trainer.recipe, 10).seconds(progress) == progress.seconds - progress.head_seconds


def test_a_run_whose_rate_is_absurd_ships_the_start(noise, backbone, recipe_for, tmp_path):
    run = RunFolder(tmp_path / "run")
    start_run(noise, recipe_for(3.0, strength=FITTED), run)
    log = json.loads((run.path / "training_log.json").read_text())
    first, *later = log["epochs"]
    assert (log["best_epoch"], log["best_value"]) == (0, first["select_value"])
    assert all(first["select_value"] < row["select_value"] for row in later)
    bundle, model = read_bundle(run.bundle)
    assert bundle.trained["epoch"] == 0
    weights = load_file(backbone["pretrained"])
    del weights["pos_embed"]  # of another input size
    torch.testing.assert_close({name: model.backbones[0].state_dict()[name] for name in weights}, weights)
    val = json.loads((run.evaluation("val") / "metrics.json").read_text())
    assert val["accuracy"]["value"] == pytest.approx(first["val_accuracy"])
    assert log["facts"]["best epoch"].startswith("0, by val loss")
    assert log["facts"]["epoch 0"].startswith("the frozen features with a fitted head, val loss")
    assert "best epoch is the start" in {finding["code"] for finding in log["diagnosis"]}
    assert "epoch 0" in (run.evaluation("test") / "summary.md").read_text()


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.5, 0.9, 0.4, 0.7, 0.6], 3),  # the first is of the warm-up
        ([0.5, 0.9, 0.4, 0.5, 0.3], 3),  # as good as the start is enough
        ([0.5, 0.9, 0.4, 0.3, 0.2], 1),  # nothing better than the start takes its place
        ([0.5, 0.4, 0.4, 0.3, 0.2], 0),
        ([0.5, 0.6, 0.4, 0.7, 0.9], 4),
    ],
)
def test_an_epoch_of_the_warm_up_does_not_ship_by_luck(
    values, best, data, recipe_for, make_trainer, tmp_path, monkeypatch
):
    told = iter(values)
    monkeypatch.setattr("obverse.training.trainer.val_values", lambda *_: (next(told), 1.0, 0.5))
    recipe = recipe_for(epochs=4, select="accuracy", schedule={"warmup_epochs": 1})
    trainer = make_trainer(data, recipe, tmp_path)
    said = [event.text for event in trainer.run() if isinstance(event, Message)]
    assert trainer.progress.best_epoch + 1 == best
    assert any("can be the best by luck" in text for text in said) == (values[1] > 0.5 and best > 1)


def test_a_large_val_is_believed_from_the_first_epoch(data, recipe_for, make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr("obverse.training.validation.SMALL_VAL", 2)
    told = iter([0.5, 0.9, 0.4, 0.7, 0.6])
    monkeypatch.setattr("obverse.training.trainer.val_values", lambda *_: (next(told), 1.0, 0.5))
    recipe = recipe_for(epochs=4, select="accuracy", schedule={"warmup_epochs": 1})
    trainer = make_trainer(data, recipe, tmp_path)
    list(trainer.run())
    assert trainer.progress.best_epoch + 1 == 1


def test_a_head_that_learned_nothing_from_the_features_is_no_start(noise, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(noise, recipe_for(epochs=2), tmp_path)
    fresh = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    events = trainer.run()
    said = [event.text for event in (next(events), next(events)) if isinstance(event, Message)]
    assert "left out, because in cross-validation the frozen features say nothing about the classes" in said[1]
    torch.testing.assert_close(dict(trainer.model.state_dict()), fresh, rtol=0, atol=0)
    assert [event.epoch for event in epochs_of(events)] == [1, 2]
    first = trainer.progress.history[0]
    assert first["train_loss"] == pytest.approx(0.7, abs=0.2)
    assert trainer.progress.head_strength is None


def test_a_head_that_trains_alone_is_fitted_to_features_that_say_nothing(noise, recipe_for, make_trainer, tmp_path):
    trainer = make_trainer(noise, recipe_for(train="head", epochs=1), tmp_path)
    assert [event.epoch for event in epochs_of(trainer.run())] == [0, 1]
    assert trainer.progress.head_strength is not None


def test_patience_counts_from_the_start(noise, recipe_for, make_trainer, tmp_path):
    stopping = {"patience": 2, "min_epochs": 0, "min_fraction": 0.0}
    trainer = make_trainer(noise, recipe_for(3.0, strength=FITTED, epochs=9, early_stopping=stopping), tmp_path)
    assert [event.epoch for event in epochs_of(trainer.run())] == [0, 1, 2]
    assert trainer.progress.stop_reason == "no better loss since epoch 0"


def test_a_plateau_is_one_of_trained_epochs(data, recipe_for, make_trainer, tmp_path):
    plateau = {"kind": "plateau", "patience": 1, "drop_factor": 0.5, "warmup_epochs": 0}
    trainer = make_trainer(data, recipe_for(3.0, schedule=plateau, select="accuracy"), tmp_path)
    rates = [event.learning_rate for event in epochs_of(trainer.run())]
    assert rates[:3] == [0.0, 3.0, 3.0]


def test_a_signal_while_the_start_is_validated_loses_nothing(data, recipe_for, make_trainer, tmp_path):
    """The head is fitted, so a resumed run validates it and does not fit it to its own features a second time."""
    whole = make_trainer(data, recipe_for(), tmp_path / "a")
    list(whole.run())

    first = make_trainer(
        data, recipe_for(), tmp_path / "b", wanted_signal=lambda: 15 if first.progress.head_seconds else None
    )
    with pytest.raises(Interrupted):
        list(first.run())
    assert (first.progress.step, first.progress.history) == (0, [])
    again = make_trainer(data, recipe_for(), tmp_path / "b")
    again.restore(load_newest(tmp_path / "b")[0])
    texts = [event.text for event in again.run() if isinstance(event, Message)]
    assert not [text for text in texts if text.startswith("head first")]
    torch.testing.assert_close(again.best_weights, whole.best_weights, atol=0, rtol=0)
    torch.testing.assert_close(again.model.state_dict(), whole.model.state_dict(), atol=0, rtol=0)
    assert without_clocks(again.progress.history) == without_clocks(whole.progress.history)


def without_clocks(rows):
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in rows]
