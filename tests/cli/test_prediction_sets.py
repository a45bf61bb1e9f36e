"""A run's rule of sets: fitted on val, shipped, and the same in evaluation, prediction, export and ensembles."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from obverse import load
from obverse.bundle import read_bundle, read_description, write_bundle
from obverse.decisions import PredictionSets
from obverse.errors import DataError
from obverse.evaluation import Predictions
from obverse.experiment import start_run
from obverse.experiment.shipping import output_of_folds
from obverse.export import read_pth, write_pth
from obverse.recipe import Recipe, SetsSpec
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble

SPLIT = {"split": {"train": 0.3, "val": 0.5, "test": 0.2}}


@pytest.fixture(scope="module")
def data(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("data"), classes=("a", "b", "c"), per_class=20)


@pytest.fixture(scope="module")
def run(data, make_recipe, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    start_run(data, make_recipe(data=SPLIT, training={"epochs": 2}, loss={"label_smoothing": 0.4}), folder)
    return folder


def test_the_rule_ships_and_the_report_has_its_promise(run):
    rule = read_description(run.path)[0].output.sets
    assert (rule.kind, rule.level, rule.num_units, rule.fitted_on) == ("lac", 0.9, 30, "val")
    assert rule.quantile[0] is not None
    found = Predictions.read(run.evaluation("test"))
    assert found.sets.rules == (rule,)
    assert found.sets.within_NK[np.arange(len(found.ids)), found.answers].all()
    summary = (run.evaluation("test") / "summary.md").read_text()
    promised = "90 % of new samples on average; with 30 independent samples of val yours may be"
    assert f"The promise: {promised}" in summary
    assert json.loads((run.evaluation("test") / "metrics.json").read_text())["sets"]["level"] == 0.9
    val = json.loads((run.evaluation("val") / "metrics.json").read_text())
    assert "the rule of sets" in val["seen"]["chosen"]
    # By construction: 28 of 31 places.
    assert val["sets"]["coverage"]["value"] >= 0.8


def test_predictions_exports_and_the_command_have_the_sets_of_the_evaluation(run, data, tmp_path, obverse):
    found = Predictions.read(run.evaluation("test"))
    stored = {
        name: tuple(np.array(found.classes)[row_K].tolist())
        for name, row_K in zip(found.ids, found.sets.within_NK, strict=True)
    }
    bundle, model = read_bundle(run.path)
    write_pth(tmp_path / "model.pth", bundle, model)
    flat, network = read_pth(tmp_path / "model.pth")
    write_bundle(tmp_path / "flat", flat, network.state_dict())
    for place in (run.path, tmp_path / "flat"):
        answers = load(place, device="cpu").predict(data)
        for name, classes in stored.items():
            (answer,) = [answer for answer in answers if f"/{name}" in answer.id]
            assert (answer.set, answer.set_level) == (classes, 0.9)
            assert answer.set_words == ("any" if len(classes) == 3 else " or ".join(classes))
    picture = next(data.glob("*/*"))
    table = obverse("predict", run.path, picture).out
    assert ", 90 %" in table
    (as_json,) = json.loads(obverse("predict", run.path, picture, "--format", "json").out)
    (row,) = csv.DictReader(obverse("predict", run.path, picture, "--format", "csv").out.splitlines())
    assert row["set"].split("|") == as_json["set"]


def test_a_bundle_without_a_rule_has_no_sets(run, data, tmp_path, obverse):
    bundle, model = read_bundle(run.path)
    write_bundle(tmp_path / "old", replace(bundle, output=bundle.output.changed({"sets": None})), model.state_dict())
    picture = next(data.glob("*/*"))
    (answer,) = load(tmp_path / "old", device="cpu").predict([picture])
    assert (answer.set, answer.set_level, answer.set_words) == ((), None, "")
    assert "set" not in json.loads(obverse("predict", tmp_path / "old", picture, "--format", "json").out)[0]
    assert "set" not in obverse("predict", tmp_path / "old", picture, "--format", "csv").out.splitlines()[0].split(",")


def test_an_ensemble_has_a_rule_of_its_own(run, data, make_recipe, tmp_path):
    other = RunFolder(tmp_path / "other")
    start_run(data, make_recipe(data=SPLIT, training={"epochs": 1, "seed": 1}, evaluation={"coverage": None}), other)
    assert read_description(other.path)[0].output.sets is None
    make_ensemble([run.path, other.path], tmp_path / "joined")
    assert read_description(tmp_path / "joined")[0].output.sets.num_units == 30


def test_out_of_fold_predictions_give_the_rules_of_sets_and_of_acceptance(run):
    bundle, _ = read_description(run.path)
    pooled = Predictions.read(run.evaluation("test"))
    output = output_of_folds(pooled, bundle, recipe=Recipe())
    for rule in (output.sets, output.acceptance):
        assert (rule.fitted_on, rule.num_units) == ("folds", len(pooled.ids))
    assert output.calibration == bundle.output.calibration


def test_a_changed_calibration_drops_the_rule_and_a_wrong_one_is_refused(run, tmp_path):
    bundle, model = read_bundle(run.path)
    assert bundle.output.changed({"calibration": None}).sets is None
    assert bundle.output.changed({"prior": (0.2, 0.3, 0.5)}).sets is None
    for kind, quantile, fault in (("range", (0.5,), "does not go with"), ("lac", (0.5, 0.5), "one quantile")):
        wrong = SetsSpec(kind=kind, level=0.9, quantile=quantile, num_units=30)
        write_bundle(
            tmp_path / kind, replace(bundle, output=bundle.output.changed({"sets": wrong})), model.state_dict()
        )
        with pytest.raises(DataError, match=fault):
            read_bundle(tmp_path / kind)


def test_folds_without_a_rule_join_without_sets(run):
    found = Predictions.read(run.evaluation("test"))
    assert PredictionSets.joined([found.sets, None]) is None
