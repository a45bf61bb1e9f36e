"""Real sets are read from their zips as from the folders that were packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from obverse.manifest import PictureStore, build_index, read_source
from obverse.recipe import DataSpec

Unpack = Callable[[str], Path]
SEEN = {
    "cifar10_test": ("one class per folder: 10 classes, 10000 pictures", 10),
    "euro_coins": ("split folders test, train, one class per folder: 8 classes, 2830 pictures", 8),
    "omniglot_small": ("one class per folder (nested names stay apart): 136 classes, 2720 pictures", 136),
    "tomato_freshness": ("split folders test, train, one class per folder: 10 classes, 1100 pictures", 10),
    "trashnet": ("one class per folder: 6 classes, 363 pictures", 6),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_is_in_a_zip_is_seen(real_data: Path, name: str) -> None:
    said, num_classes = SEEN[name]
    listing = read_source(real_data / f"{name}.zip", DataSpec())
    assert listing.summary.startswith(f"in the archive {name}.zip: inside {name}/")
    assert listing.summary.endswith(said)
    assert (listing.layout, listing.views, listing.findings) == ("class-folders", ("image",), [])
    assert len({sample.label for sample in listing.samples}) == num_classes
    last = listing.samples[len(listing.samples) - 1]
    assert PictureStore(listing.root).decode(last.views["image"]).ndim == 3


def test_trashnet_from_its_zip_is_trashnet_from_its_folder(real_data: Path, unpacked: Unpack) -> None:
    folder = build_index(unpacked("trashnet"), DataSpec())
    archive = build_index(real_data / "trashnet.zip", DataSpec())
    facts = [[(s.id, s.label, s.split, s.group, s.digest) for s in i.manifest.samples] for i in (folder, archive)]
    assert facts[0] == facts[1]
    for one, other in list(zip(folder.manifest.samples, archive.manifest.samples, strict=True))[::60]:
        pixels = folder.manifest.store.decode(one.views["image"])
        assert np.array_equal(archive.manifest.store.decode(other.views["image"]), pixels)
    assert len([f for f in archive.findings if f.code == "duplicate-across-labels"]) >= 2
