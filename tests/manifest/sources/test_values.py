"""What stands for no value in JSON and Parquet is an empty cell, and never a class."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.manifest.sources.tables.values import is_of_whole_numbers
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
NAN = float("nan")


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: pa.array(cells, from_pandas=False) for name, cells in columns.items()}), path)
        return path
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("nothing", [NAN, None])
def test_no_value_is_an_empty_cell(tmp_path: Path, suffix: str, nothing: Any) -> None:
    columns = {"label": ["a", "b"], "front": ["1.png", "2.png"], "year": [1901.0, nothing], "grade": [0.5, nothing]}
    samples = read_source(written(tmp_path / f"t{suffix}", columns), DataSpec()).samples
    assert [dict(s.extra) for s in samples] == [{"year": "1901", "grade": "0.5"}, {"year": "", "grade": ""}]


@pytest.mark.parametrize("nothing", [NAN, None, "<NA>", "NaT"])
def test_no_view_and_no_label(tmp_path: Path, nothing: Any) -> None:
    columns = {"label": ["a", "b"], "front": ["1.png", "2.png"], "back": ["3.png", nothing]}
    listing = read_source(written(tmp_path / "t.jsonl", columns), DataSpec())
    assert [dict(s.views) for s in listing.samples][1] == {"front": "2.png"}
    columns["label"][1] = nothing
    with pytest.raises(DataError, match="row 2: the label is empty"):
        read_source(written(tmp_path / "t.jsonl", columns), DataSpec())


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_labels_that_a_hole_made_fractions_are_whole_numbers(tmp_path: Path, suffix: str) -> None:
    columns: dict[str, list[Any]] = {"image": ["1.png", "2.png", "3.png"], "label": [3.0, 0.0, 3.0]}
    path = tmp_path / f"t{suffix}"
    assert [s.label for s in read_source(written(path, columns), DataSpec()).samples] == ["3.0", "0.0", "3.0"]
    columns["year"] = [2.0, NAN, 3.5]
    columns["fold"] = [2.0, NAN, 3.0]
    samples = read_source(written(path, columns), DataSpec()).samples
    assert [s.extra["year"] for s in samples] == ["2.0", "", "3.5"]
    assert [s.extra["fold"] for s in samples] == ["2", "", "3"]


def test_whole_numbers_are_seen_by_the_whole_column() -> None:
    assert is_of_whole_numbers([1.0, None])
    assert is_of_whole_numbers([1.0, 2])
    assert not is_of_whole_numbers([1.0, 2.0])
    assert not is_of_whole_numbers([1.0, None, 2.5])
    assert not is_of_whole_numbers([1, None])
    assert not is_of_whole_numbers([True, 1.0])
    assert not is_of_whole_numbers(["1.0", None])


def test_text_stays_text_in_every_form(tmp_path: Path) -> None:
    words = ["NA", "nan", "None", "null", "NaN"]
    (tmp_path / "t.csv").write_text("image,label\n" + "".join(f"{n}.png,{word}\n" for n, word in enumerate(words)))
    assert [s.label for s in read_source(tmp_path / "t.csv", DataSpec()).samples] == words
    columns = {"image": [f"{n}.png" for n in range(5)], "label": words}
    assert [s.label for s in read_source(written(tmp_path / "t.json", columns), DataSpec()).samples] == words


def test_pictures_in_parquet_files_of_which_one_has_holes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "PNG")
    pictures = [buffer.getvalue()] * 3
    written(tmp_path / "train-0.parquet", {"image": pictures, "label": [0.0, 1.0, 0.0], "year": [1.0, 2.0, 3.0]})
    written(tmp_path / "train-1.parquet", {"image": pictures, "label": [0.0, NAN, 1.0], "year": [1.0, 2.0, NAN]})
    listing = read_source(tmp_path, DataSpec())
    assert [s.label for s in listing.samples] == ["0", "1", "0", "0", "1"]
    assert [s.extra["year"] for s in listing.samples] == ["1", "2", "3", "1", ""]
    assert "1 row(s) of train-1.parquet have no label" in next(f.message for f in listing.findings)


def test_a_key_or_column_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"image": "1.png", "label": "a", "label": "b"}')
    with pytest.raises(DataError, match="line 1 is not valid JSON: the key `label` occurs twice"):
        read_source(tmp_path / "t.jsonl", DataSpec())
    twice = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array(["1.png"]), pa.array(["b"])], names=["label", "image", "label"]
    )
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="the column `label` occurs twice"):
        read_source(tmp_path / "t.parquet", DataSpec())
