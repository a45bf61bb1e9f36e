"""Extra columns that the model sees: from a table through training and the bundle to a prediction."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from obverse.bundle import read_bundle
from obverse.cli.main import app
from obverse.errors import DataError, RecipeError
from obverse.experiment import evaluate_run, resume_run, start_run
from obverse.inference import load
from obverse.inference.searching import search
from obverse.manifest import build_index
from obverse.runs import RunFolder

COLUMNS = {"mint": "category", "year": "number"}


def write_table(folder, draw_picture, num=48, *, cells=lambda n: {}):
    """Pictures that say nothing: the class is the mint, and the year is above or below 1900 likewise."""
    rows = []
    for n in range(num):
        name = draw_picture(folder / f"{n}.png", seed=n).name
        row = {"label": "ab"[n % 2], "image": name, "mint": "DS"[n % 2], "year": 1850 + 100 * (n % 2) + n}
        rows.append(row | cells(n))
    with (folder / "coins.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "coins.csv"


@pytest.fixture(scope="module")
def finished(draw_picture, make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    table = write_table(folder, draw_picture)
    run = RunFolder(folder / "run")
    recipe = make_recipe(data={"columns": COLUMNS}, training={"epochs": 12}, optim={"lr": 0.02})
    result = start_run(table, recipe, run)
    return run, table, result


def test_pictures_that_say_nothing_are_told_apart_by_their_columns(finished):
    run, _, result = finished
    assert result.metrics["accuracy"]["value"] == 1.0
    bundle, _ = read_bundle(run.path)
    mint, year = bundle.columns
    assert (mint.kind, mint.values, year.kind) == ("category", ("D", "S"), "number")
    rows = csv.DictReader((run.path / "manifest.csv").read_text().splitlines())
    years = [float(row["year"]) for row in rows if row["split"] == "train"]
    assert (year.mean, year.std) == (pytest.approx(np.mean(years)), pytest.approx(np.std(years)))


def test_prediction_takes_columns_in_every_way_and_works_without(finished):
    run, table, _ = finished
    predictor, picture = load(run.path, device="cpu"), table.parent / "0.png"
    assert predictor.columns == ("mint", "year")
    a = {"mint": "D", "year": 1860}
    b = {"mint": "S", "year": 1960}
    together = predictor.predict([picture, picture], columns=b)
    assert [p.label for p in together] == ["b", "b"]
    own = predictor.predict([{"image": picture, **a}, {"image": picture, "mint": "S"}], columns={"year": "1960"})
    assert [p.label for p in own] == ["a", "b"]
    assert own[0].probability > 0.9
    without, unseen = predictor.predict(picture)[0], predictor.predict(picture, columns={"mint": "never"})[0]
    assert without == unseen
    assert without.probability < own[0].probability


@pytest.mark.parametrize("column", [["mint=D", "year=1860"], ["mint=S", "year=1960"]])
def test_explaining_explains_the_answer_of_predicting(finished, column, tmp_path):
    run, table, _ = finished
    given = dict(pair.split("=") for pair in column)
    arguments = [str(run.path), str(table.parent / "0.png"), "--device", "cpu", "--out", str(tmp_path / "maps")]
    arguments += [word for pair in column for word in ("--column", pair)]
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code == 0, result.output
    drawn = next(csv.DictReader((tmp_path / "maps/maps.csv").read_text().splitlines()))
    (predicted,) = load(run.path, device="cpu").predict(table.parent / "0.png", columns=given)
    assert drawn["predicted"] == predicted.label == ("a" if given["mint"] == "D" else "b")
    assert float(drawn["probability"]) == pytest.approx(predicted.probability, abs=1e-4)


def test_embeddings_take_columns(finished):
    run, table, _ = finished
    predictor, picture = load(run.path, device="cpu"), table.parent / "0.png"
    given, own = {"mint": "D", "year": 1860}, {"image": picture, "mint": "D", "year": 1860}
    np.testing.assert_array_equal(predictor.embed(picture, columns=given), predictor.embed(own))
    assert not np.array_equal(predictor.embed(picture, columns=given), predictor.embed(picture))


def test_search_sees_the_columns_of_what_is_looked_for(finished):
    run, table, _ = finished
    pictures = sorted(table.parent.glob("*.png"))
    bare, given = (
        search(run.path, pictures[0], pictures, top_k=1, columns=columns, device="cpu")[0].matches[0][1]
        for columns in (None, {"mint": "D", "year": 1860})
    )
    assert bare != given


def test_prediction_equals_evaluation_with_the_same_columns(finished):
    run, table, _ = finished
    ids = json.loads((run.evaluation("test") / "ids.json").read_text())
    expected = np.load(run.evaluation("test") / "probabilities.npy").max(1)
    rows = {row["image"]: row for row in csv.DictReader(table.read_text().splitlines())}
    inputs = [{"image": table.parent / n, "mint": rows[n]["mint"], "year": rows[n]["year"]} for n in ids]
    given = [p.probability for p in load(run.path, device="cpu").predict(inputs)]
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_the_same_table_is_evaluated_the_same_as_other_data(finished, tmp_path):
    run, table, _ = finished
    _, metrics = evaluate_run(run.path, data=table, out=tmp_path / "all", device="cpu")
    assert metrics["accuracy"]["value"] == 1.0
    bare = tmp_path / "bare.csv"
    rows = [(row["label"], table.parent / row["image"]) for row in csv.DictReader(table.read_text().splitlines())]
    bare.write_text("label,image\n" + "".join(f"{label},{path}\n" for label, path in rows))
    _, metrics = evaluate_run(run.path, data=bare, out=tmp_path / "bare", device="cpu")
    assert metrics["accuracy"]["value"] < 0.8


def test_resuming_sees_the_same_columns(finished):
    run, _, result = finished
    assert resume_run(run).metrics == result.metrics


def test_what_a_user_gets_wrong_is_said(finished):
    run, table, _ = finished
    predictor, picture = load(run.path, device="cpu"), table.parent / "0.png"
    with pytest.raises(DataError, match=r"no `yaer` \(did you mean `year`\?\)"):
        predictor.predict(picture, columns={"yaer": 1900})
    with pytest.raises(DataError, match=r"0.png.*`year` is 'old', which is no number"):
        predictor.predict({"image": picture, "year": "old"})


@pytest.mark.parametrize(
    ("columns", "cells", "said"),
    [
        ({"yeer": "number"}, {}, r"no extra column `yeer` \(did you mean `year`\?\); it has mint, year"),
        ({"year": "number"}, {"year": "about 1900"}, "'3.png': `year` is 'about 1900', which is no number"),
        ({"year": "number"}, {"year": "inf"}, "is 'inf', which is no number"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, cells, said, draw_picture, make_recipe, tmp_path):
    table = write_table(tmp_path, draw_picture, 20, cells=lambda n: cells if n == 3 else {})
    with pytest.raises(DataError, match=said):
        build_index(table, make_recipe(data={"columns": columns}).data)


def test_a_column_without_a_single_value_is_refused(draw_picture, make_recipe, tmp_path):
    table = write_table(tmp_path, draw_picture, 20, cells=lambda n: {"year": ""})
    with pytest.raises(DataError, match="`year` has no value in any training sample"):
        build_index(table, make_recipe(data={"columns": COLUMNS}).data)


def test_columns_are_not_mixed(make_recipe):
    with pytest.raises(RecipeError, match=r"values of data\.columns cannot be mixed"):
        make_recipe(data={"columns": COLUMNS}, mixing={"mixup": 0.2})


def test_column_dropout_needs_columns(make_recipe):
    with pytest.raises(RecipeError, match=r"column_dropout has no effect without data\.columns"):
        make_recipe(augment={"column_dropout": 0.5})
