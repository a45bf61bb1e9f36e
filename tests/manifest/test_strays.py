"""What lies beside the classes, the splits and the views is told or refused, and never becomes a class."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
TWO = [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)]
SPLIT = [f"{split}/{name}" for split in ("train", "val", "test") for name in TWO]


def read(root: Path, **fields: Any) -> Any:
    return read_source(root, DataSpec(**fields))


def below(folder: str, names: Iterable[str]) -> list[str]:
    return [f"{folder}/{name}" for name in names]


@pytest.mark.parametrize("stray", ["set/sample.png", "banner.png"])
def test_a_picture_beside_the_wrapped_classes_does_not_keep_the_wrapper_on(tree: Tree, stray: str) -> None:
    listing = read(tree([*below("set", TWO), stray]))
    assert {s.label for s in listing.samples} == {"cat", "dog"}
    assert {s.id for s in listing.samples} == set(TWO)
    assert [(f.code, f.paths) for f in listing.findings] == [("loose-picture", (stray,))]


def test_a_picture_above_wrapped_splits_does_not_hide_them(tree: Tree) -> None:
    listing = read(tree([*below("set", SPLIT), "banner.png"]))
    assert {(s.split, s.label) for s in listing.samples} == {
        (split, label) for split in ("train", "val", "test") for label in ("cat", "dog")
    }
    assert listing.views == ("image",)


def test_the_views_of_wrapped_coins_are_seen_beside_a_stray(tree: Tree) -> None:
    coins = [f"coins/{grade}/{side}/{n}.jpg" for grade in ("G04", "MS65") for side in ("obverse", "reverse")
             for n in range(3)]  # fmt: skip
    listing = read(tree([*coins, "coins/readme.png"]))
    assert listing.views == ("obverse", "reverse")
    assert {s.label for s in listing.samples} == {"G04", "MS65"}


def test_a_class_with_many_pictures_of_its_own_is_no_wrapper(tree: Tree) -> None:
    listing = read(tree(["cat/1.png", "cat/2.png", "cat/3.png", "cat/indoors/4.png", "cat/outdoors/5.png"]))
    assert {s.label for s in listing.samples} == {"cat", "cat/indoors", "cat/outdoors"}


def test_a_few_pictures_beside_split_folders_are_left_out(tree: Tree) -> None:
    listing = read(tree([*SPLIT, "docs/logo.png"]))
    assert {s.split for s in listing.samples} == {"train", "val", "test"}
    assert {s.label for s in listing.samples} == {"cat", "dog"}
    assert [(f.code, f.paths) for f in listing.findings] == [("loose-picture", ("docs/logo.png",))]


def test_many_pictures_beside_split_folders_are_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match=r"split folders test, train, val, and 8 pictures lie in cat, dog"):
        read(tree([*SPLIT, *TWO]))


def test_a_class_called_train_is_a_class(tree: Tree) -> None:
    root = tree([f"{label}/{n}.png" for label in ("train", "plane", "car") for n in range(3)])
    assert {s.label for s in read(root).samples} == {"train", "plane", "car"}


def test_runs_inside_the_data_are_no_classes(tree: Tree) -> None:
    root = tree([*TWO, "runs/first/training_history.png", "runs/first/evaluation/test/confusion_matrix.png"])
    (root / "runs/first/recipe.yaml").touch()
    (root / "runs/first/manifest.csv").touch()
    assert {s.label for s in read(root).samples} == {"cat", "dog"}


def test_runs_inside_an_archive_are_no_classes_either(tree: Tree, tmp_path: Path) -> None:
    root = tree([*TWO, "runs/first/training_history.png", "runs/first/evaluation/test/confusion_matrix.png"])
    (root / "runs/first/recipe.yaml").touch()
    (root / "runs/first/manifest.csv").touch()
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root))
    assert {s.label for s in read(packed).samples} == {"cat", "dog"}


def test_a_run_beside_a_table_is_no_second_table(tree: Tree) -> None:
    root = tree(["1.png", "2.png", "runs/first/training_history.png"])
    (root / "runs/first/recipe.yaml").touch()
    (root / "runs/first/manifest.csv").write_text("id,label,split,group,digest,image\n")
    (root / "labels.csv").write_text("label,image\na,1.png\nb,2.png\n")
    assert read(root).layout == "table"


@pytest.mark.parametrize("name", ["check.json", "images-manifest.csv"])
def test_what_check_and_prepare_wrote_does_not_hide_the_table(tree: Tree, name: str) -> None:
    root = tree(["images/1.png", "images/2.png"])
    (root / "labels.csv").write_text("label,image\na,images/1.png\nb,images/2.png\n")
    (root / name).write_text("{}")
    assert [s.label for s in read(root).samples] == ["a", "b"]


def test_of_several_tables_none_is_guessed(tree: Tree) -> None:
    root = tree(["images/1.png", "images/2.png"])
    for name in ("labels.csv", "old.csv"):
        (root / name).write_text("label,image\na,images/1.png\nb,images/2.png\n")
    with pytest.raises(DataError, match=r"the tables labels.csv, old.csv; give the one that is meant"):
        read(root)


def test_views_that_nothing_is_called_are_refused(tree: Tree) -> None:
    root = tree(
        [f"{grade}/{side}/{n}.jpg" for grade in ("G04", "MS65") for side in ("avers", "revers") for n in (1, 2)]
    )
    with pytest.raises(DataError, match=r"are called obverse and reverse .*the folders are avers, revers"):
        read(root, views=("obverse", "reverse"))
