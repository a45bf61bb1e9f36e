"""Tiles of one picture as views: training, evaluation and prediction on one picture agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from obverse.bundle import read_bundle
from obverse.errors import DataError, RecipeError
from obverse.experiment import evaluate_run, start_run
from obverse.imaging import PictureError
from obverse.inference import load
from obverse.manifest import build_index
from obverse.manifest.store import PictureStore
from obverse.recipe import DataSpec, TilesSpec
from obverse.runs import RunFolder

VIEWS = ("r1c1", "r1c2", "r1c3", "r2c1", "r2c2", "r2c3")


def draw(root, per_class=12, *, size=(410, 611), suffix="jpg"):
    """The class is the shade of one tile, the second row's third; everything else is noise."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("dark", "light")):
        (root / name).mkdir(parents=True)
        for n in range(per_class):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            pixels[size[0] // 2 :, 2 * size[1] // 3 :] = 40 + 180 * k
            Image.fromarray(pixels).save(root / name / f"{n:02}.{suffix}")
    return root


@pytest.fixture(scope="module")
def finished(make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    data = draw(folder / "data")
    run = RunFolder(folder / "run")
    tiles = {"tiles": {"rows": 2, "columns": 3}}
    augment = {"policy": "none", "view_dropout": 0.5}
    recipe = make_recipe(data=tiles, augment=augment, training={"epochs": 10}, optim={"lr": 0.02})
    return run, data, start_run(data, recipe, run)


def test_a_class_that_one_tile_shows_is_learned(finished):
    run, _, result = finished
    assert result.metrics["accuracy"]["value"] == 1.0
    bundle, _ = read_bundle(run.path)
    assert bundle.views == VIEWS
    assert [part.step for part in bundle.parts] == [("tile", f"{view}of2x3") for view in VIEWS]


def test_prediction_on_the_one_picture_equals_evaluation(finished):
    run, data, _ = finished
    ids = json.loads((run.evaluation("test") / "ids.json").read_text())
    expected = np.load(run.evaluation("test") / "probabilities.npy").max(1)
    alone = np.load(run.evaluation("test") / "view_probabilities.npz")
    predictor = load(run.path, device="cpu")
    predictions = predictor.predict([data / name for name in ids])
    assert [p.probability for p in predictions] == pytest.approx(expected.tolist(), abs=1e-6)
    assert predictions[0].by_view["r2c3"][0][1] == pytest.approx(float(alone["r2c3"][0].max()), abs=1e-6)
    assert tuple(predictions[0].by_view) == VIEWS


def test_a_picture_may_come_in_every_form(finished):
    run, data, _ = finished
    path = data / "light" / "00.jpg"
    store, predictor = PictureStore(data), load(run.path, device="cpu")
    single = {view: store.decode(f"light/00.jpg::tile={view}of2x3", min_height=32, min_width=32) for view in VIEWS}
    by_path, by_key, by_tiles = predictor.predict([path, {"image": path}, single])
    assert by_path.top == by_key.top == by_tiles.top
    (in_folder, *_) = predictor.predict(path.parent)
    assert in_folder.top[0][1] == pytest.approx(by_path.top[0][1], abs=1e-6)
    with Image.open(path) as image:
        assert predictor.predict(image)[0].label == "light"
    assert predictor.predict({"r2c3": single["r2c3"]})[0].label == "light"


def test_other_data_is_cut_the_same_way(finished, tmp_path):
    run, data, _ = finished
    _, metrics = evaluate_run(run.path, data=data, out=tmp_path / "all", device="cpu")
    assert metrics["accuracy"]["value"] == 1.0
    assert metrics["num_samples"] == 24


def test_a_picture_too_small_for_its_tiles_is_named(finished, tmp_path):
    run, _, _ = finished
    Image.new("RGB", (2, 9)).save(tmp_path / "tiny.png")
    with pytest.raises(DataError, match=r"tiny\.png' is unusable: a picture of 2x9 pixels has no 2x3 parts"):
        load(run.path, device="cpu").predict(tmp_path / "tiny.png")


@pytest.mark.parametrize("size", [(40, 60), (41, 62), (47, 59)])
def test_tiles_are_equal_begin_and_end_with_the_picture_and_lose_less_than_a_tile_line(size, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    store = PictureStore(tmp_path)
    tiles = {view: store.decode(f"a.png::tile={view}of2x3") for view in VIEWS}
    height, width = size[0] // 2, size[1] // 3
    assert {tile.shape for tile in tiles.values()} == {(height, width, 3)}
    assert np.array_equal(tiles["r1c1"], pixels[:height, :width])
    assert np.array_equal(tiles["r2c3"], pixels[-height:, -width:])
    assert len({store.read(f"a.png::tile={view}of2x3").digest() for view in VIEWS}) == 6


@pytest.mark.parametrize("locator", ["tile=r3c1of2x3", "tile=r0c1of2x3", "tile=left", "half=r1c1of1x2"])
def test_tiles_that_are_not_there_are_refused(locator, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="there is no"):
        PictureStore(tmp_path).read(f"a.png::{locator}")


def test_tiles_get_names_and_stay_what_they_are_in_a_run_folder(finished, tmp_path):
    run, data, _ = finished
    named = build_index(data, DataSpec(tiles=TilesSpec(rows=1, columns=2), views=("near", "far"))).manifest
    assert named.views == ("near", "far")
    assert [part.step for part in named.parts] == [("half", "left"), ("half", "right")]
    again = build_index(run.path, DataSpec(tiles=TilesSpec(rows=2, columns=3))).manifest
    assert [part.step for part in again.parts] == [("tile", f"{view}of2x3") for view in VIEWS]
    with pytest.raises(DataError, match=r"data\.tiles needs one picture per sample, and the data has r1c1"):
        build_index(run.path, DataSpec(tiles=TilesSpec(rows=3, columns=3)))
    with pytest.raises(DataError, match=r"makes 6 views, and data\.views names 2"):
        build_index(data, DataSpec(tiles=TilesSpec(rows=2, columns=3), views=("a", "b")))


@pytest.mark.parametrize("data", [{"tiles": {"rows": 1, "columns": 1}}, {"tiles": {"rows": 9, "columns": 9}}])
def test_numbers_of_tiles_that_make_no_sense_are_refused(make_recipe, data):
    with pytest.raises(RecipeError, match="2 to 64 tiles"):
        make_recipe(data=data)


def test_a_frame_with_two_halves_is_predicted_as_one_picture(make_recipe, tmp_path):
    """`split-horizontal` is the same thing: a picture is a sample, in training and in prediction."""
    data = draw(tmp_path / "data", 10, size=(24, 48), suffix="png")
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(data={"layout": "split-horizontal"}, training={"epochs": 1}), run)
    (name,) = json.loads((run.evaluation("test") / "ids.json").read_text())[:1]
    (prediction,) = load(run.path, device="cpu").predict(data / name)
    expected = float(np.load(run.evaluation("test") / "probabilities.npy")[0].max())
    assert (tuple(prediction.by_view), prediction.probability) == (("left", "right"), pytest.approx(expected, abs=1e-6))
