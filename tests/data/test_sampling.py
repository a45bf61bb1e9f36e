"""How often an epoch shows each class: exact in length, fair within a class, the same for ranks, workers and resume."""

from collections import Counter

import numpy as np
import pytest
import torch

from obverse.data import Loader
from obverse.data.loader import EpochSampler
from obverse.data.sampling import ClassSampling
from obverse.recipe import AugmentSpec
from obverse.runtime import Process, named_generator

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
LABELS = ["a"] * 90 + ["b"] * 25 + ["c"] * 5


def turns(kind, epoch=0, labels=LABELS):
    rows = ClassSampling(labels, kind).order(epoch, named_generator("order", 0, epoch))
    return [(number, index) for number, index in rows.tolist()]


def class_counts(kind, epoch=0):
    counts = Counter(LABELS[index] for _, index in turns(kind, epoch))
    return [counts[name] for name in "abc"]


def test_an_epoch_keeps_its_length():
    for kind in ("sqrt", "balanced"):
        assert all(len(turns(kind, epoch)) == len(LABELS) for epoch in range(5))


def test_shares_by_hand():
    assert class_counts("balanced") == [40, 40, 40]
    roots = np.sqrt([90, 25, 5])
    assert class_counts("sqrt") == pytest.approx(120 * roots / roots.sum(), abs=1)
    assert class_counts("natural") == [90, 25, 5]


def test_no_sample_comes_again_before_its_class_is_through():
    seen = Counter(index for _, index in turns("balanced"))
    for start, end, times in ((0, 90, {0, 1}), (90, 115, {1, 2}), (115, 120, {8})):
        assert {seen[index] for index in range(start, end)} <= times


def test_a_repeated_sample_is_changed_in_another_way():
    assert len(set(turns("balanced"))) == len(LABELS)
    assert {number for number, _ in turns("balanced", 3)} >= {3, 3 + 2**32}


def test_the_smallest_of_many_classes_get_their_share_over_epochs():
    labels = [f"{k:03}" for k in range(300)] + ["head"] * 100
    counts = Counter(labels[index] for epoch in range(200) for _, index in turns("balanced", epoch, labels))
    wanted = 200 * 400 / 301
    assert all(abs(counts[name] - wanted) < 45 for name in set(labels))


def test_it_depends_on_seed_and_epoch_alone():
    assert turns("sqrt", 1) == turns("sqrt", 1)
    assert turns("sqrt", 1) != turns("sqrt", 2)


def batches(sampler, *, first=0, world=1, epoch=2):
    found = []
    for rank in range(world):
        epochs = EpochSampler(120, 16, seed=7, process=Process(rank, world), sampling=ClassSampling(LABELS, sampler))
        found.append(list(epochs.places(epoch, first)))
    return found


def test_an_epoch_can_be_entered_at_any_batch():
    (whole,) = batches("balanced")
    for first in range(9):
        assert batches("balanced", first=first) == [whole[first:]]


def test_ranks_share_what_one_process_would_see():
    (whole,) = batches("balanced")
    ranks = batches("balanced", world=3)
    for number, batch in enumerate(whole):
        together = [place for rank in ranks for place in rank[number] if place[2]]
        assert Counter(together) == Counter(batch)


def test_the_loader_shows_rare_classes_more_often_and_workers_change_nothing(make_dataset):
    def epoch(sampler, workers=0):
        dataset = make_dataset(12, augment=AugmentSpec(policy="generic").filled())
        dataset.samples = [dataset.samples[n] for n in (0, 2, 4, 6, 8, 10, 1)]
        return list(Loader(dataset, 7, seed=0, num_workers=workers, sampler=sampler).epoch(1))

    (natural,), (alone,), (shared,) = epoch("natural"), epoch("balanced"), epoch("balanced", 2)
    assert natural.ids.count("sample/1") == 1
    rare = [row for row, name in enumerate(alone.ids) if name == "sample/1"]
    assert len(rare) in (3, 4)
    assert not torch.equal(alone.images_BVCHW[rare[0]], alone.images_BVCHW[rare[1]])
    assert alone.ids == shared.ids
    assert torch.equal(alone.images_BVCHW, shared.images_BVCHW)
