"""Pad, squash and crop; rounding to a model's multiple happens here and nowhere else."""

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from obverse.data import Geometry
from obverse.data.geometry import rounded_ratio


def flat(height, width, value=200):
    return np.full((height, width, 3), value, np.uint8)


def content(canvas_CHW, fill=128):
    """(top, left, bottom, right) of what is not fill."""
    rows, columns = (canvas_CHW[0] != fill).nonzero(as_tuple=True)
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


def test_1000_is_padded_to_1008_by_four_pixels_on_each_side():
    geometry = Geometry.for_multiple(1000, 1000, multiple=16, fit="pad", direction="up")
    canvas = geometry.apply(flat(1000, 1000))
    assert canvas.shape == (3, 1008, 1008)
    assert content(canvas) == (4, 4, 1004, 1004)


def test_1000_is_cropped_to_992_by_four_pixels_on_each_side():
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    geometry = Geometry.for_multiple(1000, 1000, multiple=16, fit="pad", direction="down")
    expected = torch.from_numpy(pixels[4:996, 4:996]).permute(2, 0, 1)
    assert torch.equal(geometry.apply(pixels), expected)


def test_a_side_below_the_multiple_is_not_rounded_to_nothing():
    geometry = Geometry.for_multiple(10, 10, multiple=16, fit="pad", direction="down")
    assert (geometry.canvas_height, geometry.canvas_width) == (16, 16)


@pytest.mark.parametrize(
    ("source", "place"), [((40, 80), (8, 0, 24, 32)), ((80, 40), (0, 8, 32, 24)), ((50, 50), (0, 0, 32, 32))]
)
def test_pad_keeps_the_aspect_ratio_around_the_centre(source, place):
    canvas = Geometry(32, 32, 32, 32).apply(flat(*source))
    assert content(canvas) == place


def test_rectangular_pictures_fill_a_rectangular_input():
    assert content(Geometry(16, 32, 16, 32).apply(flat(100, 200))) == (0, 0, 16, 32)


def test_fill_is_as_told():
    canvas = Geometry(8, 16, 8, 16, fill=7).apply(flat(8, 8))
    assert canvas[:, :, :4].unique().tolist() == [7]


def test_squash_fills_the_canvas_whatever_the_shape():
    assert (Geometry(16, 16, 16, 16, fit="squash").apply(flat(10, 40)) == 200).all()


def test_crop_fills_the_canvas_and_cuts_the_long_side_around_the_centre():
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, 16:32] = 255
    assert (Geometry(16, 16, 16, 16, fit="crop").apply(pixels) == 255).all()


def test_crop_is_padded_to_the_multiple_not_stretched():
    geometry = Geometry.for_multiple(20, 20, multiple=16, fit="crop", direction="up")
    assert content(geometry.apply(flat(20, 60))) == (6, 6, 26, 26)


def test_crop_rounded_down_cuts_around_the_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    geometry = Geometry.for_multiple(20, 20, multiple=16, fit="crop", direction="down")
    assert torch.equal(geometry.apply(pixels), torch.from_numpy(pixels[2:18, 2:18]).permute(2, 0, 1))


def test_a_picture_of_the_right_size_keeps_its_bits():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    assert torch.equal(Geometry(16, 24, 16, 24).apply(pixels), torch.from_numpy(pixels).permute(2, 0, 1))


def test_read_only_pixels_are_taken_and_left_alone():
    pixels = flat(8, 8)
    pixels.flags.writeable = False
    assert (Geometry(8, 8, 8, 8).apply(pixels) == 200).all()


def test_a_hair_thin_picture_keeps_one_pixel():
    assert content(Geometry(16, 16, 16, 16).apply(flat(1, 400))) == (7, 0, 8, 16)


def test_enlarged_keeps_the_framing():
    geometry = Geometry.for_multiple(100, 100, multiple=16, fit="crop").enlarged(1.25)
    assert (geometry.height, geometry.canvas_height, geometry.fit) == (125, 140, "crop")


def test_crop_fraction_is_resize_256_and_centre_crop_224():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 400, 3), np.uint8)
    resized = Geometry(256, 341, 256, 341, fit="squash").apply(pixels)
    expected = resized[:, 16:240, 58:282]
    geometry = Geometry(224, 224, 224, 224, fit="crop", crop_fraction=224 / 256)
    assert torch.equal(geometry.apply(pixels), expected)
    assert geometry.least_decode == (512, 512)


def test_full_decoding_asks_for_every_pixel():
    assert Geometry(16, 16, 16, 16, decode="full").least_decode == (0, 0)


def test_the_decoder_is_asked_for_twice_the_size():
    assert Geometry(16, 32, 16, 32).least_decode == (32, 64)


@pytest.mark.parametrize(("fit", "kept"), [("pad", 1.0), ("crop", 0.875), ("crop", 0.95), ("crop", 224 / 235)])
def test_sizes_are_those_of_exact_fractions(fit, kept):
    draw = random.Random(0)
    for _ in range(2000):
        target = draw.choice([(224, 224), (224, 448), (96, 64), (17, 33)])
        height, width = draw.randint(1, 4000), draw.randint(1, 4000)
        choose = min if fit == "pad" else max
        scale = choose(Fraction(target[0], height), Fraction(target[1], width)) / Fraction(kept).limit_denominator(1000)
        expected = max(1, round(height * scale)), max(1, round(width * scale))
        assert Geometry(*target, *target, fit=fit, crop_fraction=kept).resized_size(height, width) == expected


def test_an_exact_half_rounds_to_the_even_number_where_floats_missed_it():
    assert Geometry(224, 448, 224, 448).resized_size(2624, 287) == (224, 24)  # 24.5; floats gave 25
    assert [rounded_ratio(n, 2) for n in range(1, 8)] == [round(n / 2) for n in range(1, 8)]


@pytest.mark.parametrize("fit", ["pad", "squash", "crop"])
@pytest.mark.parametrize("size", [(40, 90), (90, 40), (64, 64), (33, 31)])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_values_of_the_canvas_go_back_to_their_places_on_the_picture(fit, size, direction):
    """A bright block is where it was; what was cut away is 0, and the padding is gone."""
    height, width = size
    pixels = flat(height, width, 100)
    top, left = height // 2 - 6, width // 2 - 2
    pixels[top : top + 10, left : left + 8] = 250
    geometry = replace(Geometry.for_multiple(30, 30, multiple=16, fit=fit, direction=direction), fill=3)
    back = geometry.on_picture(geometry.fitted(pixels)[..., 0], height, width)
    assert back.shape == geometry.resized_size(height, width)
    rows, columns = (back > 175).nonzero()
    scale = np.array(back.shape) / size
    assert np.abs(np.array([rows.min(), columns.min()]) - scale * (top, left)).max() <= 1
    assert np.abs(np.array([rows.max(), columns.max()]) + 1 - scale * (top + 10, left + 8)).max() <= 1
    assert set(np.unique(back[:, 0])) <= ({0} if fit == "crop" and width > height else {0, *range(90, 111)})
    assert geometry.fill not in back
