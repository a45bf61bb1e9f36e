"""Real sets with known faults and layouts are read as what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from obverse.manifest import build_index
from obverse.recipe import DataSpec

Unpack = Callable[[str], Path]


def test_trashnet_duplicates_under_two_labels_are_found_and_kept_in_one_split(unpacked: Unpack) -> None:
    index = build_index(unpacked("trashnet"), DataSpec())
    found = {frozenset(Path(p).stem for p in f.paths) for f in index.findings if f.code == "duplicate-across-labels"}
    assert {frozenset({"metal91", "glass115"}), frozenset({"plastic332", "glass389"})} <= found
    split = {Path(s.id).stem: s.split for s in index.manifest.samples}
    assert split["metal91"] == split["glass115"]
    assert split["plastic332"] == split["glass389"]
    assert len(index.manifest.samples) == 363
    assert len(index.manifest.classes) == 6


def test_omniglot_characters_of_different_alphabets_are_distinct(unpacked: Unpack) -> None:
    manifest = build_index(unpacked("omniglot_small"), DataSpec()).manifest
    assert len(manifest.classes) == 136
    assert set(manifest.counts().values()) == {20}
    assert len({name.rsplit("/", 1)[-1] for name in manifest.classes}) < 136


def test_euro_coins_keep_their_test_set_and_carve_validation_from_train(unpacked: Unpack) -> None:
    root = unpacked("euro_coins")
    manifest = build_index(root, DataSpec()).manifest
    assert len(manifest.samples) == 2830
    folders = {name: {s.id.split("/")[0] for s in manifest.split(name)} for name in ("train", "val", "test")}
    assert folders == {"train": {"train"}, "val": {"train"}, "test": {"test"}}
    assert all(manifest.counts("val").values())
    in_train = Counter(s.label for s in manifest.samples if s.id.startswith("train/"))
    for name, num_val in manifest.counts("val").items():
        assert num_val == pytest.approx(in_train[name] * 0.15 / 0.85, abs=max(2, in_train[name] * 0.02))


def test_tomato_freshness_takes_the_order_that_is_given(unpacked: Unpack) -> None:
    root = unpacked("tomato_freshness")
    grades = tuple(str(grade) for grade in range(10))
    ordered = build_index(root, DataSpec(order=grades)).manifest
    assert (ordered.classes, ordered.ordered) == (grades, True)
    assert not build_index(root, DataSpec()).manifest.ordered
