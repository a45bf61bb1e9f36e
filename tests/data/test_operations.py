"""TrivialAugment, RandAugment and 3-Augment: the operations against torchvision's, and what is drawn of them."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import _apply_op

from obverse.data.augmentation.changes import NUM_DRAWS, num_draws
from obverse.data.augmentation.operations import Operation, apply_operations, draw_operations
from obverse.errors import RecipeError
from obverse.recipe import AugmentSpec, load_recipe
from obverse.runtime import named_uniforms

TRIVIAL, THREE = AugmentSpec(policy="trivial").filled(), AugmentSpec(policy="three").filled()


def rand(**fields):
    return AugmentSpec(policy="rand", **fields).filled()


@pytest.fixture(scope="module")
def pixels():
    """Smooth shapes and noise, 48 x 64."""
    rng = np.random.default_rng(0)
    yx = np.mgrid[0:48, 0:64] / 48
    smooth = np.stack([120 + 80 * np.sin(4 * yx[0] + n) * np.cos(3 * yx[1]) for n in range(3)], 2)
    return (smooth + rng.normal(0, 10, smooth.shape)).clip(0, 255).astype(np.uint8)


def ours(pixels, name, strength):
    return apply_operations(pixels, [Operation(name, strength)], fill=128)


def theirs(pixels, name, magnitude):
    image = _apply_op(Image.fromarray(pixels), name, magnitude, InterpolationMode.BICUBIC, [128.0] * 3)
    return np.asarray(image)


@pytest.mark.parametrize(
    ("name", "strength", "their_name", "magnitude"),
    [
        ("identity", 0, "Identity", 0),
        ("brightness", 0.6, "Brightness", 0.6),
        ("brightness", -0.6, "Brightness", -0.6),
        ("color", 0.7, "Color", 0.7),
        ("contrast", -0.5, "Contrast", -0.5),
        ("sharpness", 0.9, "Sharpness", 0.9),
        ("posterize", 4, "Posterize", 4),
        ("solarize", 0.25, "Solarize", 191),
        ("autocontrast", 0, "AutoContrast", 0),
        ("equalize", 0, "Equalize", 0),
        ("translate-x", 0.25, "TranslateX", -16),
        ("translate-y", -0.25, "TranslateY", 12),
        ("rotate", 30, "Rotate", 30),
    ],
)
def test_operations_are_those_of_torchvision(pixels, name, strength, their_name, magnitude):
    expected = theirs(pixels, their_name, magnitude)
    assert np.abs(ours(pixels, name, strength).astype(int) - expected).max() <= 1
    assert name == "identity" or not np.array_equal(expected, pixels)


@pytest.mark.parametrize("name", ["shear-x", "shear-y"])
def test_shears_slope_around_the_centre(pixels, name):
    white = np.zeros((49, 49, 3), np.uint8)
    line = (slice(None), 24) if name == "shear-x" else (24, slice(None))
    white[line] = 255
    sheared = ours(white, name, 0.5)[..., 0]
    sheared = sheared if name == "shear-x" else sheared.T
    sheared = np.where(sheared == 128, 0, sheared)
    places = sheared.argmax(1)
    assert places[24] == 24
    assert places[4] - places[44] == pytest.approx(20, abs=1)


def test_the_three_of_deit(pixels):
    gray = ours(pixels, "gray", 0)
    assert np.array_equal(gray[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))
    assert np.array_equal(gray[..., 0], gray[..., 2])
    assert np.array_equal(ours(pixels, "solarize-half", 0), np.where(pixels < 128, pixels, 255 - pixels))
    roughness = [np.abs(np.diff(ours(pixels, "blur", v).astype(int), axis=1)).mean() for v in (0.0, 0.5, 1.0)]
    assert roughness[0] > roughness[1] > roughness[2]


def drawn(spec, count=3000):
    return [draw_operations(spec, named_uniforms(num_draws(spec), "t", n)[NUM_DRAWS:]) for n in range(count)]


def test_trivial_draws_each_of_fourteen_equally_and_uniform_strengths():
    operations = [operation for (operation,) in drawn(TRIVIAL)]
    counts = Counter(operation.name for operation in operations)
    assert len(counts) == 14
    assert max(counts.values()) < 1.4 * 3000 / 14
    angles = [operation.strength for operation in operations if operation.name == "rotate"]
    assert min(angles) < -110
    assert max(angles) > 110
    assert min(np.abs(angles)) < 15
    assert all(o.strength >= 0 for o in operations if o.name in ("posterize", "solarize"))


def test_rand_draws_num_ops_at_one_strength_either_way():
    for num in (1, 2, 3):
        assert {len(operations) for operations in drawn(rand(num_ops=num), 50)} == {num}
    angles = {o.strength for operations in drawn(rand()) for o in operations if o.name == "rotate"}
    assert angles == {-9.0, 9.0}
    stronger = {o.strength for operations in drawn(rand(magnitude=30.0)) for o in operations if o.name == "rotate"}
    assert stronger == {-30.0, 30.0}
    pairs = {tuple(sorted(o.name for o in operations)) for operations in drawn(rand())}
    assert len(pairs) > 14


def test_three_draws_one_of_three():
    counts = Counter(operation.name for (operation,) in drawn(THREE))
    assert set(counts) == {"gray", "solarize-half", "blur"}
    assert min(counts.values()) > 900


@pytest.mark.parametrize("policy", ["trivial", "rand", "three"])
def test_operations_reach_the_batch_and_leave_the_cached_picture_alone(make_dataset, policy):
    spec = AugmentSpec(policy=policy, mirror=0.0, min_scale=1.0, jitter=0.0).filled()
    dataset, plain = make_dataset(6, size=(16, 16), augment=spec), make_dataset(6, size=(16, 16))
    places = [(0, n, True) for n in range(6)]
    assert not torch.equal(dataset[places].images_BVCHW, plain[places].images_BVCHW)
    assert torch.equal(dataset[places].images_BVCHW, dataset[places].images_BVCHW)


def handedness(pixels):
    """Which way round red, green and blue lie."""
    red, green, blue = (np.argwhere(pixels[..., k].astype(int) * 2 - pixels.sum(2) > 60).mean(0) for k in range(3))
    return np.sign(np.linalg.det([green - red, blue - red]))


@pytest.mark.parametrize("name", ["shear-x", "shear-y", "translate-x", "translate-y", "rotate"])
@pytest.mark.parametrize("share", [-1, -0.4, 0.4, 1])
def test_what_moves_pixels_never_mirrors(name, share):
    pixels = np.full((64, 64, 3), 40, np.uint8)
    for k, (y, x) in enumerate([(24, 24), (24, 36), (36, 24)]):
        pixels[y : y + 6, x : x + 6, k] = 250
    strength = share * {"rotate": 135, "translate-x": 0.25, "translate-y": 0.25}.get(name, 0.99)
    assert handedness(ours(pixels, name, strength)) == handedness(pixels) == -handedness(pixels[:, ::-1])


@pytest.mark.parametrize("field", ["magnitude=5.0", "num_ops=3"])
def test_the_numbers_of_rand_belong_to_rand(field):
    with pytest.raises(RecipeError, match="has no effect with `policy: trivial`; say rand"):
        load_recipe("auto", ["augment.policy=trivial", f"augment.{field}"])
    load_recipe("auto", ["augment.policy=rand", f"augment.{field}"])
