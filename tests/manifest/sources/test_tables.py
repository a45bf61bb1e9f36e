"""Lists as JSON lines, JSON and Parquet; tables beside pictures in folders and archives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
ROWS: list[dict[str, Any]] = [
    {"id": "x", "label": "a", "split": "valid", "group": "g", "obverse": "1.jpg", "reverse": "2.jpg", "year": 1901},
    {"id": "y", "label": "b", "split": "train", "group": None, "obverse": "3.jpg", "reverse": None, "year": None},
]


def written(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"t.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "json":
        path.write_text(json.dumps(rows))
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    else:
        cells = [["" if row.get(key) is None else str(row[key]) for key in rows[0]] for row in rows]
        path.write_text("\n".join(",".join(row) for row in [[*rows[0]], *cells]) + "\n")
    return path


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_every_form_is_read_like_the_csv(tmp_path: Path, form: str) -> None:
    expected, found = (read_source(written(tmp_path, f, ROWS), DataSpec()) for f in ("csv", form))
    assert list(found.samples) == list(expected.samples)
    assert (found.views, found.layout) == (("obverse", "reverse"), "table")
    assert found.samples[0].extra == {"year": "1901"}


def test_json_rows_need_not_have_the_same_keys(tmp_path: Path) -> None:
    rows = [{"label": "a", "image": "1.jpg"}, {"label": "b", "image": "2.jpg", "year": 1900}]
    assert [s.extra for s in read_source(written(tmp_path, "jsonl", rows), DataSpec()).samples] == [
        {"year": ""},
        {"year": "1900"},
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", '{"label": "a", "image": "1.jpg"}\n{"label": ', "line 2 is not valid JSON"),
        ("t.jsonl", '["a"]\n', "line 1: expected a JSON object"),
        ("t.jsonl", '{"label": "a", "image": ["1.jpg"]}\n', "row 1: `image` must be text"),
        ("t.jsonl", "", "has no rows"),
        ("t.json", "nonsense", "is not valid JSON"),
        ("t.json", '{"label": "a"}', "expected a JSON list of objects"),
        ("t.json", "[" * 100_000, "is not valid JSON"),
        ("t.parquet", "nonsense", "no Parquet file"),
        ("t.csv", "label,image,image\na,1.jpg,2.jpg\n", "occurs twice"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / name, DataSpec())


def test_a_parquet_list_without_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column `label`"):
        read_source(written(tmp_path, "parquet", [{"image": "1.jpg"}]), DataSpec())


def beside(tree: Tree, table: str) -> Path:
    root = tree([f"pictures/{n}.png" for n in range(8)])
    rows = [{"label": "ab"[n % 2], "image": f"pictures/{n}.png"} for n in range(8)]
    (root / table).parent.mkdir(exist_ok=True)
    written(root, table.rpartition(".")[2], rows).rename(root / table)
    return root


@pytest.mark.parametrize("table", ["metadata.csv", "labels.jsonl"])
def test_a_table_beside_its_pictures_is_seen_in_a_folder_and_in_an_archive(
    tree: Tree,
    files_of: Callable[[Path], dict[str, bytes]],
    pack: Callable[[Path, Mapping[str, bytes]], Path],
    table: str,
) -> None:
    root = beside(tree, table)
    folder = build_index(root, DataSpec())
    archive = build_index(pack(root.with_suffix(".tar"), files_of(root)), DataSpec())
    assert folder.layout == archive.layout == "table"
    assert [(s.id, s.label, s.digest) for s in archive.manifest.samples] == [
        (s.id, s.label, s.digest) for s in folder.manifest.samples
    ]


def test_a_table_beside_class_folders_is_only_read_when_told(tree: Tree) -> None:
    root = tree(["a/1.png", "b/2.png"])
    (root / "notes.csv").write_text("label,image\nx,a/1.png\ny,b/2.png\n")
    assert read_source(root, DataSpec()).layout == "class-folders"
    assert {s.label for s in read_source(root, DataSpec(layout="table")).samples} == {"x", "y"}
    (root / "more.csv").write_text("label,image\nx,a/1.png\n")
    with pytest.raises(DataError, match=r"holds the tables more\.csv, notes\.csv; give the one that is meant"):
        read_source(root, DataSpec(layout="table"))


def test_a_table_may_name_places_inside_files(tree: Tree, pack: Callable[[Path, Mapping[str, bytes]], Path]) -> None:
    root = tree(["a::half=b.png"])
    pack(root / "x.zip", {"1.png": b"one"})
    (root / "t.csv").write_text("label,image\na,x.zip::member=1.png\nb,a::half=b.png\n")
    store_samples = read_source(root / "t.csv", DataSpec())
    assert [s.views["image"] for s in store_samples.samples] == ["x.zip::member=1.png", "a::=half=b.png"]
