"""Pictures in Parquet files as Hugging Face data sets store them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec

Picture = Callable[[str], bytes]


def hub_features(names: list[str]) -> dict[bytes, bytes]:
    """The schema metadata that `datasets` writes."""
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def write_shard(path: Path, rows: list[dict[str, Any]], names: list[str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.replace_schema_metadata(hub_features(names)) if names else table, path, row_group_size=2)
    return path


@pytest.fixture
def dataset(tmp_path: Path, picture: Picture) -> Path:
    """data/train-*, data/test-*, class names in the schema, no file names, a column beside them."""
    for shard, (split, count) in enumerate((("train", 6), ("train", 5), ("test", 4))):
        name = f"data/{split}-{shard:05}-of-00002.parquet"
        rows = [
            {"image": {"bytes": picture(f"{name}{n}"), "path": None}, "label": n % 2, "source": f"{shard}"}
            for n in range(count)
        ]
        write_shard(tmp_path / "set" / name, rows, ["dog", "cat"])
    (tmp_path / "set" / "README.md").write_text("a data set card")
    return tmp_path / "set"


def test_a_hub_data_set_is_read_with_its_splits_and_class_names(dataset: Path, picture: Picture) -> None:
    index = build_index(dataset, DataSpec())
    assert (index.layout, index.manifest.classes) == ("parquet", ("cat", "dog"))
    assert index.summary.startswith("pictures in 3 Parquet file(s), column image, labels in `label`: 2 classes, 15")
    assert index.manifest.split_counts()["test"] == 4
    assert index.manifest.counts("test") == {"cat": 2, "dog": 2}
    sample = index.manifest.samples[3]
    name = "data/test-00002-of-00002.parquet"
    assert (sample.id, sample.label, sample.split, sample.extra) == (f"{name}/3", "cat", "test", {"source": "2"})
    assert index.manifest.store.read(sample.views["image"]).data == picture(f"{name}3")


def test_a_hub_data_set_in_a_zip(
    dataset: Path, files_of: Callable[[Path], dict[str, bytes]], pack: Callable[[Path, Mapping[str, bytes]], Path]
) -> None:
    folder = build_index(dataset, DataSpec()).manifest.samples
    for kind in ("x.zip", "x.deflated.zip"):
        archive = build_index(pack(dataset.parent / kind, files_of(dataset)), DataSpec()).manifest.samples
        assert [(s.id, s.label, s.split, s.digest) for s in archive] == [
            (s.id, s.label, s.split, s.digest) for s in folder
        ]


def test_a_single_file_with_plain_bytes_and_text_labels(tmp_path: Path, picture: Picture) -> None:
    rows = [{"png": picture(f"{n}"), "grade": ["au50", "ms65"][n % 2], "id": f"coin{n}"} for n in range(12)]
    index = build_index(write_shard(tmp_path / "coins.parquet", rows), DataSpec())
    assert index.manifest.views == ("image",)
    assert index.manifest.classes == ("au50", "ms65")
    assert index.manifest.ordered
    assert {s.id for s in index.manifest.samples} == {f"coin{n}" for n in range(12)}
    pixels = index.manifest.store.decode(index.manifest.samples[0].views["image"])
    assert np.asarray(pixels).shape == (4, 5, 3)


def two_views(tmp_path: Path, picture: Picture) -> Path:
    rows: list[dict[str, Any]] = [
        {"front": picture(f"f{n}"), "back": picture(f"b{n}"), "label": "ab"[n % 2]} for n in range(12)
    ]
    rows[0]["back"] = None
    return write_shard(tmp_path / "x.parquet", rows)


def test_two_picture_columns_are_two_views_and_can_be_chosen(tmp_path: Path, picture: Picture) -> None:
    path = two_views(tmp_path, picture)
    assert read_source(path, DataSpec()).views == ("front", "back")
    assert read_source(path, DataSpec(views=("back", "front"))).views == ("back", "front")
    assert read_source(path, DataSpec(views=("front",))).views == ("front",)
    with pytest.raises(DataError, match="no picture column `side`; it has front, back"):
        read_source(path, DataSpec(views=("front", "side")))


def test_an_empty_cell_is_a_missing_view(tmp_path: Path, picture: Picture) -> None:
    listing = read_source(two_views(tmp_path, picture), DataSpec())
    assert [len(s.views) for s in listing.samples[:2]] == [1, 2]
    assert any(f.code == "missing-view" for f in listing.findings)


def test_a_row_without_any_picture_is_named(tmp_path: Path, picture: Picture) -> None:
    rows: list[dict[str, Any]] = [
        {"front": picture(f"f{n}"), "back": picture(f"b{n}"), "label": "ab"[n % 2]} for n in range(12)
    ]
    rows[7]["front"] = rows[7]["back"] = None
    with pytest.raises(DataError, match=r"x\.parquet::row=7,front.* holds no picture"):
        build_index(write_shard(tmp_path / "x.parquet", rows), DataSpec())


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path, picture: Picture) -> None:
    labels = [0, 1, -1, 0, 1, -1, None]
    rows = [{"image": {"bytes": picture(str(n)), "path": f"{n}.png"}, "label": label} for n, label in enumerate(labels)]
    listing = read_source(write_shard(tmp_path / "x.parquet", rows, ["a", "b"]), DataSpec())
    assert [s.id for s in listing.samples] == ["0.png", "1.png", "3.png", "4.png"]
    assert [f.message for f in listing.findings] == ["3 row(s) of x.parquet have no label and are left out"]


@pytest.mark.parametrize(
    ("row", "names", "message"),
    [
        ({"image": b"x"}, None, "has no label: expected a column `label`; the columns are image"),
        ({"image": b"x", "label": 5}, ["a", "b"], "the label 5 has no name; there are 2"),
        ({"image": b"x", "label": 0, "split": "trian"}, ["a"], "the split `trian` is none of"),
    ],
)
def test_a_parquet_that_cannot_be_used(
    tmp_path: Path, row: dict[str, Any], names: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_source(write_shard(tmp_path / "x.parquet", [row], names), DataSpec())


def test_shards_that_differ(tmp_path: Path) -> None:
    write_shard(tmp_path / "s/0.parquet", [{"image": b"x", "label": 0}])
    write_shard(tmp_path / "s/1.parquet", [{"picture": b"x", "label": 0}])
    with pytest.raises(DataError, match=r"1\.parquet' in .* has no column `image`"):
        read_source(tmp_path / "s", DataSpec())


def test_a_cell_that_is_no_picture_is_named(tmp_path: Path, picture: Picture) -> None:
    rows = [{"image": picture(str(n)) if n != 4 else b"no picture", "label": "ab"[n % 2]} for n in range(9)]
    with pytest.raises(DataError, match=r"x\.parquet::row=4,image"):
        build_index(write_shard(tmp_path / "x.parquet", rows), DataSpec())


def test_words_in_capitals_are_the_same_words(tmp_path: Path, picture: Picture) -> None:
    cells = {"Label": "a", "Split": "val", "Group": "g"}
    rows = [{"image": {"bytes": picture("x"), "path": f"{n}.png"}, "ID": f"s{n}", **cells} for n in range(4)]
    samples = read_source(write_shard(tmp_path / "pictures.parquet", rows), DataSpec()).samples
    assert {(s.id, s.split, s.group) for s in samples} == {(f"s{n}", "val", "g") for n in range(4)}
    assert not samples[0].extra
