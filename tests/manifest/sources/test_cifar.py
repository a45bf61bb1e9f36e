"""The CIFAR python archives, as they are downloaded and unpacked."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec


def batch(count: int, seed: int, **more: Any) -> bytes:
    data = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return pickle.dumps({b"data": data, **{key.encode(): value for key, value in more.items()}}, 2)


def cifar10() -> dict[str, bytes]:
    top = "cifar-10-batches-py"
    files = {f"{top}/data_batch_{n}": batch(8, n, labels=[0, 1] * 4) for n in (1, 2)}
    meta = pickle.dumps({b"label_names": [b"airplane", b"cat"], b"num_vis": 3072}, 2)
    return {**files, f"{top}/test_batch": batch(6, 9, labels=[0, 1] * 3), f"{top}/batches.meta": meta,
            f"{top}/readme.html": b"<html>"}  # fmt: skip


def unpacked(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("form", ["above", "folder", "x.tar.gz", "x.zip"])
def test_cifar_10(tmp_path: Path, pack: Callable[[Path, Mapping[str, bytes]], Path], form: str) -> None:
    files = cifar10()
    if form in ("above", "folder"):
        root = unpacked(tmp_path / "c", files)
        path = root if form == "above" else root / "cifar-10-batches-py"
    else:
        path = pack(tmp_path / form, files)
    index = build_index(path, DataSpec())
    assert "CIFAR-10 python batches: 2 classes, 22 pictures" in index.summary
    assert index.manifest.split_counts()["test"] == 6
    sample = next(s for s in index.manifest.samples if s.id == "data_batch_2/3")
    assert sample.label == "cat"
    expected = np.random.default_rng(2).integers(0, 256, (8, 3072), dtype=np.uint8)[3]
    pixels = index.manifest.store.decode(sample.views["image"])
    assert np.array_equal(pixels, expected.reshape(3, 32, 32).transpose(1, 2, 0))


def test_cifar_100_has_fine_labels_and_keeps_the_coarse_ones(tmp_path: Path) -> None:
    labels = {"fine_labels": [0, 1, 2] * 2, "coarse_labels": [0, 0, 1] * 2}
    meta = {b"fine_label_names": [b"apple", b"pear", b"bee"], b"coarse_label_names": [b"fruit", b"insect"]}
    files = {"train": batch(6, 1, **labels), "test": batch(6, 2, **labels), "meta": pickle.dumps(meta, 2)}
    listing = read_source(unpacked(tmp_path / "c", files), DataSpec())
    assert [(s.label, s.extra["coarse_label"]) for s in listing.samples[:3]] == [
        ("apple", "fruit"),
        ("pear", "fruit"),
        ("bee", "insect"),
    ]
    assert {s.split for s in listing.samples} == {"train", "test"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data_batch_1", batch(8, 1, labels=[0, 7] * 4), "the label 7 has no name; there are 2"),
        ("data_batch_1", batch(8, 1, fine_labels=[0, 1] * 4), "has no `labels`"),
        ("data_batch_1", b"nonsense", "is not a CIFAR batch"),
        ("batches.meta", pickle.dumps({b"label_names": 3}, 2), "has no list `label_names`"),
        ("batches.meta", pickle.dumps({b"label_names": print}, 2), "it asks for"),
    ],
)
def test_batches_that_are_spoilt(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    files = {**cifar10(), f"cifar-10-batches-py/{name}": content}
    with pytest.raises(DataError, match=message):
        read_source(unpacked(tmp_path / "c", files), DataSpec())
