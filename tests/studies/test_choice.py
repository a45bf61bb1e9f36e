"""Ways of training compared by folds within train and val; the chosen one is trained as the run."""

import csv
import json
import shutil

import pytest

import obverse
from obverse.errors import BusyError, DivergedError, Interrupted, RecipeError, UnavailableError
from obverse.evaluation import Predictions
from obverse.experiment import start_run
from obverse.recipe import load_recipe
from obverse.runs import RunFolder
from obverse.studies import many
from obverse.studies.choice import train_chosen

TWO = {"still": {"optim.lr": 1e-9}, "moving": {}}
WAYS = {"still": {"optim.lr": 1e-9}, "moving": {}, "slow": {"optim.lr": 1e-9, "model.head.dropout": 0.1}}


def splits(manifest):
    with manifest.open(newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


@pytest.fixture
def data(draw_classes, tmp_path):
    return draw_classes(tmp_path / "data", per_class=12)


@pytest.fixture
def recipe(make_recipe):
    def make(ways=TWO, **sections):
        options = {"training": {"epochs": 4}, "optim": {"lr": 0.03}, "evaluation": {"maps": 0}, **sections}
        return make_recipe(choice={"folds": 2, "ways": ways}, **options)

    return make


def test_the_best_way_is_trained_and_test_is_seen_by_no_fold(data, recipe, tmp_path):
    run = tmp_path / "run"
    given = recipe(WAYS, evaluation={"maps": 0, "val_chose": ["the backbone (of 2)"]})
    result = obverse.train(data, given, run=run)
    choice = json.loads((run / "choice.json").read_text())
    assert [way["name"] for way in choice["ways"]] == list(WAYS)
    assert choice["chosen"] == choice["best"] == "moving"
    held = splits(run / "manifest.csv")
    test = {name for name, split in held.items() if split == "test"}
    plain = obverse.train(data, load_recipe(recipe(), ["choice=null", "training.epochs=1"]), run=tmp_path / "plain")
    assert held == splits(plain.path / "manifest.csv")
    for fold in run.glob("choice/*/fold-*"):
        assert set(splits(fold / "manifest.csv")) == held.keys() - test
        assert not (fold / "evaluation/test").exists()
    assert len(list(run.glob("choice/*/fold-*"))) == 6
    pooled = Predictions.read(run / "evaluation/val")
    assert set(pooled.ids) == held.keys() - test
    value = float((pooled.answers == pooled.truth).mean())
    assert choice["ways"][1]["value"] == pytest.approx(value)
    assert set(Predictions.read(result.evaluation.path).ids) == test
    final = load_recipe(run / "recipe.yaml")
    assert (final.optim.lr, final.choice) == (0.03, None)
    assert (run / "bundle/model.safetensors").is_file()
    output = json.loads((run / "bundle/model.json").read_text())["output"]
    for rule in (output["sets"], output["acceptance"]):
        assert (rule["fitted_on"], rule["num_units"]) == ("folds", len(pooled.ids))
    _assert_the_report_has_a_table_of_the_ways(result)


def _assert_the_report_has_a_table_of_the_ways(result):
    for split in ("val", "test"):
        summary = (result.path / f"evaluation/{split}/summary.md").read_text()
        assert "Way of training: moving, the best by accuracy over 2 folds of" in summary
        assert any(line.startswith("| still | optim.lr=1e-09 |") for line in summary.splitlines())
    val = json.loads((result.path / "evaluation/val/metrics.json").read_text())
    assert {"the way of training, of 3", "the backbone (of 2)"} < set(val["seen"]["chosen"])
    pooled = json.loads((result.path / "choice/moving/evaluation/out-of-fold/metrics.json").read_text())
    assert "the backbone (of 2)" in pooled["seen"]["chosen"]
    of_val, of_test = ((result.path / f"evaluation/{split}/summary.md").read_text() for split in ("val", "test"))
    assert "| calibration | fold 1: " in of_val
    assert "| refit |" not in of_val
    assert "| best epoch |" not in of_val
    assert "these weights ship; val figures are out-of-fold" in of_test
    again = obverse.evaluate(result)
    assert again.metrics == result.metrics
    assert "Ways of training" in (again.path / "summary.md").read_text()


def test_an_interrupted_choice_goes_on(data, recipe, tmp_path, monkeypatch):
    run, num = tmp_path / "run", 0

    def stops(*args, **options):
        nonlocal num
        num += 1
        if num == 3:
            args[2].unlock()
            raise Interrupted("stopped", 15)
        return start_run(*args, **options)

    monkeypatch.setattr(many, "start_run", stops)
    with pytest.raises(Interrupted, match="go on with --resume") as caught:
        obverse.train(data, recipe(), run=run)
    assert caught.value.exit_code == 143
    monkeypatch.undo()
    before = {path: path.stat().st_mtime_ns for path in run.glob("choice/*/fold-*/bundle/model.safetensors")}
    assert len(before) == 2
    with pytest.raises(RecipeError, match="other settings"):
        obverse.train(data, recipe(training={"epochs": 3}), run=run)
    result = obverse.resume(run)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert result.metrics["split"] == "test"
    assert json.loads((run / "choice.json").read_text())["chosen"] == "moving"
    assert obverse.resume(run).metrics == result.metrics


def test_the_same_command_goes_on_and_another_process_is_left_alone(data, recipe, tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")

    def stops(data, recipe, fold, **options):
        fold.unlock()
        raise Interrupted("stopped", 2)

    monkeypatch.setattr(many, "start_run", stops)
    with pytest.raises(Interrupted):
        train_chosen(data, recipe(), run)
    monkeypatch.undo()
    run.claim()
    with pytest.raises(BusyError, match="another process"):
        train_chosen(data, recipe(), RunFolder(run.path))
    run.unlock()
    assert train_chosen(data, recipe(), RunFolder(run.path)).metrics["split"] == "test"


def test_a_val_of_the_data_itself_is_divided_too_and_without_test_the_folds_are_the_result(data, recipe, tmp_path):
    given = tmp_path / "given"
    for split, numbers in {"train": range(8), "val": range(8, 12)}.items():
        for name in ("dark", "light"):
            (given / split / name).mkdir(parents=True)
            for number in numbers:
                shutil.copy(data / name / f"{number:02}.png", given / split / name)
    ways = {"still": {"optim.lr": 1e-9}, "moving": {}}
    result = obverse.train(
        given, recipe(ways, data={"split": {"train": 0.8, "val": 0.2, "test": 0.0}}), run=tmp_path / "run"
    )
    assert (result.metrics["split"], result.metrics["num_samples"]) == ("out-of-fold", 24)
    assert result.report == tmp_path / "run/evaluation/val/report.html"


def test_a_way_that_fails_is_left_out(data, recipe, tmp_path):
    ways = {"wild": {"optim.lr": 1e30}, "moving": {}}
    obverse.train(data, recipe(ways), run=tmp_path / "run")
    wild, _ = json.loads((tmp_path / "run/choice.json").read_text())["ways"]
    assert wild["left_out"].startswith("failed: diverged")
    assert wild["value"] is None
    with pytest.raises(DivergedError, match="no way could be trained"):
        obverse.train(data, recipe({"wild": {"optim.lr": 1e30}, "wilder": {"optim.lr": 2e30}}), run=tmp_path / "other")


def test_every_training_gets_its_share_of_the_minutes(data, recipe, tmp_path):
    obverse.train(data, recipe(training={"minutes": 0.07}), run=tmp_path / "run")
    runs = [*(tmp_path / "run").glob("choice/*/fold-*"), tmp_path / "run"]
    minutes = [load_recipe(run / "recipe.yaml").training.minutes for run in runs]
    assert sum(minutes) == pytest.approx(0.07)
    assert min(minutes) > 0


@pytest.mark.parametrize(
    ("sections", "kind", "words"),
    [
        ({"ways": "auto"}, RecipeError, "there are none"),
        ({"ways": {"a": {"optim.lrs": 1}, "b": {}}}, RecipeError, "way 'a'.*optim.lrs"),
        ({"data": {"split": {"folds": 3}}}, RecipeError, "makes its own folds"),
    ],
)
def test_what_cannot_be_chosen_leaves_no_run(data, recipe, tmp_path, sections, kind, words):
    with pytest.raises(kind, match=words):
        obverse.train(data, recipe(**sections), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_small_pictures_have_no_pretrained_weights(data, recipe, make_recipe, tmp_path):
    plain = make_recipe(choice={"folds": 2}).changed({"model.backbone": load_recipe("auto").model.backbone})
    with pytest.raises(UnavailableError, match=r"pictures are small.*give --weights FILE"):
        obverse.train(data, plain, run=tmp_path / "run")


def test_a_run_of_a_study_cannot_choose(data, recipe, tmp_path):
    with pytest.raises(RecipeError, match="choice=null"):
        start_run(data, recipe(), RunFolder(tmp_path / "run"))
