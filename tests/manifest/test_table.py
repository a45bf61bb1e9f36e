"""CSV tables: views, missing cells, extra columns, and bad rows named by their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.recipe import DataSpec


def read(tmp_path: Path, text: str | bytes, **fields: Any) -> Any:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(path, DataSpec(**fields))


def test_views_are_found_by_name_and_by_their_cells(tmp_path: Path) -> None:
    listing = read(tmp_path, "label,obverse,edge,year\na,1.jpg,e1.png,1901\nb,2.jpg,e2.png,\n")
    assert listing.views == ("obverse", "edge")
    assert listing.root == tmp_path
    assert [dict(s.extra) for s in listing.samples] == [{"year": "1901"}, {"year": ""}]


def test_an_empty_cell_is_a_missing_view_that_is_kept(tmp_path: Path) -> None:
    listing = read(tmp_path, "label,obverse,reverse\na,1.jpg,2.jpg\nb,3.jpg,\n")
    assert [dict(s.views) for s in listing.samples] == [{"obverse": "1.jpg", "reverse": "2.jpg"}, {"obverse": "3.jpg"}]
    assert listing.keeps_missing_views
    assert [f.message for f in listing.findings] == ["1 row(s) lack a view"]


def test_split_group_and_id_are_read(tmp_path: Path) -> None:
    sample = read(tmp_path, "id,label,split,group,image\nx,a,Valid,g1,1.jpg\n").samples[0]
    assert (sample.id, sample.split, sample.group) == ("x", "val", "g1")


@pytest.mark.parametrize("label", ["a/b", "🪙 coin", "x" * 300, "a, b", 'say "hi"', "no", "line\nbreak"])
def test_any_label_survives(tmp_path: Path, label: str) -> None:
    quoted = label.replace('"', '""')
    assert read(tmp_path, f'label,image\n"{quoted}",1.jpg\n').samples[0].label == label


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbflabel,image\na,1.jpg\n").samples[0].label == "a"


def test_the_views_can_be_given(tmp_path: Path) -> None:
    assert read(tmp_path, "label,one,two\na,1,2\n", views=("two", "one")).views == ("two", "one")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,image\na,1.jpg\nb\n", "row 3: has another number of cells"),
        ("label,image\na,1.jpg\nb,2.jpg,9\n", "row 3: has another number of cells"),
        ("label,image\na,1.jpg\n,2.jpg\n", "row 3: the label is empty"),
        ("label,image\na,1.jpg\nb, \n", "row 3: no picture in image"),
        ("label,image\na,1.jpg\nb,1.jpg\n", "row 3: the sample `1.jpg` occurs twice"),
        ("label,split,image\na,train,1.jpg\nb,tarin,2.jpg\n", "row 3: the split `tarin`"),
        ("name,image\na,1.jpg\n", "no column `label`"),
        ("label,year\na,1901\n", "no column with picture files"),
        ("label,image\n", "has no rows"),
        ("", "has no rows"),
        (b"label,image\n\x81,1.jpg\n", "UTF-8"),
        ('label,image\n"a,1.jpg\n', "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_with_the_row(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_view_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column `reverse`"):
        read(tmp_path, "label,obverse\na,1.jpg\n", views=("obverse", "reverse"))


def test_another_kind_of_file_or_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a table, and data\.layout is `view-folders`"):
        read(tmp_path, "label,image\na,1.jpg\n", layout="view-folders")
    (tmp_path / "t.txt").write_text("label,image\n")
    with pytest.raises(DataError, match=r"ends in \.csv"):
        read_source(tmp_path / "t.txt", DataSpec())


def test_words_in_capitals_are_the_same_words(tmp_path: Path) -> None:
    sample = read(tmp_path, "ID,Label,Split,Group,Image,Year\nx,a,Test,g1,1.jpg,1901\n").samples[0]
    assert (sample.id, sample.label, sample.split, sample.group) == ("x", "a", "test", "g1")
    assert dict(sample.extra) == {"Year": "1901"}


def test_label_goes_before_class_and_grade_wherever_it_stands(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,class,grade,label\n1.jpg,mammal,good,cat\n")
    assert listing.samples[0].label == "cat"
    assert dict(listing.samples[0].extra) == {"class": "mammal", "grade": "good"}
    assert "in `label`" in listing.summary
