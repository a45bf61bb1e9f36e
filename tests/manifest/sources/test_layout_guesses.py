"""Layouts that were guessed wrong: split words in disguise, view words that are classes, names that only count."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.manifest.sources.folders.words import split_folders
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]


def read(root: Path, **fields: Any) -> Any:
    return read_source(root, DataSpec(**fields))


def facts(listing: Any) -> tuple[set[str | None], set[str], tuple[str, ...]]:
    return {s.split for s in listing.samples}, {s.label for s in listing.samples}, listing.views


def codes(listing: Any) -> list[tuple[str, str]]:
    return [(found.severity, found.code) for found in listing.findings]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["training_set", "test_set"], {"training_set": "train", "test_set": "test"}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "test"}),
        (["train_images", "eval"], {"train_images": "train", "eval": "val"}),
        (["Train2017", "Val2017"], {"Train2017": "train", "Val2017": "val"}),
        (["trainset", "testset"], {"trainset": "train", "testset": "test"}),
        (["train", "test", "train_station"], {"train": "train", "test": "test"}),
        (["train_station", "test_tube"], {}),
        (["train", "tram", "bus"], {}),
        (["training_shoes", "dev_board", "shirt"], {}),
        (["test_set", "val_set"], {}),
        (["contest", "trainer", "valley"], {}),
        (["train_test_split", "train_val_split"], {}),
    ],
)
def test_split_words(names: list[str], splits: dict[str, str]) -> None:
    assert split_folders(names) == splits


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/train", "test/test"),
        ("data/train_images/train_images", "data/test_images"),
        ("train", "eval"),
    ],
)
def test_split_folders_in_disguise(tree: Tree, train: str, test: str) -> None:
    root = tree([f"{folder}/{label}/{i}.png" for folder in (train, test) for label in ("sea", "wood") for i in (1, 2)])
    listing = read(root)
    assert facts(listing) == ({"train", "val" if test == "eval" else "test"}, {"sea", "wood"}, ("image",))
    assert len(listing.samples) == 8
    assert listing.findings == []


def test_split_folders_inside_the_classes(tree: Tree) -> None:
    listing = read(tree([f"{label}/{split}/{i}.png" for label in "ab" for split in ("train", "test") for i in (1, 2)]))
    assert {(s.id, s.label, s.split) for s in listing.samples} == {
        (f"{label}/{split}/{i}.png", label, split) for label in "ab" for split in ("train", "test") for i in (1, 2)
    }


def test_a_class_called_train_inside_each_split_stays_a_class(tree: Tree) -> None:
    root = tree([f"{split}/{label}/1.png" for split in ("train", "test") for label in ("train", "plane")])
    assert facts(read(root)) == ({"train", "test"}, {"train", "plane"}, ("image",))
    only = tree([f"{split}/train/2.png" for split in ("train", "test")])
    assert {s.label for s in read(only).samples} == {"train", "plane"}


def test_pictures_without_labels_are_left_out_with_a_warning(tree: Tree) -> None:
    labelled = [f"seg_{s}/seg_{s}/{label}/{i}.png" for s in ("train", "test") for label in "ab" for i in (1, 2)]
    listing = read(tree([*labelled, *(f"seg_pred/seg_pred/{i}.png" for i in range(5))]))
    assert facts(listing) == ({"train", "test"}, {"a", "b"}, ("image",))
    assert codes(listing) == [("warning", "loose-picture")]
    assert len(listing.findings[0].paths) == 5


def test_a_test_folder_without_classes_is_no_class(tree: Tree) -> None:
    names = [f"train/{label}/{i}.png" for label in "ab" for i in (1, 2)]
    listing = read(tree([*names, *(f"test/test/{i}.png" for i in range(5))]))
    assert facts(listing) == ({"train"}, {"a", "b"}, ("image",))
    assert codes(listing) == [("warning", "loose-picture")]


HANDS = [f"hands/{side}/{side}{i}.png" for side in ("left", "right") for i in range(8)]
NUMBERED = [f"hands/{side}/{i}.png" for side in ("left", "right") for i in range(8)]


@pytest.mark.parametrize("names", [HANDS, NUMBERED])
@pytest.mark.parametrize("kind", ["folder", "inner", "zip", "tar"])
def test_view_words_that_would_leave_one_class_are_classes(
    tree: Tree, tmp_path: Path, names: list[str], kind: str
) -> None:
    root = tree(names)
    path = root / "hands" if kind == "inner" else root
    if kind in ("zip", "tar"):
        path = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root))
    listing = read(path)
    assert facts(listing) == ({None}, {"left", "right"}, ("image",))
    assert {s.id for s in listing.samples} == {name.removeprefix("hands/") for name in names}
    assert codes(listing) == [("warning", "guessed-classes")]
    assert len(read(path, layout="class-folders").samples) == 16


@pytest.mark.parametrize("split", [None, "train"])
def test_views_above_the_classes(tree: Tree, split: str | None) -> None:
    tops = [f"{split}/", "test/"] if split else [""]
    names = [f"{top}{side}/{label}/coin{label}{i}.png" for top in tops for side in ("obverse", "reverse")
             for label in ("g04", "ms65") for i in range(3)]  # fmt: skip
    listing = read(tree(names))
    assert facts(listing) == ({None} if split is None else {"train", "test"}, {"g04", "ms65"}, ("obverse", "reverse"))
    sample = next(s for s in listing.samples if s.id.endswith("coing041") and s.split in (None, "train"))
    top = tops[0]
    assert sample.views == {
        "obverse": f"{top}obverse/g04/coing041.png",
        "reverse": f"{top}reverse/g04/coing041.png",
    }
    assert listing.findings == []


def test_views_above_the_classes_that_only_count_are_warned_of(tree: Tree) -> None:
    names = [f"{side}/{label}/{i}.png" for side in ("left", "right") for label in ("thumb", "palm") for i in range(3)]
    listing = read(tree(names))
    assert facts(listing)[1:] == ({"thumb", "palm"}, ("left", "right"))
    assert codes(listing) == [("warning", "guessed-views")]
    assert "data.layout=class-folders" in listing.findings[0].message
    assert {s.label for s in read(tree(names), layout="class-folders").samples} == {
        f"{side}/{label}" for side in ("left", "right") for label in ("thumb", "palm")
    }


def test_view_words_with_classes_of_their_own_are_part_of_the_class(tree: Tree) -> None:
    listing = read(tree([f"{name}/{i}.png" for name in ("top/shirt", "top/vest", "bottom/jeans") for i in range(3)]))
    assert facts(listing)[1:] == ({"top/shirt", "top/vest", "bottom/jeans"}, ("image",))
    assert codes(listing) == [("warning", "guessed-classes")]


@pytest.mark.parametrize("stem", ["{i:03}", "IMG_{i}", "{crop}_{i}", "image ({i})", "i{i}", "x_{i}"])
def test_nested_classes_with_numbered_files_are_classes(tree: Tree, stem: str) -> None:
    names = [f"{crop}/{state}/{stem.format(i=i, crop=crop)}.jpg" for crop in ("apple", "pear")
             for state in ("healthy", "sick") for i in range(10)]  # fmt: skip
    listing = read(tree(names))
    assert facts(listing)[1:] == ({"apple/healthy", "apple/sick", "pear/healthy", "pear/sick"}, ("image",))
    assert codes(listing) == [("note", "guessed-classes")]
    assert "data.views=[healthy,sick]" in listing.findings[0].message
    assert read(tree(names), views=("healthy", "sick")).views == ("healthy", "sick")


COINS = [("A", "coin0"), ("A", "coin1"), ("B", "coin0"), ("B", "coin2")]
PAIR = ("obverse", "reverse")


@pytest.mark.parametrize("words", [PAIR, ("front", "back"), ("front", "back", "left", "right")])
@pytest.mark.parametrize("tops", [("",), ("all/coins/",), ("train/", "test/")])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_per_object(
    tree: Tree, tmp_path: Path, words: tuple[str, ...], tops: tuple[str, ...], packed: bool
) -> None:
    root = tree(f"{top}{label}/{coin}/{word}.png" for top in tops for label, coin in COINS for word in words)
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    listing = read(path)
    before = "packed.zip::member=" if packed else ""
    expected = {
        f"{top if len(tops) > 1 else ''}{label}/{coin}": (
            label,
            {word: f"{before}{top}{label}/{coin}/{word}.png" for word in words},
        )
        for top in tops
        for label, coin in COINS
    }
    assert {s.id: (s.label, dict(s.views)) for s in listing.samples} == expected
    assert {s.split for s in listing.samples} == ({"train", "test"} if len(tops) > 1 else {None})
    assert (listing.layout, listing.views, listing.findings) == ("object-folders", words, [])
    assert f"one folder per object in each class, its files are the views {', '.join(words)}" in listing.summary
    told = read(path, layout=listing.layout)
    assert [*told.samples] == [*listing.samples]


@pytest.mark.parametrize("name", ["{}", "{:03}", "c{}", "lot-{}"])
def test_objects_of_one_class_are_no_views_of_another(tree: Tree, name: str) -> None:
    listing = read(tree(f"{a}/{name.format(i)}/{word}.png" for a in "ABC" for i in range(6) for word in PAIR))
    assert facts(listing) == ({None}, {"A", "B", "C"}, PAIR)
    assert len(listing.samples) == 18


def test_objects_of_a_name_of_their_own_are_no_classes(tree: Tree) -> None:
    listing = read(tree(f"{a}/{a}{i}/{word}.JPG" for a in "ab" for i in range(3) for word in ("Front", "Back")))
    assert facts(listing) == ({None}, {"a", "b"}, ("front", "back"))
    assert {s.id for s in listing.samples} == {f"{a}/{a}{i}" for a in "ab" for i in range(3)}


def test_further_pictures_and_lacking_views_of_objects(tree: Tree) -> None:
    root = tree(f"{a}/{i}/{word}.png" for a in "AB" for i in range(10) for word in (*PAIR, "edge"))
    assert codes(read(root)) == [("warning", "loose-picture")]
    assert len(read(root).findings[0].paths) == 20
    assert read(root, views=(*PAIR, "edge")).views == (*PAIR, "edge")
    (root / "A/3/reverse.png").unlink()
    index = build_index(root, DataSpec())
    assert [f.code for f in index.findings if f.severity == "warning"] == ["loose-picture", "unpaired-view"]
    assert len(index.manifest.samples) == 19
    shutil.copy(root / "A/4/obverse.png", root / "A/4/obverse.jpg")
    assert ("error", "ambiguous-pair") in codes(read(root))


@pytest.mark.parametrize("num_lacking", [1, 4])
def test_objects_that_lack_a_view_are_objects(tree: Tree, num_lacking: int) -> None:
    root = tree(f"{a}/{i}/{word}.png" for a in "AB" for i in range(10) for word in PAIR)
    for i in range(num_lacking):
        (root / f"A/{i}/reverse.png").unlink()
        (root / f"B/{i}/obverse.png").unlink()
    listing = read(root)
    assert (listing.layout, listing.views, len(listing.samples)) == ("object-folders", PAIR, 20)
    assert [*read(root, layout="object-folders").samples] == [*listing.samples]


def test_class_folders_that_hold_the_views_are_no_objects(tree: Tree) -> None:
    root = tree(f"{label}/{word}.png" for label in "ABC" for word in PAIR)
    assert read(root).layout == "class-folders"
    with pytest.raises(DataError, match="expected <class>/<object>/obverse"):
        read(root, layout="object-folders")
    with pytest.raises(DataError, match="give every object a folder"):
        read(tree(f"{label}/{coin}/{word}.png" for label, coin in [*COINS, ("D", "coin4")] for word in PAIR))


def test_one_class_of_object_folders_is_read_when_told(tree: Tree) -> None:
    root = tree(f"A/coin{i}/{word}.png" for i in range(3) for word in PAIR)
    assert {s.id for s in read(root, layout="object-folders").samples} == {f"A/coin{i}" for i in range(3)}


def test_a_layout_of_view_folders_is_told_of_object_folders(tree: Tree) -> None:
    root = tree(f"{label}/{coin}/{word}.png" for label, coin in COINS for word in PAIR)
    with pytest.raises(DataError, match=r"data\.layout=object-folders"):
        read(root, layout="view-folders", views=PAIR)


def test_files_called_like_views_in_view_folders_are_objects_of_these(tree: Tree) -> None:
    root = tree(
        f"{label}/{side}/{hand}.png" for label in "AB" for side in ("front", "back") for hand in ("left", "right")
    )
    assert (read(root).layout, read(root).views) == ("view-folders", ("front", "back"))


def test_split_words_before_class_names_are_warned_of(tree: Tree) -> None:
    listing = read(tree([f"{split}_{label}/{i}.png" for split in ("train", "test") for label in "ab" for i in (1, 2)]))
    assert {s.label for s in listing.samples} == {"train_a", "train_b", "test_a", "test_b"}
    assert codes(listing) == [("warning", "guessed-classes")]
    assert codes(read(tree(["test_tube/1.png", "train_car/1.png", "cup/1.png"]))) == []


def test_pairing_names_under_one_class_are_classes(tree: Tree) -> None:
    listing = read(tree([f"pets/{kind}/{name}.png" for kind in ("cat", "dog") for name in ("rex", "tom", "kim")]))
    assert facts(listing)[1:] == ({"cat", "dog"}, ("image",))


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information"])
@pytest.mark.parametrize("packed", [False, True])
def test_system_folders_are_no_classes(tree: Tree, tmp_path: Path, folder: str, packed: bool) -> None:
    names = [f"{label}/{i}.jpg" for label in ("cat", "dog") for i in range(3)]
    root = tree([*names, *(f"{label}/{folder}/{i}.jpg/THUMB_M.jpg" for label in ("cat", "dog") for i in range(3)),
                 f"{folder}/x.jpg"])  # fmt: skip
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    listing = read(path)
    assert sorted(s.id for s in listing.samples) == names
    assert listing.findings == []


def test_two_split_folders_without_classes_are_not_two_classes(tree: Tree) -> None:
    root = tree([f"{split}_images/{i}.png" for split in ("train", "test") for i in range(4)])
    with pytest.raises(DataError, match="Need at least 2 classes, found none"):
        build_index(root, DataSpec())
