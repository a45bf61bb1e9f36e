"""Colour changes and normalisation of a batch."""

import numpy as np
import torch
from PIL import Image

from obverse.data import to_model_input
from obverse.data.preprocess import change_color

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(batch=3, views=2):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (batch, views, 3, 5, 7), np.uint8))


def factors(*rows):
    """(3, 2, 3): `rows` for the first sample's views, ones elsewhere."""
    color = torch.ones(3, 2, 3)
    for view, row in enumerate(rows):
        color[0, view] = torch.tensor(row)
    return color


def test_normalisation_is_pixel_over_255_minus_mean_over_std():
    images = pictures()
    expected = (images.double().numpy() / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    result = to_model_input(images, mean=MEAN, std=STD)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, atol=2e-6)


def test_the_bytes_of_the_batch_are_not_changed():
    images = pictures()
    before = images.clone()
    to_model_input(images, mean=MEAN, std=STD, color_BV3=factors((2.0, 2.0, 2.0)))
    assert torch.equal(images, before)


def test_factors_of_one_leave_every_bit():
    plain = to_model_input(pictures(), mean=MEAN, std=STD)
    assert torch.equal(to_model_input(pictures(), mean=MEAN, std=STD, color_BV3=factors()), plain)


def test_only_the_view_with_factors_changes():
    before = pictures().float() / 255
    after = change_color(before.clone(), factors((1.0, 1.0, 1.0), (0.5, 1.0, 1.0)), white=1.0)
    assert torch.allclose(after[0, 1], before[0, 1] / 2, atol=1e-6)
    assert torch.equal(after[0, 0], before[0, 0])
    assert torch.equal(after[1:], before[1:])


def test_saturation_zero_gives_pillow_s_grey():
    images = pictures()
    gray = change_color(images.float() / 255, factors((1.0, 1.0, 0.0)), white=1.0)[0, 0]
    assert torch.allclose(gray[0], gray[1])
    assert torch.allclose(gray[0], gray[2])
    pillow = np.asarray(Image.fromarray(images[0, 0].permute(1, 2, 0).numpy()).convert("L"))
    np.testing.assert_allclose(gray[0].numpy() * 255, pillow, atol=1.0)


def test_contrast_zero_gives_the_mean_grey():
    before = pictures().float() / 255
    flat = change_color(before.clone(), factors((1.0, 0.0, 1.0)), white=1.0)[0, 0]
    mean_gray = (before[0, 0] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0).mean()
    assert torch.allclose(flat, mean_gray.expand_as(flat), atol=1e-6)


def test_results_stay_in_the_range_of_pixels():
    bright = change_color(pictures().float() / 255, factors((5.0, 3.0, 3.0)), white=1.0)[0, 0]
    assert bright.min() >= 0
    assert bright.max() == 1
