"""Cells that are not simply paths: ids, other folders, other separators, other spellings."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
Pack = Callable[[Path, Mapping[str, bytes]], Path]
Files = Callable[[Path], dict[str, bytes]]


def table(root: Path, text: str) -> Path:
    (root / "t.csv").write_text(text)
    return root / "t.csv"


def pictures(path: Path, **fields: object) -> list[str]:
    return [s.views["image"] for s in read_source(path, DataSpec.model_validate(fields)).samples]


@pytest.mark.parametrize("header", ["image_id,label", "id,label", "lesion,label"])
def test_ids_without_an_ending_are_looked_for_in_every_folder(
    tree: Tree, pack: Pack, files_of: Files, header: str
) -> None:
    root = tree([f"part_{1 + n // 4}/ISIC_{n}.jpg" for n in range(8)])
    path = table(root, f"{header}\n" + "".join(f"ISIC_{n},{'ab'[n % 2]}\n" for n in range(8)))
    as_table = DataSpec(layout="table")
    for data in (path, root, pack(root.with_suffix(".zip"), files_of(root))):
        index = build_index(data, as_table)
        assert index.manifest.views == ("image",)
        assert [s.id for s in index.manifest.samples] == [f"ISIC_{n}" for n in range(8)]
        assert [s.views["image"].rpartition("=")[2] for s in index.manifest.samples] == [
            f"part_{1 + n // 4}/ISIC_{n}.jpg" for n in range(8)
        ]
        assert "'ISIC_0' is 'part_1/ISIC_0.jpg'" in next(f.message for f in index.findings if f.code == "looked-up")
        index.manifest.write(root.with_suffix(".csv"))
        assert build_index(data, as_table.changed({"views": ("image",)})).manifest == index.manifest


def test_an_id_that_two_pictures_have_is_refused_but_for_the_one_beside(tree: Tree) -> None:
    root = tree(["x/1.jpg", "y/1.jpg", "2.jpg", "x/2.jpg"])
    assert pictures(table(root, "image,label\n2,a\n")) == ["2.jpg"]
    with pytest.raises(DataError, match=r"`1` could be 'x/1.jpg' or 'y/1.jpg'.*data\.image_root"):
        pictures(table(root, "image,label\n1,a\n"))
    assert pictures(table(root, "image,label\n1,a\n"), image_root="y") == ["y/1.jpg"]
    assert pictures(table(root, "image,label\ny/1,a\n")) == ["y/1.jpg"]


def test_a_picture_of_another_ending_or_folder_is_not_taken_for_it(tree: Tree) -> None:
    root = tree(["x/1.png", "y/2.jpg"])
    assert pictures(table(root, "image,label\nx/1.jpg,a\nx/2.jpg,b\n")) == ["x/1.jpg", "x/2.jpg"]


def test_separators_of_windows(tree: Tree) -> None:
    root = tree(["train/a/1.jpg", "train/b/1.jpg", "odd\\name.jpg"])
    path = table(root, "image,label\ntrain\\a\\1.jpg,a\n.\\train\\b\\1.jpg,b\nodd\\name.jpg,c\n")
    assert pictures(path) == ["train/a/1.jpg", "./train/b/1.jpg", "odd\\name.jpg"]
    assert [s.id for s in read_source(path, DataSpec()).samples][::2] == ["train/a/1.jpg", "odd\\name.jpg"]


def test_other_spellings_of_a_name(tree: Tree) -> None:
    decomposed = unicodedata.normalize("NFD", "é.png")
    root = tree([decomposed, "IMG_1.JPG", "img_2.jpg", "IMG_2.jpg"])
    path = table(root, "image,label\né.png,a\nimg_1.jpg,b\nIMG_2,c\n")
    assert pictures(path) == [decomposed, "IMG_1.JPG", "IMG_2.jpg"]


def test_a_root_outside_the_tables_folder_and_inside_it(tree: Tree, tmp_path: Path) -> None:
    root = tree(["pictures/1.jpg", "pictures/deep/2.jpg"])
    (tmp_path / "lists").mkdir()
    path = table(tmp_path / "lists", "image,label\n1.jpg,a\n2,b\n")
    assert pictures(path, image_root=str(root)) == [f"{root}/pictures/1.jpg", f"{root}/pictures/deep/2.jpg"]
    assert pictures(path, image_root="../data/pictures") == ["../data/pictures/1.jpg", "../data/pictures/deep/2.jpg"]
    assert pictures(table(root, "image,label\n1.jpg,a\n"), image_root=str(root / "pictures")) == ["pictures/1.jpg"]
    with pytest.raises(DataError, match=r"data\.image_root: 'nowhere' is no folder"):
        pictures(path, image_root="nowhere")


def test_a_column_of_numbers_is_no_column_of_pictures(tree: Tree) -> None:
    root = tree([f"{n}.png" for n in range(4)])
    with pytest.raises(DataError, match=r"no column with picture files.*--image-column.*--image-root"):
        pictures(table(root, "label,fold\n" + "".join(f"{'ab'[n % 2]},{n % 2}\n" for n in range(4))))


def test_a_table_is_read_beside_class_folders_when_its_label_is_named(tree: Tree) -> None:
    root = tree(["part_1/1.jpg", "part_2/2.jpg"])
    table(root, "image_id,dx\n1,nv\n2,mel\n")
    assert {s.label for s in read_source(root, DataSpec(label_column="dx")).samples} == {"nv", "mel"}
