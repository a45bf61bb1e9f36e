"""The manifest file: what is written is read back equal, whatever the names hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obverse.errors import DataError
from obverse.manifest import Manifest, Sample, read_manifest

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
odd_names = names | st.sampled_from(["a\nb", "a\r\nb", "a\rb", ',";', " x ", "\ufeff", os.fsdecode(b"\xff\xfe")])


def read_back(manifest: Manifest, path: Path) -> Manifest:
    manifest.write(path)
    return read_manifest(
        path, root=manifest.root, classes=manifest.classes, views=manifest.views, ordered=manifest.ordered
    )


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(odd_names, odd_names, st.sampled_from(["train", "val", "test", None])), max_size=6),
    extra=odd_names,
)
def test_round_trip_is_exact(tmp_path: Path, rows: list[tuple[str, str, str | None]], extra: str) -> None:
    samples = tuple(
        Sample(f"{i}{path}", label, {"obverse": path}, split, group=label, digest="0" * 32, extra={"x": extra})
        for i, (path, label, split) in enumerate(rows)
    )
    classes = tuple(sorted({s.label for s in samples}))
    manifest = Manifest(tmp_path, samples, classes, ("obverse", "reverse"), ordered=True)
    assert read_back(manifest, tmp_path / "m.csv") == manifest


def small(tmp_path: Path) -> Manifest:
    samples = (
        Sample("a/1", "a", {"obverse": "a/1.png", "reverse": "a/2.png"}, "train"),
        Sample("b/1", "b", {"reverse": "b/2.png"}, "val"),
        Sample("b/2", "b", {"obverse": "b/3.png"}, "train"),
    )
    return Manifest(tmp_path, samples, ("b", "a"), ("obverse", "reverse"))


def test_counts_labels_splits_and_root(tmp_path: Path) -> None:
    manifest = small(tmp_path)
    assert manifest.class_index == {"b": 0, "a": 1}
    assert manifest.counts() == {"b": 2, "a": 1}
    assert manifest.counts("train") == {"b": 1, "a": 1}
    assert manifest.split_counts() == {"train": 2, "val": 1, "test": 0}
    assert [s.id for s in manifest.split("train")] == ["a/1", "b/2"]
    assert manifest.store.root == tmp_path


def test_columns_are_the_documented_ones(tmp_path: Path) -> None:
    small(tmp_path).write(tmp_path / "m.csv")
    header = (tmp_path / "m.csv").read_text().splitlines()[0]
    assert header == "id,label,split,group,digest,obverse,reverse"


@pytest.mark.parametrize(
    ("old", "new"),
    [("id,label", "id,grade"), (",obverse", ",front"), ("a,train", "a,Train"), ("b/1,b", "b/1,c"), ("a/2.png", "x,y")],
)
def test_a_spoilt_manifest_is_refused(tmp_path: Path, old: str, new: str) -> None:
    manifest, path = small(tmp_path), tmp_path / "m.csv"
    manifest.write(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=r"m\.csv"):
        read_manifest(path, root=tmp_path, classes=manifest.classes, views=manifest.views, ordered=False)


def test_a_manifest_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    manifest, path = small(tmp_path), tmp_path / "m.csv"
    manifest.write(path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="not a readable manifest"):
        read_manifest(path, root=tmp_path, classes=manifest.classes, views=manifest.views, ordered=False)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable manifest"):
        read_manifest(tmp_path / "no.csv", root=tmp_path, classes=(), views=(), ordered=False)
