"""One JSON index per class: paths of originals, a map to the crops, and files that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]


def write_index(root: Path, label: str, paths: Any, key: str = "good") -> None:
    (root / f"index_{label}.json").write_text(json.dumps({key: paths, "bad": ["x.jpg"]}))


@pytest.fixture
def crops(tree: Tree) -> Path:
    """Indexes list originals on another machine; the crops lie beside the indexes."""
    root = tree([f"chips/{label}/{n}.png" for label in ("au", "ms 65") for n in range(8)])
    for label in ("au", "ms 65"):
        write_index(root, label, [f"/mnt/originals/{label}/{n}.png" for n in range(8)])
    return root


MAP = {"/mnt/originals": "chips", "/mnt/orig": "wrong", "/mnt": "also wrong"}


def test_the_map_leads_from_originals_to_crops(crops: Path) -> None:
    index = build_index(crops, DataSpec(path_map=MAP))
    assert (index.layout, index.manifest.classes) == ("json-index", ("au", "ms 65"))
    assert len(index.manifest.samples) == 16
    sample = next(s for s in index.manifest.samples if s.id.endswith("ms 65/3.png"))
    assert sample.id == "ms 65//mnt/originals/ms 65/3.png"
    assert sample.views == {"image": "chips/ms 65/3.png"}


def test_ids_and_so_splits_do_not_depend_on_where_the_crops_lie(crops: Path, tmp_path: Path) -> None:
    before = build_index(crops, DataSpec(path_map=MAP)).manifest.samples
    (crops / "chips").rename(tmp_path / "moved")
    after = build_index(crops, DataSpec(path_map={"/mnt/originals": str(tmp_path / "moved")})).manifest.samples
    assert [(s.id, s.split) for s in after] == [(s.id, s.split) for s in before]


def test_the_map_may_be_a_file_and_name_single_files(crops: Path) -> None:
    (crops / "chips/au/0.png").rename(crops / "one.png")
    (crops / "path_map.json").write_text(json.dumps({**MAP, "/mnt/originals/au/0.png": "one.png"}))
    found = {s.views["image"] for s in read_source(crops, DataSpec()).samples}
    assert len(found) == 16
    assert {"one.png", "chips/au/1.png"} <= found


def test_missing_files_are_reported_and_not_fatal(crops: Path) -> None:
    (crops / "chips/au/2.png").unlink()
    (crops / "chips/au/5.png").unlink()
    index = build_index(crops, DataSpec(path_map=MAP))
    assert len(index.manifest.samples) == 14
    (finding,) = [f for f in index.findings if f.code == "missing-file"]
    assert finding.message == "2 of 8 pictures that index_au.json lists are not there and are left out"
    assert (finding.severity, finding.paths) == ("warning", ("chips/au/2.png", "chips/au/5.png"))


def test_without_the_map_nothing_is_found_and_the_sentence_says_what_to_do(crops: Path) -> None:
    write_index(crops, "au", ["/mnt/originals/au/0.png"] * 2)
    with pytest.raises(DataError, match=r"none of the pictures .*'/mnt/originals/au/0\.png'; say .* data\.path_map"):
        read_source(crops, DataSpec())


def test_a_picture_listed_twice_counts_once(tree: Tree) -> None:
    root = tree(["a/1.png", "b/1.png"])
    write_index(root, "a", ["a/1.png", {"path": "a/1.png"}])
    write_index(root, "b", ["b/1.png"])
    listing = read_source(root, DataSpec())
    assert [s.label for s in listing.samples] == ["a", "b"]
    assert [f.message for f in listing.findings] == ["index_a.json lists 1 picture(s) twice; each counts once"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", r"index_a\.json' in .* is not valid JSON"),
        ("[]", "expected an object with the key 'good'"),
        ('{"bad": []}', "expected an object with the key 'good'"),
        ('{"good": {"x": 1}}', "expected an object with the key 'good'"),
        ('{"good": [1]}', "expected an object with the key 'good'"),
        ('{"good": []}', "the indexes list no pictures"),
    ],
)
def test_an_index_that_is_none(tree: Tree, text: str, message: str) -> None:
    root = tree(["a/1.png"])
    (root / "index_a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_source(root, DataSpec())


def test_a_path_map_that_is_none(crops: Path) -> None:
    (crops / "path_map.json").write_text('["x"]')
    with pytest.raises(DataError, match="expected an object of original path"):
        read_source(crops, DataSpec())


def test_a_path_map_without_indexes_is_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match=r"data\.path_map is for JSON indexes"):
        read_source(tree(["a/1.png", "b/1.png"]), DataSpec(path_map=MAP))


def test_indexes_in_an_archive(
    crops: Path, files_of: Callable[[Path], dict[str, bytes]], pack: Callable[[Path, Mapping[str, bytes]], Path]
) -> None:
    (crops / "chips/au/2.png").unlink()
    archive = read_source(pack(crops.with_suffix(".zip"), files_of(crops)), DataSpec(path_map=MAP))
    assert {s.id for s in archive.samples} == {s.id for s in read_source(crops, DataSpec(path_map=MAP)).samples}
    assert len(archive.samples) == 15


def test_indexes_in_split_folders_give_the_split_and_ids_of_their_own(tree: Tree) -> None:
    root = tree([f"{split}/{label}/{n}.png" for split in ("train", "test") for label in ("a", "b") for n in range(3)])
    for split in ("train", "test"):
        for label in ("a", "b"):
            write_index(root / split, label, [f"{label}/{n}.png" for n in range(3)])
    samples = read_source(root, DataSpec()).samples
    assert len({s.id for s in samples}) == len(samples) == 12
    assert {(s.split, s.views["image"].split("/")[0]) for s in samples} == {("train", "train"), ("test", "test")}
