"""Every picture that is read is compared with the manifest: an exchanged file is named, whatever its size and time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.data import Geometry, Loader, MemoryCache, PictureDataset
from obverse.errors import DataError
from obverse.imaging import content_digest, joint_digest
from obverse.manifest import Manifest, Sample
from obverse.recipe import AugmentSpec

GEOMETRY = Geometry(8, 8, 8, 8)


def picture(path: Path, seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return content_digest(path.read_bytes())


def exchange(path: Path, seed: int) -> None:
    """Other pixels under the same name, size and time."""
    before, old = os.stat(path), path.read_bytes()
    picture(path, seed)
    assert path.read_bytes() != old
    path.write_bytes(path.read_bytes().ljust(before.st_size, b"\0")[: max(before.st_size, path.stat().st_size)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns


def dataset(root: Path, views: tuple[str, ...], num: int = 3, **more: object) -> PictureDataset:
    samples = []
    for n in range(num):
        cells = {view: f"{view}/{n}.bmp" for view in views if (n, view) != (2, "obverse")}
        digest = joint_digest(picture(root / cell, 10 * n + len(cell) + ord(view[0])) for view, cell in cells.items())
        samples.append(Sample(f"s{n}", "ab"[n % 2], cells, "train", digest=digest))
    manifest = Manifest(root, samples, ("a", "b"), views)
    return PictureDataset(manifest, manifest.samples, GEOMETRY, **more)


def read(data: PictureDataset, index: int = 1, epoch: int = 0) -> torch.Tensor:
    return data[[(epoch, index, True)]].images_BVCHW


@pytest.mark.parametrize("views", [("image",), ("obverse", "reverse")])
@pytest.mark.parametrize("was_read", [False, True])
def test_an_exchanged_picture_is_named(tmp_path: Path, views: tuple[str, ...], was_read: bool) -> None:
    data = dataset(tmp_path, views)
    if was_read:
        read(data)
    exchange(tmp_path / views[-1] / "1.bmp", 99)
    name = f"'{views[-1]}/1.bmp' is" if was_read or len(views) == 1 else f"one of .*'{views[-1]}/1.bmp' is"
    with pytest.raises(DataError, match=f"^{name} not the picture .* sample 's1'.*put it back") as caught:
        read(data)
    assert caught.value.exit_code == 65
    assert read(data, 0).shape == (1, len(views), 3, 8, 8)


def test_views_that_change_places_are_noticed(tmp_path: Path) -> None:
    data = dataset(tmp_path, ("obverse", "reverse"))
    one, other = (tmp_path / view / "1.bmp" for view in ("obverse", "reverse"))
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    with pytest.raises(DataError, match="one of"):
        read(data)


def test_a_view_that_is_dropped_or_missing_hides_nothing(tmp_path: Path) -> None:
    augment = AugmentSpec(policy="none", view_dropout=0.9).filled()
    data = dataset(tmp_path, ("obverse", "reverse"), augment=augment)
    assert [read(data, 1, epoch).shape[1] for epoch in range(4)] == [2] * 4
    assert read(data, 2).shape[1] == 2
    exchange(tmp_path / "reverse/2.bmp", 99)
    with pytest.raises(DataError, match=r"^'reverse/2\.bmp' is"):
        read(data, 2)


def test_a_sample_without_a_digest_is_not_compared(tmp_path: Path) -> None:
    data = dataset(tmp_path, ("image",))
    samples = data.samples.with_columns(digests=[None] * 3)
    exchange(tmp_path / "image/1.bmp", 99)
    assert read(PictureDataset(data.manifest, samples, GEOMETRY)).shape == (1, 1, 3, 8, 8)


def test_cached_pixels_are_those_of_the_recorded_picture(tmp_path: Path) -> None:
    data = dataset(tmp_path, ("image",))
    data.cache = MemoryCache(3, GEOMETRY.shape)
    before = read(data)
    exchange(tmp_path / "image/1.bmp", 99)
    assert torch.equal(read(data), before)
    exchange(tmp_path / "image/0.bmp", 98)
    with pytest.raises(DataError, match="image/0"):
        read(data, 0)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_passes_the_sentence_on(tmp_path: Path, num_workers: int) -> None:
    data = dataset(tmp_path, ("image",))
    exchange(tmp_path / "image/1.bmp", 99)
    loader = Loader(data, 2, num_workers=num_workers)
    with pytest.raises(DataError, match=r"^'image/1\.bmp' is not the picture that the manifest recorded"):
        list(loader.epoch())
    loader.close()
