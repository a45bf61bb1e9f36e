"""Folder trees as users have them become the samples they mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source, walk_pictures
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]


def read(root: Path, **fields: Any) -> Any:
    return read_source(root, DataSpec(**fields))


def labels(root: Path, **fields: Any) -> dict[str, str]:
    return {sample.id: sample.label for sample in read(root, **fields).samples}


def test_one_class_per_folder(tree: Tree) -> None:
    assert labels(tree(["cat/1.jpg", "dog/1.jpg"])) == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}


def test_nested_class_folders_are_distinct(tree: Tree) -> None:
    assert set(labels(tree(["a/x/1.png", "b/x/2.png", "b/y/3.png"])).values()) == {"a/x", "b/x", "b/y"}


def test_a_wrapper_folder_is_taken_off(tree: Tree) -> None:
    listing = read(tree(["all/photos/cat/1.png", "all/photos/dog/2.png"]))
    assert {s.label for s in listing.samples} == {"cat", "dog"}
    assert "inside all/photos/" in listing.summary


def test_hidden_files_and_other_files_are_no_samples(tree: Tree) -> None:
    root = tree(["cat/1.png", "dog/2.PNG", "cat/.hidden.png", ".git/x.png", "cat/notes.txt", "dog/Thumbs.db"])
    assert set(labels(root)) == {"cat/1.png", "dog/2.PNG"}


def test_loose_pictures_are_left_out_with_a_note(tree: Tree) -> None:
    listing = read(tree(["logo.png", "cat/1.png", "dog/1.png"]))
    assert [(f.severity, f.code, f.paths) for f in listing.findings] == [("note", "loose-picture", ("logo.png",))]
    assert len(listing.samples) == 2


def test_size_folders_are_no_classes(tree: Tree) -> None:
    root = tree(["ms65/6000x3000/1.jpg", "ms65/6000x3000/2.jpg", "au50/3000x1500/1.jpg"])
    assert set(labels(root).values()) == {"ms65", "au50"}
    assert set(labels(root)) == {"ms65/6000x3000/1.jpg", "ms65/6000x3000/2.jpg", "au50/3000x1500/1.jpg"}


def test_one_photograph_in_two_sizes_stays_in_one_split(tree: Tree) -> None:
    sizes = [f"ms65/{size}/{i}.{end}" for size, end in (("6000x3000", "jpg"), ("3000x1500", "JPG")) for i in range(20)]
    index = build_index(tree([*sizes, *(f"au50/6000x3000/{i}.jpg" for i in range(20))]), DataSpec())
    split_of: dict[str, set[str | None]] = {}
    for sample in index.manifest.samples:
        if sample.label == "ms65":
            assert sample.group is not None
            split_of.setdefault(sample.group, set()).add(sample.split)
        else:
            assert sample.group is None
    assert set(split_of) == {f"ms65/{i}" for i in range(20)}
    assert {len(splits) for splits in split_of.values()} == {1}
    assert [f.message for f in index.findings if f.code == "groups"] == [
        "1 class(es) have several size folders: pictures of one name in them stay in one split"
    ]


def test_split_folders_that_count_alike_are_no_groups(tree: Tree) -> None:
    root = tree(
        [f"{split}/{label}/{i}.jpg" for split in ("train", "val", "validation") for label in "ab" for i in range(10)]
    )
    index = build_index(root, DataSpec())
    assert not any(index.manifest.samples.groups)
    assert "groups" not in {f.code for f in index.findings}


COINS = [f"{grade}/{side}/coin{i}.jpg" for grade in ("ms65", "au50") for side in ("obverse", "reverse") for i in (1, 2)]


def test_view_folders_pair_and_ids_carry_the_grade(tree: Tree) -> None:
    listing = read(tree(COINS))
    assert listing.views == ("obverse", "reverse")
    found = {s.id: dict(s.views) for s in listing.samples}
    assert set(found) == {"ms65/coin1", "ms65/coin2", "au50/coin1", "au50/coin2"}
    assert found["au50/coin1"] == {"obverse": "au50/obverse/coin1.jpg", "reverse": "au50/reverse/coin1.jpg"}


def test_views_pair_by_case_folded_stem_whatever_the_suffix(tree: Tree) -> None:
    listing = read(tree(["a/Obverse/COIN1.JPG", "a/Reverse/coin1.png", "b/obverse/x.jpeg", "b/reverse/X.tif"]))
    assert {s.id: len(s.views) for s in listing.samples} == {"a/coin1": 2, "b/x": 2}


@pytest.mark.parametrize(("layout", "count"), [("class-folders", 4), ("auto", 2)])
def test_the_layout_can_be_given(tree: Tree, layout: str, count: int) -> None:
    assert len(set(labels(tree(COINS), layout=layout).values())) == count


def test_unknown_folder_names_are_views_when_the_stems_pair(tree: Tree) -> None:
    names = [f"{label}/{view}/stamp{i}.png" for label in "ab" for view in ("uv", "visible") for i in range(10)]
    listing = read(tree(names))
    assert listing.views == ("uv", "visible")
    assert [(f.severity, f.code) for f in listing.findings] == [("warning", "guessed-views")]
    assert "data.layout=class-folders" in listing.findings[0].message


def test_unknown_folder_names_are_classes_when_they_do_not_pair(tree: Tree) -> None:
    names = [f"{label}/{part}/{part}{i}.png" for label in "ab" for part in ("uv", "visible") for i in range(10)]
    assert read(tree(names)).views == ("image",)


def test_views_can_be_named_and_keep_their_order(tree: Tree) -> None:
    root = tree([f"{label}/{view}/{view}.png" for label in "ab" for view in ("uv", "visible")])
    assert read(root, views=("visible", "uv")).views == ("visible", "uv")


def test_one_class_with_views_stays_one_where_views_are_asked_for(tree: Tree) -> None:
    root = tree([name for name in COINS if name.startswith("ms65")])
    for fields in ({"layout": "view-folders"}, {"views": ("obverse", "reverse")}):
        with pytest.raises(DataError, match="Need at least 2 classes, found only 'ms65'"):
            build_index(root, DataSpec(**fields))


def test_one_class_with_a_size_folder_is_one_class(tree: Tree) -> None:
    with pytest.raises(DataError, match="found only 'ms65'"):
        build_index(tree(["ms65/600x300/1.png", "ms65/600x300/2.png"]), DataSpec())


def test_a_stray_picture_beside_view_folders_does_not_hide_the_views(tree: Tree) -> None:
    listing = read(tree([*COINS, "ms65/slab.jpg"]))
    assert listing.views == ("obverse", "reverse")
    assert [f.paths for f in listing.findings] == [("ms65/slab.jpg",)]


UNPAIRED = [
    f"{grade}/{side}/coin{i}.jpg" for grade in ("ms65", "au50") for side in ("obverse", "reverse") for i in range(9)
]


def test_an_unpaired_picture_is_reported_in_the_words_of_the_document_and_excluded(tree: Tree) -> None:
    index = build_index(tree([*UNPAIRED, "ms65/obverse/Coin17.JPG"]), DataSpec())
    found = [(f.severity, f.message, f.paths) for f in index.findings]
    assert found == [("warning", "No matching reverse for Coin17.JPG", ("ms65/obverse/Coin17.JPG",))]
    assert "ms65/coin17" not in {s.id for s in index.manifest.samples}
    assert len(index.manifest.samples) == 18


def test_a_sample_with_a_missing_view_is_kept_on_request_and_still_reported(tree: Tree) -> None:
    index = build_index(tree([*UNPAIRED, "ms65/obverse/Coin17.JPG"]), DataSpec(missing_view="keep"))
    kept = {s.id: dict(s.views) for s in index.manifest.samples}
    assert kept["ms65/coin17"] == {"obverse": "ms65/obverse/Coin17.JPG"}
    assert [f.message for f in index.findings] == ["No matching reverse for Coin17.JPG"]


def test_an_ambiguous_pair_stops_and_names_both_files(tree: Tree) -> None:
    root = tree([*COINS, "ms65/obverse/COIN1.png"])
    with pytest.raises(DataError, match=r"ms65/coin1: 2 pictures could be the same view") as caught:
        build_index(root, DataSpec())
    assert "'ms65/obverse/COIN1.png'" in str(caught.value)
    assert "'ms65/obverse/coin1.jpg'" in str(caught.value)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "valid", "testing"),
        ("TRAIN", "validation", "Test"),
        ("train", "dev", "test"),
    ],
)
def test_split_folders_give_the_split(tree: Tree, train: str, val: str, test: str) -> None:
    listing = read(tree([f"{split}/{label}/{split}.png" for split in (train, val, test) for label in "ab"]))
    assert {s.split for s in listing.samples} == {"train", "val", "test"}
    assert {s.label for s in listing.samples} == {"a", "b"}
    assert {s.id.split("/")[0]: s.split for s in listing.samples} == {train: "train", val: "val", test: "test"}


def test_split_folders_hold_views(tree: Tree) -> None:
    listing = read(tree([f"{split}/{name}" for split in ("train", "test") for name in COINS]))
    assert {(s.split, s.id) for s in listing.samples if s.label == "au50"} == {
        (split, f"{split}/au50/coin{i}") for split in ("train", "test") for i in (1, 2)
    }


def test_classes_that_are_called_like_splits_stay_classes_without_train(tree: Tree) -> None:
    assert set(labels(tree(["test/1.png", "dev/1.png"])).values()) == {"test", "dev"}


@pytest.mark.parametrize("target", [".", "..", "loop"])
def test_a_symlink_loop_ends(tree: Tree, target: str) -> None:
    root = tree(["cat/1.png", "dog/1.png"])
    try:
        (root / "cat" / "loop").symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    assert list(walk_pictures(root)) == ["cat/1.png", "dog/1.png"]


def test_pictures_are_walked_in_sorted_order(tree: Tree) -> None:
    assert list(walk_pictures(tree(["b/2.png", "a/10.png", "b/1.png", "a/9.png"]))) == [
        "a/10.png", "a/9.png", "b/1.png", "b/2.png",
    ]  # fmt: skip


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures below"):
        read(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "nowhere")


def test_one_class_is_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match="Need at least 2 classes, found only 'cat'") as caught:
        build_index(tree(["cat/1.png", "cat/2.png"]), DataSpec())
    assert caught.value.exit_code == 65


def test_a_file_where_a_folder_was_meant_is_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match="is a file; give a folder"):
        read(tree(["cat/1.png"]) / "cat" / "1.png")


def test_a_layout_that_is_not_there_is_refused(tree: Tree) -> None:
    root = tree(["cat/1.png", "dog/1.png"])
    with pytest.raises(DataError, match="no view folders"):
        read(root, layout="view-folders")
    with pytest.raises(DataError, match="holds no table"):
        read(root, layout="table")


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes only on POSIX")
def test_names_with_newlines_and_without_utf_8_are_samples(tree: Tree) -> None:
    odd = os.fsdecode(b"\xff\n.png")
    assert f"cat/{odd}" in labels(tree([f"cat/{odd}", "dog/1.png"]))
