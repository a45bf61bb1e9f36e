"""Label tables beside folders of pictures are used where their rows name the pictures, else mentioned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.manifest.sources.listing import Folder
from obverse.manifest.sources.tables.lookup import PictureLookup
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
KINDS = ("nv", "mel", "bkl")


def read(root: Path, **fields: Any) -> Any:
    return read_source(root, DataSpec(**fields))


def codes(listing: Any) -> list[tuple[str, str]]:
    return [(found.severity, found.code) for found in listing.findings]


def table(root: Path, name: str, header: str, rows: Iterable[str]) -> None:
    (root / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_lookup() -> None:
    names = ["a/1.jpg", "b/1.jpg", "b/Two.JPG", "c/x.png", "c/x.jpg"]
    lookup = PictureLookup([Folder((), names)])
    assert lookup.find("a/1.jpg") == "a/1.jpg"
    assert lookup.find("1.jpg", "b") == "b/1.jpg"
    assert lookup.find("/mnt/old/b/1.jpg") == "b/1.jpg"
    assert lookup.find("b\\Two.JPG") == lookup.find("D:\\set\\b\\Two.JPG") == "b/Two.JPG"
    assert lookup.find("two.jpg") == lookup.find("Two") == lookup.find("b/two") == "b/Two.JPG"
    assert [lookup.find(cell) for cell in ("1.jpg", "x", "c/1.jpg", "3", "")] == [None] * 5


PARTS = [f"HAM_images_part_{1 + i // 12}/ISIC_{i:04}.jpg" for i in range(24)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cell", ["{path}", "{name}", "{stem}"])
def test_a_table_beside_part_folders_says_the_labels(tree: Tree, tmp_path: Path, cell: str, packed: bool) -> None:
    root = tree(PARTS)
    cells = [cell.format(path=path, name=Path(path).name, stem=Path(path).stem) for path in PARTS]
    table(root, "metadata.csv", "lesion,image_id,label", (f"L{i},{c},{KINDS[i % 3]}" for i, c in enumerate(cells)))
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    listing = read(path)
    expected = {f"packed.zip::member={p}" if packed else p: KINDS[i % 3] for i, p in enumerate(PARTS)}
    assert {s.views["image"]: s.label for s in listing.samples} == expected
    expected_codes = [] if cell == "{path}" else [("note", "looked-up")]
    assert (listing.layout, codes(listing)) == ("table", expected_codes)
    assert listing.samples[0].extra == {"lesion": "L0"}
    assert "metadata.csv" in listing.summary


def test_part_folders_whose_table_has_no_label_are_refused(tree: Tree) -> None:
    root = tree(PARTS)
    table(root, "metadata.csv", "image_id,dx", (f"{Path(p).stem},{KINDS[i % 3]}" for i, p in enumerate(PARTS)))
    with pytest.raises(DataError, match=r"parts of one set, and the table .* no column `label`.*image_id, dx"):
        read(root)
    assert {s.label for s in read(root, layout="class-folders").samples} == {"HAM_images_part_1", "HAM_images_part_2"}
    told = read(root, label_column="dx")
    assert {s.label for s in told.samples} == set(KINDS)
    assert {s.views["image"] for s in told.samples} == set(PARTS)


def test_part_folders_without_a_table_are_warned_of(tree: Tree) -> None:
    assert codes(read(tree(f"batch_{k}/{k}{i}.png" for k in (1, 2) for i in range(3)))) == [
        ("warning", "guessed-classes")
    ]


CLASSES = [f"{label}/{label}{i}.png" for label in ("cat", "dog") for i in range(5)]


def test_a_table_that_says_what_the_folders_say_leaves_them_in_charge(tree: Tree) -> None:
    root = tree(CLASSES)
    table(root, "index.csv", "path,label", (f"{path},{path[0]}" for path in CLASSES))
    listing = read(root)
    assert (listing.layout, {s.label for s in listing.samples}) == ("class-folders", {"cat", "dog"})
    assert codes(listing) == [("note", "unused-table")]
    assert {s.label for s in read(root, layout="table").samples} == {"c", "d"}


def test_a_table_that_says_more_than_the_folders_is_used(tree: Tree) -> None:
    root = tree(CLASSES)
    table(root, "index.csv", "path,label", (f"{path},{'young' if '0' in path else 'old'}" for path in CLASSES))
    assert {s.label for s in read(root).samples} == {"young", "old"}
    assert {s.label for s in read(root, layout="class-folders").samples} == {"cat", "dog"}


def test_a_table_that_names_few_of_the_pictures_is_mentioned(tree: Tree) -> None:
    root = tree(CLASSES)
    table(root, "checked.csv", "path,label", ["cat/cat0.png,good", *(f"bird/{i}.png,bad" for i in range(9))])
    listing = read(root)
    assert {s.label for s in listing.samples} == {"cat", "dog"}
    assert codes(listing) == [("warning", "unused-table")]
    assert "1 of its 10 rows" in listing.findings[0].message


def test_a_table_of_some_loose_pictures_does_not_hide_the_class_folders(tree: Tree) -> None:
    root = tree([*CLASSES, "new1.png", "new2.png"])
    table(root, "new.csv", "image,label", ["new1.png,cat", "new2.png,dog"])
    listing = read(root)
    assert {s.label for s in listing.samples} == {"cat", "dog"}
    assert len(listing.samples) == 10
    assert ("warning", "unused-table") in codes(listing)


def test_several_labels_are_asked_of_the_table(tree: Tree) -> None:
    root = tree(CLASSES)
    table(root, "tags.csv", "path,labels", (f"{path},{path[0]}" for path in CLASSES))
    assert read(root, labels="multi").multi_label
    assert read(root).layout == "class-folders"


def test_a_table_of_other_things_is_not_mentioned(tree: Tree) -> None:
    root = tree(CLASSES)
    table(root, "prices.csv", "label,price", ["cat,1", "dog,2"])
    assert codes(read(root)) == []


FACES = {"train": 8, "validation": 4, "test": 4}
HF = [f"{split}/{label}{i}.png" for split, num in FACES.items() for label in ("cat", "dog") for i in range(num)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_hugging_face_metadata(tree: Tree, form: str, place: str) -> None:
    root = tree(HF)
    folders = FACES if place == "inside" else [""]
    for folder in folders:
        paths = [path.removeprefix(f"{folder}/") for path in HF if path.startswith(folder)]
        rows = [{"file_name": path, "label": Path(path).name[:3]} for path in paths]
        lines = [json.dumps(row) for row in rows]
        if form == "csv":
            lines = ["file_name,label", *(",".join(row.values()) for row in rows)]
        (root / folder / f"metadata.{form}").write_text("\n".join(lines))
    listing = read(root)
    assert len({s.id for s in listing.samples}) == len(HF)
    assert {(s.views["file_name"], s.label, s.split) for s in listing.samples} == {
        (path, Path(path).name[:3], {"validation": "val"}.get(path.split("/")[0], path.split("/")[0])) for path in HF
    }
    assert codes(listing) == []


def test_of_a_competition_the_training_table_is_read(tree: Tree) -> None:
    train, test = ([f"{split}_images/{split}{i}.jpg" for i in range(6)] for split in ("train", "test"))
    root = tree([*train, *test])
    table(root, "train.csv", "image_id,label", (f"{Path(path).name},{'ab'[i % 2]}" for i, path in enumerate(train)))
    table(root, "test.csv", "image_id", (Path(path).name for path in test))
    table(root, "sample_submission.csv", "image_id,label", (f"{Path(path).name},a" for path in test))
    listing = read(root)
    assert {(s.views["image"], s.label) for s in listing.samples} == {(p, "ab"[i % 2]) for i, p in enumerate(train)}
    assert [f.paths for f in listing.findings if f.code == "not-in-table"] == [tuple(test)]
    assert "unused-table" in {f.code for f in listing.findings}


def test_tables_called_like_splits_are_read_together(tree: Tree) -> None:
    names = [f"images/{i}.png" for i in range(9)]
    root = tree(names)
    for number, split in enumerate(("train", "valid", "test")):
        table(root, f"{split}.csv", "image,label", (f"{name},{'ab'[i % 2]}" for i, name in enumerate(names[number::3])))
    assert [(s.views["image"], s.split) for s in read(root).samples] == [
        (f"images/{i}.png", split) for number, split in enumerate(("test", "train", "val"))
        for i in range((2, 0, 1)[number], 9, 3)
    ]  # fmt: skip


def test_a_lone_table_finds_its_pictures_by_name(tree: Tree) -> None:
    root = tree(["pictures/a.jpg", "pictures/b.jpg"])
    table(root, "t.csv", "image,label", ["a,x", "b.jpg,y"])
    assert [s.views for s in read(root / "t.csv").samples] == [{"image": "pictures/a.jpg"}, {"image": "pictures/b.jpg"}]


def test_a_large_table_that_names_nothing_is_not_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obverse.manifest.sources.tables.beside.LARGE_BYTES", 10)
    monkeypatch.setattr("obverse.manifest.sources.tables.beside.HEAD_BYTES", 60)
    root = tree(PARTS)
    table(root, "labels.csv", "image_id,label", (f"{Path(p).stem},{KINDS[i % 3]}" for i, p in enumerate(PARTS)))
    table(root, "pixels.csv", "pixel0,pixel1,label", ["1,2", *(f"{i},{i},0" for i in range(50))])
    listing = read(root)
    assert (listing.layout, codes(listing)) == ("table", [("note", "looked-up")])


AMBIGUOUS = [f"{folder}/p{i}.png" for folder in ("one", "two") for i in range(4)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("column", ["image", "image_id", "key"])
@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_table_whose_names_are_ambiguous_is_mentioned(
    tree: Tree, tmp_path: Path, column: str, ending: str, packed: bool
) -> None:
    root = tree(AMBIGUOUS)
    table(root, "labels.csv", f"{column},label", (f"p{i}{ending},{'xy'[i % 2]}" for i in range(4)))
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    listing = read(path)
    reason = f"`p0{ending}` could be 'one/p0.png' or 'two/p0.png'"
    assert {s.label for s in listing.samples} == {"one", "two"}
    assert codes(listing) == [("warning", "unused-table")]
    assert reason in listing.findings[0].message
    with pytest.raises(DataError, match=reason):
        read(path, layout="table", views=(column,))


def test_a_sure_column_goes_before_an_ambiguous_one(tree: Tree) -> None:
    root = tree(AMBIGUOUS)
    table(
        root, "t.csv", "name,place,label", (f"{Path(p).stem},{p[:-4]},{'xy'[i % 2]}" for i, p in enumerate(AMBIGUOUS))
    )
    listing = read(root)
    assert [(s.views, s.label) for s in listing.samples] == [
        ({"image": path}, "xy"[i % 2]) for i, path in enumerate(AMBIGUOUS)
    ]


def test_a_table_that_counts_is_no_table_of_ambiguous_pictures(tree: Tree) -> None:
    root = tree([f"{label}/{i}.png" for label in ("cat", "dog") for i in range(4)])
    table(root, "classes.csv", "index,name", ["0,cat", "1,dog"])
    assert codes(read(root)) == []
    table(root, "labels.csv", "image,label", ["0,x", "1,y"])
    assert codes(read(root)) == [("warning", "unused-table")]
