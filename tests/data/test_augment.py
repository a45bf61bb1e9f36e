"""Every number of an AugmentSpec does what it says, and nothing else."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates

from obverse.data.augmentation.changes import NUM_DRAWS, apply_change, draw_change
from obverse.data.resample import turned
from obverse.recipe import POLICIES, AugmentSpec
from obverse.runtime import named_uniforms

SIZE = (16, 16)


def spec_of(**fields):
    return AugmentSpec(policy="none", **fields).filled()


def draws(spec, count=200, working=SIZE, output=SIZE):
    return [draw_change(spec, working, output, named_uniforms(NUM_DRAWS, "t", i)) for i in range(count)]


def noise(height=16, width=16, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (3, height, width), np.uint8))


def changed(picture_CHW, change, output=SIZE):
    out_CHW = np.empty((3, *output), np.uint8)
    apply_change(picture_CHW.permute(1, 2, 0).numpy(), change, out_CHW, fill=128)
    return torch.from_numpy(out_CHW)


def test_policy_none_changes_nothing():
    picture = noise()
    for change in draws(spec_of()):
        assert change.color == (1, 1, 1)
        assert torch.equal(changed(picture, change), picture)


def test_mirror_mirrors_bit_for_bit():
    picture = noise()
    for change in draws(spec_of(mirror=1.0), 5):
        assert torch.equal(changed(picture, change), picture.flip(2))


def test_mirror_is_a_probability():
    assert 200 < sum(change.mirrored for change in draws(spec_of(mirror=0.25), 1000)) < 300


@pytest.mark.parametrize("fields", [{"min_scale": 0.5}, {"rotation_degrees": 20.0}, {"shift": 0.125}])
def test_a_mirrored_change_is_the_change_mirrored(fields):
    plain, mirrored = spec_of(**fields), spec_of(**fields, mirror=1.0)
    for before, after in zip(draws(plain, 5), draws(mirrored, 5), strict=True):
        assert torch.equal(changed(noise(), before).flip(2), changed(noise(), after))


def test_rotation_stays_within_its_angle_and_uses_it():
    angles = [np.degrees(np.arctan2(c.affine[1], c.affine[0])) for c in draws(spec_of(rotation_degrees=15.0))]
    assert max(angles) <= 15.0001
    assert min(angles) >= -15.0001
    assert max(angles) > 12
    assert min(angles) < -12


def test_rotation_turns_around_the_centre_and_keeps_lengths():
    for change in draws(spec_of(rotation_degrees=30.0), 5):
        a, b, c, d, e, f = change.affine
        assert (a * 8 + b * 8 + c, d * 8 + e * 8 + f) == pytest.approx((8, 8))
        assert a * e - b * d == pytest.approx(1)


def test_shift_moves_by_whole_pixels_without_blur():
    picture = noise()
    mirrored_border = torch.nn.functional.pad(picture.float()[None], (2, 2, 2, 2), mode="reflect")[0].byte()
    moves = set()
    for change in draws(spec_of(shift=0.125)):
        down, right = change.shift
        moves.add((down, right))
        expected = mirrored_border[:, 2 + down : 18 + down, 2 + right : 18 + right]
        assert torch.equal(changed(picture, change), expected)
    assert moves == {(y, x) for x in range(-2, 3) for y in range(-2, 3)}


def test_shift_moves_a_resampled_picture_too():
    still, moved = spec_of(rotation_degrees=10.0), spec_of(rotation_degrees=10.0, shift=0.125)
    for before, after in zip(draws(still, 20), draws(moved, 20), strict=True):
        assert after.affine[5] - before.affine[5] == pytest.approx(after.shift[0])
        assert after.affine[2] - before.affine[2] == pytest.approx(after.shift[1])


def test_turning_samples_where_the_angle_says():
    """Against SciPy's spline of the same picture; smooth, so that kernels hardly differ."""
    yx = np.mgrid[0:48, 0:48] / 48
    plane = (127 + 90 * np.sin(5 * yx[0]) * np.cos(4 * yx[1])).astype(np.uint8)
    picture, num_outside = torch.from_numpy(plane).expand(3, 48, 48).contiguous(), 0
    for change in draws(spec_of(rotation_degrees=30.0, min_scale=0.6), 5, (48, 48), (32, 32)):
        a, b, c, d, e, f = change.affine
        row, column = np.mgrid[0:32, 0:32] + 0.5
        places = np.array([d * column + e * row + f, a * column + b * row + c]) - 0.5
        expected = map_coordinates(plane.astype(float), places, order=3, mode="nearest")
        reach = max(1, np.hypot(a, b), np.hypot(d, e))  # of a kernel, in pixels of the picture
        inside = ((places > reach) & (places < 47 - reach)).all(0)
        result = changed(picture, change, (32, 32))[0].numpy()
        assert np.abs(result - expected)[inside].max() < 3
        outside = ((places < -2.5 * reach) | (places > 47 + 2.5 * reach)).any(0)
        num_outside += outside.sum()
        assert (result[outside] == 128).all()
    assert num_outside > 10


@pytest.mark.parametrize("degrees", [0.0, 10.0, 90.0])
def test_a_turned_picture_that_gets_smaller_is_antialiased(degrees):
    """Of stripes one pixel wide nothing but their mean is left; samples that skip pixels make wider stripes of them."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[::2] = 255
    cos, sin = 3 * np.cos(np.radians(degrees)), 3 * np.sin(np.radians(degrees))
    affine = (cos, sin, 48 - 16 * (cos + sin), -sin, cos, 48 - 16 * (cos - sin))
    small = turned(stripes, affine, 32, 32, fill=128)[8:-8, 8:-8]
    assert np.abs(small.astype(int) - 127.5).max() < 12


def test_a_turned_picture_of_the_same_scale_is_sampled_once():
    picture = noise(48, 48).permute(1, 2, 0).numpy()
    assert np.array_equal(turned(picture, (1.0, 0.0, 5.0, 0.0, 1.0, 9.0), 24, 24, fill=128), picture[9:33, 5:29])


def areas_and_aspects(spec):
    boxes = [change.box for change in draws(spec, working=(160, 160))]
    sides = [((right - left) / 160, (bottom - top) / 160) for top, left, bottom, right in boxes]
    return [w * h for w, h in sides], [w / h for w, h in sides]


def test_min_scale_bounds_the_area_that_is_kept():
    areas, _ = areas_and_aspects(spec_of(min_scale=0.5, max_stretch=1.0))
    assert min(areas) >= 0.49
    assert min(areas) < 0.55
    assert max(areas) > 0.95


@pytest.mark.parametrize("policy", ["generic", "no-mirror"])
def test_no_policy_keeps_less_than_it_says_and_coins_stay_round(policy):
    spec = AugmentSpec(policy=policy, rotation_degrees=0.0).filled()
    areas, aspects = areas_and_aspects(spec)
    assert min(areas) >= spec.min_scale - 0.01
    assert max(aspects) <= spec.max_stretch + 0.02
    assert (max(aspects) > 1.1) == (policy != "no-mirror")


def test_max_stretch_bounds_the_aspect_ratio_and_one_keeps_it():
    _, kept = areas_and_aspects(spec_of(min_scale=0.5, max_stretch=1.0))
    assert kept == pytest.approx([1.0] * len(kept))
    _, stretched = areas_and_aspects(spec_of(min_scale=0.5, max_stretch=1.5))
    assert 1.3 < max(stretched) <= 1.53
    assert 1 / 1.53 <= min(stretched) < 1 / 1.3


def test_a_crop_lies_inside_the_working_picture_and_reaches_every_border():
    boxes = [change.box for change in draws(spec_of(min_scale=0.3))]
    assert all(0 <= top < bottom <= 16 and 0 <= left < right <= 16 for top, left, bottom, right in boxes)
    assert {min(box[0] for box in boxes), min(box[1] for box in boxes)} == {0}
    assert {max(box[2] for box in boxes), max(box[3] for box in boxes)} == {16}


def test_a_crop_is_cut_and_then_resized_with_antialiasing():
    picture = noise(40, 40)
    for change in draws(spec_of(min_scale=0.9), 5, working=(40, 40)):
        top, left, bottom, right = change.box
        cut = Image.fromarray(picture[:, top:bottom, left:right].permute(1, 2, 0).numpy())
        expected = np.asarray(cut.resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(changed(picture, change).permute(1, 2, 0).numpy() - expected).max() <= 2


def test_jitter_bounds_each_colour_factor():
    factors = np.array([c.color for c in draws(spec_of(jitter=0.3))])
    assert (factors >= 0.7).all()
    assert (factors <= 1.3).all()
    assert (factors.std(axis=0) > 0.1).all()
    assert all(c.affine is None and c.erased is None for c in draws(spec_of(jitter=0.3), 5))


def test_gray_takes_the_colour_away_with_its_probability():
    assert all(c.color[2] == 0 for c in draws(spec_of(gray=1.0), 20))
    assert 200 < sum(c.color[2] == 0 for c in draws(spec_of(gray=0.25), 1000)) < 300


def test_erasing_fills_one_rectangle_and_leaves_the_rest():
    picture = torch.full((3, 32, 32), 9, dtype=torch.uint8)
    shares = []
    for change in draws(spec_of(erasing=1.0), working=(32, 32), output=(32, 32)):
        top, left, bottom, right = change.erased
        result = changed(picture, change, (32, 32))
        assert (result == 128).sum() == 3 * (bottom - top) * (right - left)
        assert (result[:, top:bottom, left:right] == 128).all()
        shares.append((bottom - top) * (right - left) / 1024)
    assert (picture == 9).all()
    assert 0.01 < min(shares) < 0.06
    assert 0.25 < max(shares) < 0.36


def test_erasing_is_a_probability():
    assert 200 < sum(c.erased is not None for c in draws(spec_of(erasing=0.25), 1000)) < 300


def test_a_larger_working_picture_comes_out_at_the_output_size():
    (change,) = draws(spec_of(min_scale=0.7), 1, working=(20, 24))
    assert changed(noise(20, 24), change).shape == (3, 16, 16)


def test_a_number_beside_a_policy_overrides_it():
    spec = AugmentSpec(policy="generic", mirror=0.0).filled()
    assert spec.mirror == 0.0
    assert spec.min_scale == POLICIES["generic"]["min_scale"]
    assert not any(change.mirrored for change in draws(spec))


def test_coins_are_never_mirrored_and_keep_their_toning():
    for change in draws(AugmentSpec(policy="no-mirror").filled()):
        a, b, _, d, e, _ = change.affine
        assert a * e - b * d > 0
        assert not change.mirrored
        assert change.color == (1, 1, 1)


@pytest.mark.parametrize("field", [name for name in AugmentSpec.model_fields if name != "policy"])
def test_no_field_is_forgotten_by_these_tests(field):
    tested = {"mirror", "min_scale", "max_stretch", "shift", "rotation_degrees", "jitter", "gray", "erasing"}
    elsewhere = {"view_dropout", "margin", "magnitude", "num_ops", "column_dropout"}
    assert field in tested | elsewhere, "write a test that fails when this field does nothing"


def test_margin_enlarges_the_working_picture(make_dataset):
    dataset = make_dataset(augment=spec_of(min_scale=0.5, margin=1.25))
    assert dataset.working.canvas_height == round(1.25 * dataset.geometry.canvas_height)


def disc(background=(20, 90, 200), side=64):
    """A disc with one dark spot near its rim, on a plain background."""
    yx = np.mgrid[0:side, 0:side] - (side - 1) / 2
    pixels = np.where((np.hypot(*yx) < 0.42 * side)[..., None], (180, 180, 180), background).astype(np.uint8)
    pixels[side // 2 - 3 : side // 2 + 3, side // 7 : side // 7 + 6] = 0
    return pixels, yx


def test_policy_round_turns_by_any_angle_and_its_corners_are_the_background():
    spec = AugmentSpec(policy="round").filled()
    background, angles, mirrored = (20, 90, 200), [], 0
    pixels, yx = disc(background)
    for change in draws(spec, 60, (64, 64), (64, 64)):
        mirrored += change.mirrored
        result = changed(torch.from_numpy(pixels).permute(2, 0, 1), change, (64, 64)).permute(1, 2, 0).numpy()
        assert np.abs(result[np.hypot(*yx) > 33].astype(int) - background).max() <= 1
        spot = np.argwhere(result.max(-1) < 60).mean(0) - 31.5
        angles.append(np.degrees(np.arctan2(*spot)))
        # The whole disc stays in the picture.
        assert (np.abs(result.astype(int) - background).max(-1) > 40).sum() >= 0.95 * np.pi * (0.42 * 64) ** 2
    assert 15 < mirrored < 45
    assert np.histogram(angles, 4, (-180, 180))[0].min() >= 5


def test_policy_round_takes_a_smaller_angle():
    spec = AugmentSpec(policy="round", rotation_degrees=15.0).filled()
    angles = [np.degrees(np.arctan2(c.affine[1], c.affine[0])) for c in draws(spec)]
    assert 12 < max(angles) <= 15.0001
