"""A run with average fusion: every view's model in one bundle, which is explained, written as pth and loaded again."""

import math

import numpy as np
import pytest

import obverse
from obverse.bundle import read_bundle
from obverse.errors import RecipeError
from obverse.experiment import start_run
from obverse.explain import explain
from obverse.export import read_pth, write_pth
from obverse.inference import Predictor
from obverse.runs import RunFolder

VIEWS = ("obverse", "reverse")


@pytest.fixture(scope="module")
def finished(draw_classes, make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged")
    data = draw_classes(folder / "data", classes=("a", "b", "c"), per_class=12, views=VIEWS)
    run = RunFolder(folder / "run")
    recipe = make_recipe(
        data={"size": {"height": 16, "width": 16}},
        model={"fusion": {"kind": "average"}, "sharing": "separate"},
        loss={"kind": "logit-adjustment", "prior": "tuned"},
        training={"epochs": 10},
        optim={"lr": 0.02},
    )
    return run, data, start_run(data, recipe, run)


def test_it_learns_and_no_view_is_dropped(finished):
    run, _, result = finished
    assert result.metrics["accuracy"]["value"] == 1.0
    assert "view_dropout: 0.0" in (run.path / "recipe.yaml").read_text()


def test_an_answer_is_the_mean_of_the_answers_to_its_views(finished):
    run, data, _ = finished
    predictor = obverse.load(run.path)
    picture = {"obverse": data / "a/obverse/00.png", "reverse": data / "c/reverse/00.png"}
    whole = dict(predictor.predict(picture, top_k=3)[0].top)
    apart = [dict(predictor.predict({view: path}, top_k=3)[0].top) for view, path in picture.items()]
    # A prior is added after averaging, where it weighs views by what it leaves of them.
    power = predictor.bundle.output.prior
    free = [{name: p / q for (name, p), q in zip(sorted(one.items()), power, strict=True)} for one in (whole, *apart)]
    shares = [{name: value / math.fsum(one.values()) for name, value in one.items()} for one in free]
    for name, value in shares[0].items():
        assert value == pytest.approx((shares[1][name] + shares[2][name]) / 2, abs=1e-5)


def test_pth_and_heat_maps(finished, tmp_path):
    run, data, _ = finished
    picture = {view: data / f"b/{view}/00.png" for view in VIEWS}
    predictor = obverse.load(run.path)
    write_pth(tmp_path / "model.pth", *read_bundle(run.path))
    assert Predictor(*read_pth(tmp_path / "model.pth")).predict(picture) == predictor.predict(picture)
    (found,) = explain(predictor.engine, next(predictor.batches(picture, 1)), VIEWS)
    assert list(found.maps) == list(VIEWS)
    for maps in found.maps.values():
        assert all(np.isfinite(heat_HW).all() and heat_HW.max() > 0 for heat_HW in maps.values())


def test_one_view_has_nothing_to_average(draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=4)
    with pytest.raises(RecipeError, match="kind: average has no effect on one view"):
        start_run(data, make_recipe(model={"fusion": {"kind": "average"}}), RunFolder(tmp_path / "run"))
