"""Mixup and CutMix: what is drawn, what is blended, and that pairs alone decide."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.data import Batch, mix, to_model_input
from obverse.data.augmentation.mixing import blend
from obverse.recipe import MixingSpec

MIXUP, CUTMIX, BOTH = MixingSpec(mixup=0.8), MixingSpec(cutmix=1.0), MixingSpec(mixup=0.8, cutmix=1.0)
HEIGHT, WIDTH = 12, 20
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.fixture
def batch():
    return batch_of(8)


def batch_of(num, views=2):
    """Sample n is of the one colour 20 n."""
    images = torch.arange(num, dtype=torch.uint8).view(-1, 1, 1, 1, 1) * 20
    return Batch(
        images.expand(num, views, 3, HEIGHT, WIDTH).contiguous(),
        torch.ones(num, views, dtype=torch.bool),
        torch.arange(num) % 4,
        torch.ones(num, dtype=torch.bool),
        tuple(f"id{n}" for n in range(num)),
    )


def mixed(batch, spec, epoch=0, seed=0):
    """The mixed batch and its pixels, 0 to 255."""
    result = mix(batch, spec, num_classes=4, seed=seed, epoch=epoch)
    images = to_model_input(result.images_BVCHW, mean=PLAIN[0], std=PLAIN[1], shares_BV5=result.shares_BV5)
    return result, images * 255


def own_targets(batch):
    return torch.nn.functional.one_hot(batch.labels_B, 4).float()


@pytest.mark.parametrize("spec", [MIXUP, CUTMIX, BOTH])
def test_the_target_is_the_share_of_pixels_that_are_really_there(batch, spec):
    """Neighbours 2i and 2i + 1 have other colours, so the mean of the pixels says how much of each there is."""
    for epoch in range(20):
        result, images = mixed(batch, spec, epoch)
        means = images.mean((1, 2, 3, 4))
        for n in range(8):
            own, other = 20 * n, 20 * (n ^ 1)
            share = (means[n] - other) / (own - other)
            expected = share * own_targets(batch)[n] + (1 - share) * own_targets(batch)[n ^ 1]
            torch.testing.assert_close(result.targets_BK[n], expected, atol=1e-4, rtol=0)


def test_mixup_is_the_same_convex_sum_in_every_pixel_and_view(batch):
    _, images = mixed(batch, MIXUP)
    flat = images.flatten(1)
    assert torch.allclose(flat, flat[:, :1].expand_as(flat), atol=1e-3)
    assert ((flat[:, 0] - 20 * torch.arange(8)).abs() > 0.5).any()


def test_cutmix_puts_a_box_of_one_size_at_another_place_in_each_view(batch):
    places = set()
    for epoch in range(20):
        result, images = mixed(batch, CUTMIX, epoch)
        assert set(images.round().unique().tolist()) <= {20.0 * n for n in range(8)}
        foreign = images[:, :, 0].round() != 20 * torch.arange(8).view(-1, 1, 1, 1)
        assert torch.equal(foreign[:, 0].sum((1, 2)), foreign[:, 1].sum((1, 2)))
        for share, top, left, bottom, right in result.shares_BV5.flatten(0, 1).tolist():
            assert (share, 0 <= top <= bottom <= HEIGHT, 0 <= left <= right <= WIDTH) == (1, True, True)
        places |= {tuple(row) for row in (result.shares_BV5[:, 0] != result.shares_BV5[:, 1]).tolist()}
    assert (False, True, True, True, True) in places


def shares(spec, num=2000):
    result = mix(batch_of(num, 1), spec, num_classes=4, seed=0, epoch=0)
    own = result.shares_BV5[:, 0]
    return own[:, 0] * (1 - (own[:, 3] - own[:, 1]) * (own[:, 4] - own[:, 2]) / (HEIGHT * WIDTH))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha):
    drawn = shares(MixingSpec(mixup=alpha))
    variance = 1 / (4 * (2 * alpha + 1))
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(drawn.var()) == pytest.approx(variance, rel=0.1)
    assert float(shares(MixingSpec(cutmix=alpha)).var()) == pytest.approx(variance, rel=0.15)


def test_with_both_on_each_sample_takes_one_of_them():
    result = mix(batch_of(1000, 1), BOTH, num_classes=4, seed=0, epoch=0)
    is_mixup = result.shares_BV5[:, 0, 0] < 1
    assert 400 < int(is_mixup.sum()) < 600
    assert not result.shares_BV5[is_mixup][:, 0, 1:].any()


@pytest.mark.parametrize("difference", ["epoch", "seed", "id"])
def test_what_is_drawn_depends_on_seed_epoch_and_id(batch, difference):
    other = {"epoch": {"epoch": 1}, "seed": {"seed": 1}}.get(difference, {})
    changed = replace(batch, ids=tuple(f"other{n}" for n in range(8))) if difference == "id" else batch
    assert not torch.equal(mixed(batch, BOTH)[0].targets_BK, mixed(changed, BOTH, **other)[0].targets_BK)


@pytest.mark.parametrize("spec", [MIXUP, CUTMIX])
def test_padding_never_mixes_into_a_sample_nor_does_a_sample_into_padding(batch, spec):
    batch = replace(batch, valid_B=torch.tensor([True, True, True, False, True, True, True, True]))
    result, images = mixed(batch, spec)
    assert torch.equal(images[2:4].round(), batch.images_BVCHW[2:4].float())
    assert torch.equal(result.targets_BK[2], own_targets(batch)[2])
    assert not torch.equal(result.targets_BK[4], own_targets(batch)[4])


def test_the_last_of_an_odd_number_stays_as_it_is():
    batch = batch_of(5)
    result, images = mixed(batch, MIXUP)
    assert torch.equal(images[4].round(), batch.images_BVCHW[4].float())
    assert torch.equal(result.targets_BK[4], own_targets(batch)[4])


@pytest.mark.parametrize("spec", [MIXUP, CUTMIX])
@pytest.mark.parametrize("lacking", [0, 1])
def test_a_view_that_one_of_both_lacks_stays_as_it_is(batch, spec, lacking):
    present = batch.present_BV.clone()
    present[lacking, 1] = False
    alone, images = mixed(replace(batch, present_BV=present), spec)
    whole, _ = mixed(batch, spec)
    assert torch.equal(images[:2, 1].round(), batch.images_BVCHW[:2, 1].float())
    share, full = alone.targets_BK[:2].gather(1, batch.labels_B[:2, None]), whole.targets_BK[:2, :2].diag()[:, None]
    # The sample with both views is mixed in one of them only; the other is mixed in all that it has.
    complete = 1 - lacking
    assert float(share[complete]) == pytest.approx((1 + float(full[complete])) / 2, abs=1e-5)
    assert float(share[lacking]) == pytest.approx(float(full[lacking]), abs=1e-5)
    assert torch.equal(alone.targets_BK[2:], whole.targets_BK[2:])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_micro_batches_mix_as_the_whole_batch_does(batch, size):
    result, images = mixed(batch, BOTH)
    parts = result.split(size)
    blended = [blend(part.images_BVCHW.float(), part.shares_BV5) for part in parts]
    torch.testing.assert_close(torch.cat(blended), images, atol=1e-4, rtol=0)
    assert torch.equal(torch.cat([part.targets_BK for part in parts]), result.targets_BK)


def test_unmixed_samples_keep_every_bit():
    images = torch.from_numpy(np.random.default_rng(0).random((2, 1, 3, 8, 8), np.float32))
    nothing = torch.tensor([1.0, 0, 0, 0, 0]).expand(2, 1, 5)
    assert torch.equal(blend(images, nothing), images)
