"""`training.refit`: what val chose is trained once more on train and val; each figure is of the model that it names."""

import json
import signal

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from obverse.bundle import read_bundle
from obverse.data import PictureDataset
from obverse.errors import Interrupted, RecipeError
from obverse.experiment import continued, evaluate_run, resume_run, start_run
from obverse.recipe import build_recipe
from obverse.runs import RunFolder
from obverse.training import Progress, Repeat, Trainer
from obverse.training.head_first import HeadFirst

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=12, size=(32, 32))


@pytest.fixture(scope="module")
def recipe_for(tmp_path_factory, make_recipe):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), path)

    def make(rate=1e-3, **training):
        return make_recipe(
            data={"size": {"height": 32, "width": 32}},
            model={"backbone": {"kind": "timm", "name": "test_vit", "pretrained": str(path), "drop_path_rate": 0.2}},
            optim={"lr": rate, "kind": "adamw"},
            training={"epochs": 3, "select": "loss", "ema_decay": 0.8, "refit": True, **training},
            finetune={"head_first": {}},
            evaluation={"maps": 0},
        )

    return make


@pytest.fixture(scope="module")
def refitted(data, recipe_for, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("runs") / "refitted")
    return run, start_run(data, recipe_for(), run)


class Recorder:
    def __init__(self, notify):
        self.notify = notify

    def close(self):
        pass


def log_of(run):
    return json.loads((run.path / "training_log.json").read_text())


def weights_of(run):
    return load_file(run.bundle / "model.safetensors")


def test_what_ships_has_seen_every_sample_of_val_and_val_is_of_the_first_training(
    data, recipe_for, refitted, tmp_path, monkeypatch
):
    run, result = refitted
    seen, read = set(), PictureDataset.__getitem__

    def spy(self, places):
        batch = read(self, places)
        if self.augment is not None:
            seen.update(batch.ids)
        return batch

    monkeypatch.setattr(PictureDataset, "__getitem__", spy)
    plain = RunFolder(tmp_path / "plain")
    start_run(data, recipe_for(refit=False), plain)
    val = set(json.loads((plain.evaluation("val") / "ids.json").read_text()))
    test = set(json.loads((plain.evaluation("test") / "ids.json").read_text()))
    assert not seen & val
    start_run(data, recipe_for(), RunFolder(tmp_path / "again"))
    assert val <= seen
    assert not seen & test
    # The first training is the one without refit; what ships is another one.
    metrics = [json.loads((folder.evaluation("val") / "metrics.json").read_text()) for folder in (plain, run)]
    assert metrics[0]["accuracy"] == metrics[1]["accuracy"]
    assert metrics[0]["loss"] == metrics[1]["loss"]
    assert log_of(plain)["best_value"] == log_of(run)["best_value"]
    first, second = weights_of(plain), weights_of(run)
    assert not torch.equal(first["head.0.weight"], second["head.0.weight"])
    torch.testing.assert_close(second, weights_of(RunFolder(tmp_path / "again")), atol=0, rtol=0)
    assert result.metrics["split"] == "test"


def test_reports_say_which_model_they_are_of(refitted, tmp_path):
    run, result = refitted
    log, bundle = log_of(run), read_bundle(run.bundle)[0]
    assert bundle.trained == {"epoch": log["best_epoch"], "select": "loss", "value": log["best_value"], "refit": True}
    assert len(log["refit"]["epochs"]) == log["best_epoch"]
    assert "these weights ship; val figures are of the first training" in log["facts"]["refit"]
    of_val, of_test = ((run.evaluation(name) / "summary.md").read_text() for name in ("val", "test"))
    assert "of the first training, on train alone" in of_val
    assert "trained once more on train and val" in of_test
    assert "chose the best epoch" in of_val
    # What is measured on test is the bundle.
    _, metrics = evaluate_run(run.path, out=tmp_path / "test")
    assert metrics["loss"]["value"] == pytest.approx(result.metrics["loss"]["value"], rel=1e-5)
    with pytest.raises(RecipeError, match="trained on val too"):
        evaluate_run(run.path, split="val")
    evaluate_run(run.path, split="val", out=tmp_path / "val")
    assert "were trained on" in (tmp_path / "val" / "summary.md").read_text()


def test_the_head_is_fitted_again_with_the_strength_that_val_has_measured(data, recipe_for, tmp_path, monkeypatch):
    strengths = iter([31.6, 0.1])
    monkeypatch.setattr("obverse.training.head_first._best_strength", lambda *_: (next(strengths), 0.5, 1.0))
    seen = []
    recipe = recipe_for(epochs=1)
    start_run(data, recipe, RunFolder(tmp_path / "run"), observers=[Recorder(seen.append)])
    fits = [event.text for event in seen if "L2 strength" in getattr(event, "text", "")]
    assert len(fits) == 2
    assert all("L2 strength 31.6" in text for text in fits)
    assert "by cross-validation" not in fits[1]


def test_a_head_that_was_left_out_is_left_out_again(data, recipe_for, tmp_path, monkeypatch):
    values = iter([(31.6, 1.0, 1.0), (31.6, 0.5, 1.0)])
    monkeypatch.setattr("obverse.training.head_first._best_strength", lambda *_: next(values))
    seen = []
    start_run(data, recipe_for(epochs=1), RunFolder(tmp_path / "run"), observers=[Recorder(seen.append)])
    said = [event.text for event in seen if "head first" in getattr(event, "text", "")]
    assert ["left out" in text for text in said] == [False, True]
    assert next(values) == (31.6, 0.5, 1.0)


@pytest.mark.parametrize(("phase", "step"), [("first", 4), ("refit", 0), ("refit", 3), ("refit", None)])
def test_a_kill_in_either_training_loses_nothing(data, recipe_for, refitted, tmp_path, monkeypatch, phase, step):
    """step None: the run ends after the second training, before the bundle is written."""
    run = RunFolder(tmp_path / "run")
    init = Trainer.__init__

    def interrupted(self, *args, **more):
        def wish():
            here = "refit" if self.repeat is not None else "first"
            return 15 if (here, self.progress.step) == (phase, step) else None

        init(self, *args, **more | {"wanted_signal": wish})

    def killed(*_):
        raise Interrupted("killed", 15)

    monkeypatch.setattr(Trainer, "__init__", interrupted)
    if step is None:
        monkeypatch.setattr("obverse.experiment.train.write_bundle", killed)
    with pytest.raises(Interrupted):
        start_run(data, recipe_for(), run)
    assert not run.is_finished
    monkeypatch.undo()
    torch.manual_seed(99)
    again = RunFolder(run.path)
    result = resume_run(again)
    torch.testing.assert_close(weights_of(again), weights_of(refitted[0]), atol=0, rtol=0)
    assert result.metrics["accuracy"] == refitted[1].metrics["accuracy"]
    assert log_of(again)["best_value"] == log_of(refitted[0])["best_value"]


def test_where_the_start_is_best_only_the_head_is_fitted_again(data, recipe_for, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "_is_best", lambda self, *_: not self.progress.history)
    run = RunFolder(tmp_path / "run")
    start_run(data, recipe_for(epochs=1), run)
    log, weights = log_of(run), weights_of(run)
    assert (log["best_epoch"], log["refit"]["epochs"]) == (0, [])
    assert "the head alone" in log["facts"]["refit"]
    start = load_file(recipe_for().model.backbone.pretrained)
    name = "blocks.0.attn.qkv.weight"
    assert torch.equal(weights[f"backbones.0.{name}"], start[name])
    (finding,) = (found for found in log["diagnosis"] if found["code"] == "best epoch is the start")
    assert "the head alone is refitted" in finding["what"]


def test_a_signal_while_the_head_alone_is_refitted_loses_nothing(data, recipe_for, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "_is_best", lambda self, *_: not self.progress.history)
    run, real, numbers = RunFolder(tmp_path / "run"), HeadFirst.fit, iter([0, 15])

    def fit(self, *args, **more):
        if number := next(numbers):
            signal.raise_signal(number)
        return real(self, *args, **more)

    monkeypatch.setattr(HeadFirst, "fit", fit)
    with pytest.raises(Interrupted, match="everything is saved, go on with --resume"):
        start_run(data, recipe_for(epochs=1), run)
    resume_run(RunFolder(run.path))  # does not fit once more, for which `numbers` has no number
    assert log_of(run)["refit"]["epochs"] == []


def test_the_length_is_that_of_the_best_epoch():
    rows = [{"epoch": n, "seconds": 10.0 * n} for n in range(4)]
    assert Repeat.of(Progress(best_epoch=1, history=rows), None) == Repeat(2, 0.0)
    assert Repeat.of(Progress(best_epoch=1, history=rows), 0.5) == Repeat(2, pytest.approx(20 / 30))
    assert Repeat.of(Progress(best_epoch=-1, history=rows), 0.5) == Repeat(0, 0.0)


def test_minutes_are_shared_and_each_training_takes_a_step(data, make_recipe, tmp_path):
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(training={"minutes": 1e-6, "refit": True}, evaluation={"maps": 0}), run)
    log = log_of(run)
    assert [row["step"] for row in log["refit"]["epochs"]] == [1]


def test_what_cannot_be_repeated_or_chosen_again_is_refused(refitted):
    with pytest.raises(RecipeError, match="lowers the rate by val"):
        build_recipe({"training": {"refit": True}, "schedule": {"kind": "plateau"}}, "test")
    with pytest.raises(RecipeError, match="val can choose nothing more"):
        continued(refitted[0].path, [], epochs=2)
