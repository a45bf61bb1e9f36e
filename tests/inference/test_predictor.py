"""One predictor for every kind of input, and the same answers as the evaluation of the run."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.errors import DataError, OutOfMemoryError, RecipeError
from obverse.experiment import start_run
from obverse.inference import load
from obverse.manifest import read_manifest
from obverse.recipe import load_recipe
from obverse.runs import RunFolder


@pytest.fixture(scope="module")
def predictor(trained):
    return load(trained.path, device="cpu")


@pytest.fixture(scope="module")
def manifest(trained):
    recipe = load_recipe(str(trained.recipe))
    classes = tuple(json.loads((trained.path / "config.json").read_text())["classes"])
    root = trained.recipe.__class__(recipe.data.path)
    return read_manifest(trained.manifest, root=root, classes=classes, views=recipe.data.views, ordered=False)


@pytest.fixture(scope="module")
def sides(manifest):
    """The files of every test sample, as dicts of views."""
    return [{view: manifest.root / s.views[view] for view in manifest.views} for s in manifest.split("test")]


def table(predictions, classes):
    return np.array([[dict(p.top)[name] for name in classes] for p in predictions])


def test_prediction_equals_the_evaluation_of_the_run(trained, predictor, manifest, sides):
    folder = trained.evaluation("test")
    assert json.loads((folder / "ids.json").read_text()) == [s.id for s in manifest.split("test")]
    found = table(predictor.predict(sides, top_k=9), predictor.classes)
    np.testing.assert_allclose(found, np.load(folder / "probabilities.npy"), atol=1e-5)
    alone = np.load(folder / "view_probabilities.npz")
    for row, prediction in enumerate(predictor.predict(sides)):
        for view in predictor.views:
            ((label, probability),) = prediction.by_view[view]
            assert predictor.classes.index(label) == alone[view][row].argmax()
            assert probability == pytest.approx(float(alone[view][row].max()), abs=1e-5)


def test_a_prediction_of_one_class_is_its_only_label(predictor, sides):
    (prediction,) = predictor.predict(sides[0], top_k=9)
    assert prediction.labels == ((prediction.label, prediction.probability),) == prediction.top[:1]
    assert not prediction.is_set
    assert prediction.probabilities == dict(prediction.top)
    assert f"{prediction.probability:.2%}" in prediction._repr_html_()


def test_prediction_keeps_the_crop_of_evaluation(draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=10, size=(24, 30))
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(data={"fit": "crop", "crop_fraction": 0.5}, training={"epochs": 1}), run)
    predictor = load(run.path, device="cpu")
    assert predictor.bundle.geometry.crop_fraction == 0.5
    ids = json.loads((run.evaluation("test") / "ids.json").read_text())
    predictions = predictor.predict([data / name for name in ids], top_k=9)
    found = np.load(run.evaluation("test") / "probabilities.npy")
    np.testing.assert_allclose(table(predictions, predictor.classes), found, atol=1e-5)


def test_a_batch_is_its_samples(predictor, sides):
    whole = table(predictor.predict(sides, top_k=9), predictor.classes)
    for batch_size in (1, 2):
        parts = table(predictor.predict(sides, top_k=9, batch_size=batch_size), predictor.classes)
        np.testing.assert_allclose(parts, whole, atol=1e-5)
    single = [predictor.predict(one, top_k=9)[0] for one in sides]
    np.testing.assert_allclose(table(single, predictor.classes), whole, atol=1e-5)


def test_probabilities_are_sorted_and_sum_to_one(predictor, sides):
    (prediction,) = predictor.predict(sides[0], top_k=9)
    values = [value for _, value in prediction.top]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=1e-6)
    assert (prediction.label, prediction.probability) == prediction.top[0]


def test_top_k_is_bounded_by_the_classes(predictor, sides):
    assert [len(predictor.predict(sides[0], top_k=k)[0].top) for k in (1, 2, 5)] == [1, 2, 2]
    with pytest.raises(RecipeError, match="at least 1"):
        predictor.predict(sides[0], top_k=0)


@pytest.mark.parametrize(
    "convert", [str, Image.open, lambda path: np.asarray(Image.open(path))], ids=["str", "pil", "array"]
)
def test_path_pil_and_array_agree(predictor, sides, convert):
    expected = predictor.predict(sides[0])[0].top
    found = predictor.predict({view: convert(path) for view, path in sides[0].items()})[0].top
    assert found == expected


def test_a_folder_is_paired_by_stem(predictor, sides, manifest):
    predictions = predictor.predict(manifest.root / "dark", top_k=9)
    assert len(predictions) == 10
    by_id = {prediction.id: prediction.top for prediction in predictions}
    obverse = sides[0]["obverse"]
    found, alone = by_id[str(obverse.parent.parent / obverse.stem)], predictor.predict(sides[0], top_k=9)[0].top
    assert [name for name, _ in found] == [name for name, _ in alone]
    assert [value for _, value in found] == pytest.approx([value for _, value in alone], abs=1e-5)


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_an_archive_is_a_folder(predictor, manifest, tmp_path, ending):
    """What predict says of a packed folder is what it says of the folder."""
    form = {"tar.gz": "gztar"}.get(ending, ending)
    packed = Path(shutil.make_archive(str(tmp_path / "coins"), form, manifest.root, "dark"))
    folder, archive = predictor.predict(manifest.root / "dark"), predictor.predict(packed)
    assert [Path(p.id).relative_to(packed) for p in archive] == [Path(p.id).relative_to(manifest.root) for p in folder]
    assert [p.top for p in archive] == [p.top for p in folder]


def test_an_archive_that_cannot_be_used_is_said(predictor, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"broken\.zip"):
        predictor.predict(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "loose.zip", "w") as file:
        file.writestr("a.png", b"no picture")
    with pytest.raises(DataError, match="lies in no folder called obverse or reverse"):
        predictor.predict(tmp_path / "loose.zip")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("obverse/a.png", b"no picture")
    with pytest.raises(DataError, match=r"bad\.zip::member=obverse/a.png"):
        predictor.predict(tmp_path / "bad.zip")


def test_a_missing_view_still_predicts_and_is_left_out_of_by_view(predictor, sides):
    (prediction,) = predictor.predict({"reverse": sides[0]["reverse"]})
    assert set(prediction.by_view) == {"reverse"}
    assert prediction.by_view["reverse"] == ((prediction.label, pytest.approx(prediction.probability, abs=1e-6)),)


def test_prediction_does_not_change_the_model(predictor, sides):
    assert predictor.predict(sides) == predictor.predict(sides)


def test_what_does_not_fit_is_said(predictor, sides, tmp_path):
    path = sides[0]["obverse"]
    with pytest.raises(DataError, match="say which view each picture is"):
        predictor.predict(path)
    with pytest.raises(DataError, match="no view 'edge'"):
        predictor.predict({"edge": path})
    with pytest.raises(DataError, match="does not exist"):
        predictor.predict(tmp_path / "nothing.png")
    with pytest.raises(DataError, match="no pictures below"):
        predictor.predict(tmp_path)
    with pytest.raises(DataError, match="nothing to predict"):
        predictor.predict([])
    with pytest.raises(DataError, match=r"not an array of float64 \(4, 4, 3\)"):
        predictor.predict({"obverse": np.zeros((4, 4, 3))})
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"bad\.png"):
        predictor.predict({"obverse": tmp_path / "bad.png"})


def test_embeddings_are_those_of_the_evaluation(trained, predictor, sides):
    """Of the same pictures, in the same order; all views fused, before the head."""
    expected = np.load(trained.evaluation("test") / "embeddings.npy")
    np.testing.assert_allclose(predictor.embed(sides, batch_size=3), expected, atol=1e-5)


def test_views_are_paired_as_in_training_whatever_the_case(predictor, sides, tmp_path):
    for view, name in (("obverse", "Coin1.PNG"), ("reverse", "coin1.png")):
        (tmp_path / view).mkdir()
        shutil.copyfile(sides[0][view], tmp_path / view / name)
    (prediction,) = predictor.predict(tmp_path)
    assert set(prediction.by_view) == {"obverse", "reverse"}
    assert prediction.top == predictor.predict(sides[0])[0].top


def test_too_little_memory_for_the_model_is_said(trained, monkeypatch):
    def full(self, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("obverse.models.Classifier.to", full)
    with pytest.raises(OutOfMemoryError, match="try --device cpu"):
        load(trained.path, device="cpu")
