"""Text tables as Excel, pandas and others write them: one content, many forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.manifest.sources.tables.delimited import read_delimited
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
ROWS = [["1.png", "red, round"], ["2.png", "b"], ["3.png", ""], ["4.png", "NA"], ["5.png", "nan"]]


def text_of(separator: str = ",", end: str = "\n", header: str = "image{0}note") -> str:
    cells = [f'{name}{separator}"{note}"' if separator in note else f"{name}{separator}{note}" for name, note in ROWS]
    return end.join([header.format(separator), *cells]) + end


@pytest.mark.parametrize(
    "data",
    [
        text_of().encode(),
        text_of(end="\r\n").encode("utf-8-sig"),
        text_of(end="\r").encode(),
        text_of(";").encode(),
        text_of("\t").encode(),
        text_of("|").encode(),
        text_of("\t", "\r\n").encode("utf-16"),
        b"\xfe\xff" + text_of(";").encode("utf-16-be"),
        b"sep=;\r\n" + text_of(";", "\r\n").encode(),
        b"sep=,\r\n" + text_of(end="\r\n").encode("utf-8-sig").removeprefix(b"\xef\xbb\xbf"),
        b"\r\n,,\r\n" + text_of(header="image{0}note{0}{0}").replace("\n", ",,\r\n", 4).encode() + b",,,\r\n , \r\n",
        text_of(header=" image{0} note  ").replace("NA", " NA ").encode(),
        text_of(header="image{0} note").replace(".png,", ".png, ").encode(),
        "\n".join([",image,note", *(f'{n},{name},"{note}"' for n, (name, note) in enumerate(ROWS))]).encode(),
        ("image,note,\n" + text_of().partition("\n")[2]).encode(),
    ],
)
def test_one_table_in_many_forms(data: bytes) -> None:
    found = read_delimited(data, "t")
    assert (found.header, found.rows, found.encoding) == (["image", "note"], ROWS, None)


def test_a_row_is_named_by_its_place_in_the_file() -> None:
    assert read_delimited(b"a,b\n\n1,2\n,\n3,4\n", "t").numbers == [3, 5]
    with pytest.raises(DataError, match="t, row 4: has another number"):
        read_delimited(b"a,b\n1,2\n,\n3,4,5\n", "t")
    with pytest.raises(DataError, match="t, row 3: has another number"):
        read_delimited(b",path,label\n0,1.png,a\n1,2.png\n", "t")


def test_a_column_without_a_name_is_kept_when_it_says_something() -> None:
    found = read_delimited(b",label,\nx.png,a,\ny.png,b,!\n", "t")
    assert found.header == ["column_1", "label", "column_3"]
    assert found.rows == [["x.png", "a", ""], ["y.png", "b", "!"]]


@pytest.mark.parametrize("header", ["label,image,image", " image,label,image "])
def test_a_name_that_occurs_twice_is_refused(header: str) -> None:
    with pytest.raises(DataError, match=r"`image` occurs twice"):
        read_delimited(f"{header}\n1,2,3\n".encode(), "t")


@pytest.mark.parametrize("text", ["Käfer", "Größe", "créée", "señor", "5 € – “neu”"])
def test_western_text_that_is_no_utf8_is_read_and_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(f"image,label\n1.png,{text}\n2.png,b\n".encode("cp1252"))
    listing = read_source(tmp_path / "t.csv", DataSpec())
    assert listing.samples[0].label == text
    (finding,) = [found for found in listing.findings if found.code == "table-encoding"]
    assert finding.severity == "warning"
    assert repr(text) in finding.message


@pytest.mark.parametrize(("text", "encoding"), [("卷积神经", "gbk"), ("ネコ", "shift-jis"), ("кошка", "cp1251")])
def test_other_code_pages_are_refused_until_they_are_named(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(f"image,label\n1.png,{text}\n2.png,b\n".encode(encoding))
    with pytest.raises(DataError, match=r"UTF-8.*data\.table_encoding"):
        read_source(tmp_path / "t.csv", DataSpec())
    assert read_source(tmp_path / "t.csv", DataSpec(table_encoding=encoding)).samples[0].label == text
    with pytest.raises(DataError, match="no text in nonsense"):
        read_source(tmp_path / "t.csv", DataSpec(table_encoding="nonsense"))


def test_text_without_its_mark_is_refused() -> None:
    with pytest.raises(DataError, match="zero bytes"):
        read_delimited("image,label\n1.png,a\n".encode("utf-16-le"), "t")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_fastais_table_of_valid_rows(tmp_path: Path, name: str) -> None:
    text = "fname,label,is_valid\n1.png,a,True\n2.png,b,False\n3.png,a,1\n4.png,b,\n"
    (tmp_path / name).write_text(text)
    listing = read_source(tmp_path / name, DataSpec())
    assert [s.split for s in listing.samples] == ["val", "train", "val", None]
    assert [dict(s.extra) for s in listing.samples] == [{}] * 4
    (tmp_path / name).write_text(text.replace("True", "maybe"))
    with pytest.raises(DataError, match="row 2: `is_valid` is `maybe`"):
        read_source(tmp_path / name, DataSpec())


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.ods", "old.xls"])
def test_a_spreadsheet_is_named_with_what_to_do(tree: Tree, name: str) -> None:
    root = tree(["1.png", "2.png"])
    (root / name).write_bytes(b"PK")
    for data, spec in ((root / name, DataSpec()), (root, DataSpec()), (root, DataSpec(layout="table"))):
        with pytest.raises(DataError, match=f"'{name}' is a spreadsheet, .* CSV UTF-8"):
            read_source(data, spec)


def test_a_label_by_name_in_text_and_in_lists(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,dx,label\n1.png,nv,7\n2.png,mel,8\n")
    listing = read_source(tmp_path / "t.csv", DataSpec(label_column="dx"))
    assert [s.label for s in listing.samples] == ["nv", "mel"]
    (tmp_path / "t.jsonl").write_text(json.dumps({"image": "1.png", "found": ["a", "b"]}))
    assert read_source(tmp_path / "t.jsonl", DataSpec(label_column="found")).samples[0].label == "a|b"
    with pytest.raises(DataError, match=r"label_column is 'dy', and there is no such column.*dx"):
        read_source(tmp_path / "t.csv", DataSpec(label_column="dy"))
    (tmp_path / "t.csv").write_text("image,dx\n1.png,nv\n")
    with pytest.raises(DataError, match="--label-column"):
        read_source(tmp_path / "t.csv", DataSpec())


@pytest.mark.parametrize("field", ["label_column", "image_root", "table_encoding"])
def test_what_is_for_tables_is_refused_elsewhere(tree: Tree, field: str) -> None:
    root = tree(["a/1.png", "b/2.png"])
    with pytest.raises(DataError, match=f"data.{field} is for tables"):
        read_source(root, DataSpec(**{field: "a"}))
