"""A head per view: what each side says for itself, where the sides disagree, and that its loss counts."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from obverse.decisions import hard_targets
from obverse.errors import RecipeError
from obverse.evaluation import Predictions
from obverse.experiment import start_run
from obverse.inference import load
from obverse.losses import build_objective
from obverse.recipe import LossSpec, ModelSpec, ViewHeadsSpec
from obverse.runs import RunFolder
from obverse.studies.compare import compare, read_contender
from obverse.studies.ensemble import make_ensemble
from obverse.studies.folds import run_folds

VIEWS = ("obverse", "reverse")


@pytest.fixture(scope="module", params=["shared", pytest.param("separate", marks=pytest.mark.full)])
def finished(request, draw_classes, make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graded")
    data = draw_classes(folder / "data", classes=("VF20", "MS60"), per_class=12, views=VIEWS)
    run = RunFolder(folder / "run")
    recipe = make_recipe(
        model={"view_heads": {"weight": 1.0}, "sharing": request.param}, training={"epochs": 10}, optim={"lr": 0.02}
    )
    result = start_run(data, recipe, run)
    return run, data, result


def test_every_side_is_graded_by_its_own_head(finished):
    run, _, result = finished
    graded = result.metrics["views"]["graded"]
    assert list(graded) == list(VIEWS)
    # The classes are dark and light: each side alone shows its grade.
    assert all(view["accuracy"]["value"] == 1.0 for view in graded.values())
    assert result.metrics["views"]["disagreement"]["value"] == 0
    report = (run.evaluation("test") / "summary.md").read_text()
    assert "obverse by its own head" in report
    header = next(csv.reader((run.evaluation("test") / "views.csv").read_text().splitlines()))
    assert header[3:] == [
        *("obverse alone", "reverse alone", "obverse by its own head", "reverse by its own head"),
        *("disagree", "steps apart"),
    ]


def test_prediction_gives_the_evaluations_grades(finished):
    run, data, _ = finished
    (name,) = json.loads((run.evaluation("test") / "ids.json").read_text())[:1]
    grades = np.load(run.evaluation("test") / "view_grades.npz")
    label, stem = name.split("/")
    sides = {view: data / label / view / f"{stem}.png" for view in VIEWS}
    (prediction,) = load(run.path, device="cpu").predict(sides)
    for view in VIEWS:
        assert prediction.view_grades[view] == ((label, pytest.approx(float(grades[view][0].max()), abs=1e-6)),)
    assert not prediction.views_disagree


def test_a_coin_worn_on_one_side_is_seen(finished):
    run, data, _ = finished
    sides = {"obverse": data / "MS60" / "obverse" / "00.png", "reverse": data / "VF20" / "reverse" / "00.png"}
    predictor = load(run.path, device="cpu")
    worn, one_side = predictor.predict([sides, {"reverse": sides["reverse"]}])
    assert {view: label for view, ((label, _),) in worn.view_grades.items()} == {"obverse": "MS60", "reverse": "VF20"}
    assert worn.views_disagree
    assert (list(one_side.view_grades), one_side.views_disagree) == (["reverse"], False)


def test_graded_runs_are_compared_joined_and_pooled(finished, make_recipe, tmp_path):
    run, data, result = finished
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("checkpoints"))
    row = compare([read_contender(run.path), read_contender(copy)]).rows[1]
    assert (row.differences["accuracy"].value, row.note) == (0.0, "")
    both = make_ensemble([run.path, copy], tmp_path / "both", device="cpu")
    assert both.metrics["test"]["accuracy"] == result.metrics["accuracy"]
    recipe = make_recipe(
        data={"split": {"test": 0.3, "train": 0.5, "val": 0.2}}, model={"view_heads": {}}, training={"epochs": 1}
    )
    found = run_folds(data, recipe, tmp_path / "folds", folds=2)
    assert set(found.metrics) == {"out-of-fold", "test"}
    pooled, *parts = (
        Predictions.read(tmp_path / "folds" / name)
        for name in ("evaluation/out-of-fold", "fold-0/evaluation/val", "fold-1/evaluation/val")
    )
    for view in VIEWS:
        np.testing.assert_array_equal(
            pooled.view_grades[view], np.concatenate([part.view_grades[view] for part in parts])
        )


def test_the_heads_cost_their_weight_over_the_views_that_are_there():
    objective = build_objective(
        LossSpec(kind="cross-entropy", decode="mode"),
        counts=[4, 4],
        model=ModelSpec(view_heads=ViewHeadsSpec(weight=0.5)),
    )
    logits, targets = torch.randn(3, 3, 2), hard_targets(torch.tensor([0, 1, 1]), 2)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    of_each = [objective.losses(logits[:, n], targets) for n in range(3)]
    expected = [(of_each[1][0] + of_each[2][0]) / 2, of_each[1][1], of_each[2][2]]
    found = objective.losses_with_views(logits, targets, present)
    torch.testing.assert_close(found, of_each[0] + 0.5 * torch.stack(expected))


@pytest.mark.parametrize(
    ("field", "said"),
    [({"view_heads": {}}, "view_heads"), ({"fusion": {"kind": "max"}}, "max"), ({"sharing": "separate"}, "sharing.*")],
)
def test_what_needs_several_views_is_refused_for_one(field, said, draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=6)
    with pytest.raises(RecipeError, match=rf"model\..*{said} has no effect on one view"):
        start_run(data, make_recipe(model=field), RunFolder(tmp_path / "run"))
    with pytest.raises(RecipeError, match=r"augment\.view_dropout has no effect on one view"):
        start_run(data, make_recipe(augment={"view_dropout": 0.2}), RunFolder(tmp_path / "other"))
