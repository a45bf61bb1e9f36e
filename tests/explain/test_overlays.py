"""Maps over pictures as they were given: padding is gone, what was cut away is clear, parts lie where they were."""

import io

import numpy as np
import pytest
from PIL import Image

from obverse.data import Geometry
from obverse.explain import explain, overlay, overlay_of, quick_maps
from obverse.explain.picture import transparent
from obverse.imaging import grid

SQUARE = Geometry(32, 32, 32, 32)


def cover(shown):
    """Opacity (h, w) of an overlay, from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(shown.png)))[..., 3]


def heat(rows, columns, shape=(32, 32)):
    values = np.zeros(shape, np.float32)
    values[rows, columns] = 1
    return values


def test_a_padded_picture_is_covered_from_edge_to_edge():
    """The model's canvas has bars above and below a wide picture; the map over the picture has none."""
    shown = overlay_of([heat(slice(8, 24), slice(None))], SQUARE, (), (100, 200))
    assert cover(shown).shape == (100, 200)
    assert cover(shown).min() == cover(shown).max() == 166  # 0.65 of 255


def test_what_a_crop_cuts_away_is_clear():
    shown = overlay_of([heat(slice(None), slice(None))], Geometry(32, 32, 32, 32, fit="crop"), (), (100, 200))
    assert (cover(shown)[:, 52:148] > 160).all()
    assert not cover(shown)[:, :48].any()
    assert not cover(shown)[:, 152:].any()


@pytest.mark.parametrize(
    ("rows", "columns", "place"),
    [(slice(8, 10), slice(0, 3), "upper left"), (slice(14, 18), slice(29, 32), "middle right"),
     (slice(22, 24), slice(15, 17), "lower middle")],
)  # fmt: skip
def test_a_place_keeps_its_place(rows, columns, place):
    shown = overlay_of([heat(rows, columns)], SQUARE, (), (640, 1280))
    assert cover(shown).shape == (128, 256)
    where = np.argwhere(cover(shown) > 100).mean(axis=0) / (128, 256)
    wanted = ((rows.start + rows.stop) / 2 - 8) / 16, (columns.start + columns.stop) / 64
    assert np.abs(where - wanted).max() < 0.02
    assert shown.strongest == place


def test_parts_of_a_picture_have_their_maps_in_it():
    """Two halves; the left one speaks at its right edge, the right one nowhere."""
    tall = Geometry(32, 16, 32, 16)
    heats = [heat(slice(None), slice(12, 16), (32, 16)), np.zeros((32, 16), np.float32)]
    shown = overlay_of(heats, tall, grid(1, 2), (200, 201))
    assert cover(shown).shape == (200, 201)
    columns = np.flatnonzero(cover(shown).mean(axis=0) > 80)
    assert abs(columns.min() - 75) <= 3
    assert abs(columns.max() - 99) <= 3


def test_an_empty_map_is_clear_and_has_no_place():
    shown = overlay_of([np.zeros((32, 32), np.float32)], SQUARE, (), (5000, 1))
    assert cover(shown).shape == (256, 1)
    assert not cover(shown).any()
    assert shown.strongest == ""


def test_laid_over_the_picture_it_is_the_overlay_of_explain():
    generator = np.random.default_rng(0)
    pixels, values = generator.integers(0, 256, (9, 12, 3), np.uint8), generator.random((9, 12), np.float32)
    base = Image.fromarray(pixels).convert("RGBA")
    blended = np.asarray(Image.alpha_composite(base, transparent(values)))[..., :3].astype(int)
    assert np.abs(blended - overlay(pixels, values)).max() <= 2


@pytest.mark.parametrize("name", ["one_view", "trained"])
def test_quick_maps_are_those_that_explain_draws_by_default(name, request, draw_picture, tmp_path):
    from obverse.inference import load

    run = request.getfixturevalue(name)
    predictor = load(getattr(run, "path", run))
    paths = {view: draw_picture(tmp_path / f"{view}.png", gray=70, seed=n) for n, view in enumerate(predictor.views)}
    (batch,) = predictor.batches([paths], 1)
    (wanted,) = explain(predictor.engine, batch, predictor.views)
    maps = dict(zip(predictor.views, quick_maps(predictor.engine, batch, wanted.target), strict=True))
    for view, by_method in wanted.maps.items():
        (map_HW,) = by_method.values()
        np.testing.assert_allclose(maps[view], map_HW, atol=1e-6)
        assert map_HW.max() == pytest.approx(1)
