"""Halves, Parquet rows, CIFAR batches and remote files come out as the pictures that went in."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from obverse.errors import DataError, UnavailableError
from obverse.imaging import PictureError
from obverse.manifest import PictureStore
from obverse.manifest.store import remote
from obverse.manifest.store.blob import FileBlob
from obverse.manifest.store.cifar import open_cifar
from obverse.manifest.store.parquet import open_parquet


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("width", [10, 11])
def test_halves_are_the_sides_of_the_frame(tmp_path: Path, width: int) -> None:
    pixels, store = noise(6, width, 3), PictureStore(tmp_path)
    (tmp_path / "a.png").write_bytes(png(pixels))
    left, right = (store.read(f"a.png::half={side}") for side in ("left", "right"))
    assert np.array_equal(left.decode(), pixels[:, :5])
    assert np.array_equal(right.decode(), pixels[:, -5:])
    assert left.upright_size() == (6, 5)
    assert len({left.digest(), right.digest(), store.read("a.png").digest()}) == 3


def test_halves_of_a_turned_photograph_are_cut_after_turning(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(64, 32, 3)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    store = PictureStore(tmp_path)
    whole = store.decode("a.jpg")
    assert whole.shape == (32, 64, 3)
    assert np.array_equal(store.decode("a.jpg::half=right"), whole[:, 32:])
    assert store.read("a.jpg::half=right").upright_size() == (32, 32)


def test_half_of_a_photograph_is_decoded_small_but_not_too_small(tmp_path: Path) -> None:
    Image.fromarray(noise(256, 512, 3)).save(tmp_path / "a.jpg")
    small = PictureStore(tmp_path).decode("a.jpg::half=left", min_height=60, min_width=60)
    assert small.shape == (64, 64, 3)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows of a struct, of plain bytes, and of a path alone; several row groups."""
    (tmp_path / "file.png").write_bytes(b"a file")
    rows = [{"image": {"bytes": b"%d" % n, "path": f"{n}.png"}, "raw": b"r%d" % n, "label": n % 2} for n in range(7)]
    rows[5]["image"] = {"bytes": None, "path": "file.png"}
    rows[6]["image"] = None
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet", row_group_size=3)
    return tmp_path / "t.parquet"


def test_cells_of_parquet(table: Path) -> None:
    store = PictureStore(table.parent)
    assert [store.read(f"t.parquet::row={n},image").data for n in (4, 0, 3)] == [b"4", b"0", b"3"]
    assert [store.read(f"t.parquet::row={n},raw").data for n in (6, 2)] == [b"r6", b"r2"]
    assert store.read("t.parquet::row=5,image").data == b"a file"
    assert open_parquet(FileBlob.of(str(table))).picture_columns == ["image", "raw"]


@pytest.mark.parametrize(
    "step", ["row=7,image", "row=-1,image", "row=0,picture", "row=0", "row=6,image", "row=0,label"]
)
def test_cells_that_are_no_pictures(table: Path, step: str) -> None:
    with pytest.raises(PictureError, match=r"t\.parquet"):
        PictureStore(table.parent).read(f"t.parquet::{step}")


def test_rows_are_read_within_a_limit(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obverse.manifest.store.parquet.CACHED_BYTES", 1)
    store = PictureStore(table.parent)
    assert [store.read(f"t.parquet::row={n},raw").data for n in (0, 5, 1, 6)] == [b"r0", b"r5", b"r1", b"r6"]


@pytest.mark.parametrize("length", [0, 3, 100])
def test_a_damaged_parquet(table: Path, length: int) -> None:
    table.write_bytes(table.read_bytes()[:length])
    with pytest.raises(DataError, match="no Parquet file"):
        open_parquet(FileBlob.of(str(table)))


def write_batch(path: Path, protocol: int = 2, **values: Any) -> Path:
    content = {b"data": noise(4, 3072), b"labels": [0, 1, 2, 1], b"filenames": [b"a.png", b"b.png"], **values}
    path.write_bytes(pickle.dumps({k if isinstance(k, bytes) else k.encode(): v for k, v in content.items()}, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_pictures_of_a_cifar_batch_are_lossless(tmp_path: Path, protocol: int) -> None:
    write_batch(tmp_path / "data_batch_1", protocol)
    picture = PictureStore(tmp_path).read("data_batch_1::cifar=2")
    assert np.array_equal(picture.decode(), noise(4, 3072)[2].reshape(3, 32, 32).transpose(1, 2, 0))
    assert picture.upright_size() == (32, 32)
    with pytest.raises(PictureError, match="no picture 4"):
        PictureStore(tmp_path).read("data_batch_1::cifar=4")


class _Harm:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_malicious_pickle_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    for number, harm in enumerate([_Harm(exec, f"open({str(proof)!r}, 'w')"), _Harm(proof.touch), _Harm(eval, "1")]):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": harm, b"labels": [number]}, 2))
        with pytest.raises(PictureError, match="it asks for"):
            PictureStore(tmp_path).read("data_batch_1::cifar=0")
    assert not proof.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"data": noise(4, 3000)},
        {"data": [1, 2]},
        {"data": noise(4, 3072).astype(np.float32)},
        {"labels": [1, 2]},
        {"labels": [0, 1, 2, "3"]},
        {"labels": None},
    ],
)
def test_a_batch_that_is_not_one(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="is not a CIFAR batch"):
        open_cifar(FileBlob.of(str(write_batch(tmp_path / "data_batch_1", **values))))


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1]), b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."])
def test_bytes_that_are_no_batch(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="is not a CIFAR batch"):
        open_cifar(FileBlob.of(str(tmp_path / "data_batch_1")))


def test_remote_files(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/set/cat/1.png", b"cat one")
    files.pipe("/set/odd name.png", b"odd")
    root = PictureStore(Path("memory://set"))
    assert root.read("cat/1.png").data == b"cat one"
    assert PictureStore(tmp_path).read("memory://set/cat/1.png").data == b"cat one"
    with pytest.raises(PictureError, match="does not exist"):
        root.read("cat/2.png")
    assert remote.list_remote("memory://set") == ["cat/1.png", "odd name.png"]


def test_what_no_package_reads_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with pytest.raises(UnavailableError, match="pip install s3fs"):
        PictureStore(tmp_path).read("s3://bucket/1.png")


def test_a_protocol_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="nothing is known to read nonsense://"):
        PictureStore(tmp_path).read("nonsense://bucket/1.png")


@pytest.mark.parametrize("locator", ["a.png::half=top", "a.png::half=left::half=left", "a.png::row=1,a::cifar=2", "\0"])
def test_steps_that_lead_nowhere(tmp_path: Path, locator: str) -> None:
    (tmp_path / "a.png").write_bytes(png(noise(4, 4, 3)))
    with pytest.raises(PictureError):
        PictureStore(tmp_path).read(locator)
