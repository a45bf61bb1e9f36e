"""The most similar training pictures beside each prediction: in all formats, and in Python."""

import csv
import io
import json

import pytest

import obverse as package
from obverse.errors import RecipeError


@pytest.fixture(scope="module")
def train(shapes_run):
    """Id -> label of the training samples."""
    with (shapes_run / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file) if row["split"] == "train"}


def test_python_and_json_have_the_same_evidence(obverse, shapes, shapes_run, train):
    name = next(iter(train))
    result = obverse("predict", shapes_run, shapes / name, "--similar", 3, "--format", "json")
    assert result.code == 0, result.err
    (printed,) = json.loads(result.out)
    (prediction,) = package.load(shapes_run, device="cpu", similar=3).predict(shapes / name)
    assert [vars(sample) for sample in prediction.similar] == printed["similar"]
    assert [train[sample.id] for sample in prediction.similar] == [sample.label for sample in prediction.similar]
    cosines = [sample.cosine for sample in prediction.similar]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] == pytest.approx(1, abs=1e-5)  # the picture itself
    (plain,) = package.load(shapes_run, device="cpu").predict(shapes / name)
    assert plain.similar == ()
    labels = ", ".join(f"{sample.label} ({sample.cosine:.2f})" for sample in prediction.similar)
    assert prediction.reason == f"{plain.reason}; most similar training samples: {labels}"
    assert (prediction.labels, prediction.decision) == (plain.labels, plain.decision)


def test_the_table_and_the_csv_have_the_evidence_of_every_row(obverse, shapes, shapes_run, train, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    pictures = sorted(shapes.glob("star/*"))[:2]
    asked = ("predict", shapes_run, *pictures, tmp_path / "broken.png", "--similar", 2)
    rows = list(csv.DictReader(io.StringIO(obverse(*asked, "--format", "csv").out)))
    assert [row["error"] == "" for row in rows] == [True, True, False]
    assert all(train[row[f"similar_{n}"]] == row[f"similar_label_{n}"] for row in rows[:2] for n in (1, 2))
    assert rows[2]["similar_1"] == rows[2]["cosine_2"] == ""
    lines = [line.split() for line in obverse(*asked).out.splitlines() if line.startswith("  similar ")]
    assert [line[3] for line in lines] == [row[f"similar_{n}"] for row in rows[:2] for n in (1, 2)]


def test_a_run_of_few_training_pictures_shows_all_of_them(obverse, shapes, shapes_run, train):
    many = len(train) + 5
    result = obverse("predict", shapes_run, shapes / "sample.jpg", "--similar", many, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(result.out))
    assert {row[f"similar_{n}"] for n in range(1, len(train) + 1)} == set(train)
    assert row[f"similar_{many}"] == ""


def test_a_bundle_alone_has_no_evidence(obverse, shapes, shapes_run, refused):
    refused(2, "bundle without its run, which does not know its training pictures", "predict",
            shapes_run / "bundle", shapes / "sample.jpg", "--similar", 1)  # fmt: skip
    with pytest.raises(RecipeError, match="similar=True: write a whole number"):
        package.load(shapes_run, similar=True)
