"""One item: views, labels, missing views, view dropout, and where its randomness comes from."""

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.data import Batch, Geometry, PictureDataset
from obverse.recipe import AugmentSpec

VIEWS = ("obverse", "reverse")
BUSY = AugmentSpec(policy="generic", rotation_degrees=20.0).filled()


def test_evaluation_gives_the_file_s_own_pixels(make_dataset):
    dataset = make_dataset(2, side=20)
    item = dataset[[(0, 1, True)]]
    file = np.asarray(Image.open(dataset.manifest.root / "image" / "1.png"))
    assert np.array_equal(item.images_BVCHW[0, 0].permute(1, 2, 0).numpy(), file)
    assert (item.ids, item.labels_B.tolist(), item.valid_B.tolist()) == (("sample/1",), [1], [True])
    assert item.color_BV3 is None


@pytest.mark.parametrize("difference", ["epoch", "id", "view", "seed"])
def test_a_change_depends_on_each_of_seed_epoch_id_and_view(make_dataset, difference):
    dataset = make_dataset(2, views=VIEWS, augment=BUSY)
    other = make_dataset(2, views=VIEWS, augment=BUSY, seed=1)
    colors = {
        "epoch": dataset[[(1, 0, True)]].color_BV3[0, 0],
        "id": dataset[[(0, 1, True)]].color_BV3[0, 0],
        "view": dataset[[(0, 0, True)]].color_BV3[0, 1],
        "seed": other[[(0, 0, True)]].color_BV3[0, 0],
    }
    assert not torch.equal(dataset[[(0, 0, True)]].color_BV3[0, 0], colors[difference])


def test_a_change_depends_on_nothing_else(make_dataset):
    few, many = make_dataset(2, augment=BUSY), make_dataset(6, augment=BUSY)
    torch.manual_seed(0)
    first = few[[(3, 1, True)]]
    torch.manual_seed(99)
    np.random.default_rng(0).random()
    _ = many[[(0, 4, True)]]
    again = many[[(3, 1, True)]]
    assert torch.equal(first.images_BVCHW, again.images_BVCHW)
    assert torch.equal(first.color_BV3, again.color_BV3)


def test_a_missing_view_is_all_fill_and_said_to_be_absent(make_dataset):
    dataset = make_dataset(2, views=VIEWS, missing=[(0, "reverse")], augment=BUSY)
    item = dataset[[(0, 0, True)]]
    assert item.present_BV.tolist() == [[True, False]]
    assert (item.images_BVCHW[0, 1] == 128).all()
    assert item.color_BV3[0, 1].tolist() == [1, 1, 1]
    assert (item.images_BVCHW[0, 0] != 128).any()


def test_training_crops_come_from_the_whole_picture(make_dataset):
    for augment, least in ((None, 2 / 0.5), (AugmentSpec(policy="none").filled(), 2)):
        geometry = Geometry(16, 16, 16, 16, fit="crop", crop_fraction=0.5)
        dataset = make_dataset(1, augment=augment)
        dataset = PictureDataset(dataset.manifest, dataset.samples, geometry, augment=augment)
        assert dataset.working.least_decode == (16 * least, 16 * least)


def dropout(share):
    return AugmentSpec(policy="none", view_dropout=share).filled()


def test_view_dropout_takes_views_and_never_the_last(make_dataset):
    dataset = make_dataset(2, views=VIEWS, augment=dropout(0.5))
    kept = torch.stack([dataset[[(epoch, 0, True)]].present_BV[0] for epoch in range(200)])
    assert kept.any(1).all()
    assert 30 < int((kept.sum(1) == 2).sum()) < 70
    assert kept.all(0).tolist() == [False, False]


def test_a_dropped_view_is_all_fill(make_dataset):
    dataset = make_dataset(1, views=VIEWS, augment=dropout(0.9))
    item = dataset[[(0, 0, True)]]
    assert int(item.present_BV.sum()) == 1
    assert (item.images_BVCHW[~item.present_BV] == 128).all()


def test_view_dropout_leaves_a_sample_with_one_view_alone(make_dataset):
    dataset = make_dataset(1, views=VIEWS, missing=[(0, "obverse")], augment=dropout(0.9))
    assert all(dataset[[(epoch, 0, True)]].present_BV.tolist() == [[False, True]] for epoch in range(20))


def test_evaluation_drops_no_view(make_dataset):
    dataset = make_dataset(1, views=VIEWS)
    assert all(dataset[[(epoch, 0, True)]].present_BV.all() for epoch in range(5))


@pytest.fixture
def batch(make_dataset) -> Batch:
    dataset = make_dataset(5, views=VIEWS, augment=BUSY)
    return dataset[[(0, n, n < 4) for n in range(5)]]


@pytest.mark.parametrize("name", ["images_BVCHW", "present_BV", "labels_B", "valid_B", "color_BV3"])
def test_a_batch_is_its_samples_one_by_one(make_dataset, batch, name):
    dataset = make_dataset(5, views=VIEWS, augment=BUSY)
    alone = [getattr(dataset[[(0, n, n < 4)]], name) for n in range(5)]
    assert torch.equal(torch.cat(alone), getattr(batch, name))


def test_micro_batches_are_the_batch_in_order(batch):
    parts = batch.split(2)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert sum((part.ids for part in parts), ()) == batch.ids
    for name in ("images_BVCHW", "present_BV", "labels_B", "valid_B", "color_BV3"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))


def test_only_view_hides_the_others(batch):
    assert batch.only_view(1).present_BV.tolist() == [[False, True]] * 5
