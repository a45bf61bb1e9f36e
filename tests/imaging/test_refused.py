"""What is no usable picture is refused with PictureError alone, before memory or time is spent on it."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from obverse.errors import DataError
from obverse.imaging import PictureError, content_digest, decode_picture, joint_digest, open_picture, read_picture
from obverse.imaging import unit_interval as place_of

NOISE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, kind)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("least", [0, 8])
def test_a_truncated_picture_is_refused(kind: str, share: float, least: int) -> None:
    data = encoded(kind)
    with pytest.raises(PictureError):
        decode_picture(data[: int(len(data) * share)], min_height=least, min_width=least)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_pixels_are_said_to_be_damaged(kind: str) -> None:
    data = encoded(kind)
    with pytest.raises(PictureError, match=f"the {kind} data is damaged or cut short"):
        decode_picture(data[: len(data) * 3 // 4])


def test_a_flipped_bit_in_png_pixels_is_refused() -> None:
    data = bytearray(encoded("PNG"))
    data[data.index(b"IDAT") + 1000] ^= 1
    with pytest.raises(PictureError, match="checksum"):
        decode_picture(bytes(data))


@pytest.mark.parametrize("data", [b"hello, this is text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\0" * 100])
def test_bytes_that_are_no_picture_are_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture in a known format"):
        decode_picture(data)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(PictureError, match="the file is empty"):
        decode_picture(b"")


def test_formats_that_are_not_ours_are_refused() -> None:
    for kind in ("ICO", "TGA", "PCX"):
        with pytest.raises(PictureError, match="known format"):
            decode_picture(encoded(kind))


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (1, 60_000, "limit of 40000 a side"),
        (60_000, 1, "limit of 40000 a side"),
        (30_000, 30_000, "200,000,000 in all"),
        (65_535, 65_535, "limit of 40000 a side"),
        (1, 201, "longer than 200 times"),
        (20_100, 100, "longer than 200 times"),
    ],
)
def test_huge_or_thin_pictures_are_refused_from_the_header(width: int, height: int, reason: str) -> None:
    data = png_header(width, height)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(PictureError, match=reason) as caught:
        decode_picture(data)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"{width}x{height}" in str(caught.value)
    assert seconds < 1
    assert peak < 20 * 2**20


def test_reading_a_header_does_not_decode_the_pixels() -> None:
    data = bytearray(encoded("PNG"))
    data[data.index(b"IDAT") + 1000] ^= 1
    header = open_picture(bytes(data))[1]
    assert (header.height, header.width, header.format) == (40, 60, "PNG")


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obverse.imaging.limits.MAX_BYTES", 100)
    with pytest.raises(PictureError, match="more than the limit of 100"):
        decode_picture(encoded("PNG"))


def test_the_size_limits_themselves_are_allowed() -> None:
    buffer = io.BytesIO()
    Image.new("1", (200, 1)).save(buffer, "PNG")
    assert decode_picture(buffer.getvalue()).shape == (1, 200, 3)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]),
    place=st.floats(0, 1),
    junk=st.binary(max_size=8),
)
def test_damage_gives_a_picture_or_a_picture_error(kind: str, place: float, junk: bytes) -> None:
    data = encoded(kind)
    start = int(place * len(data))
    try:
        pixels = decode_picture(data[:start] + junk + data[start + len(junk) :])
    except PictureError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_a_missing_file_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "no\nsuch.jpg"
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert str(caught.value) == f"{str(path)!r} cannot be read: No such file or directory"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "a\0b.jpg"])
def test_an_impossible_path_is_a_picture_error(path: str) -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(path)


def test_an_unusable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("no picture")
    with pytest.raises(PictureError, match=r"notes\.jpg' is unusable: not a picture"):
        read_picture(path)


def test_picture_errors_are_errors_of_the_data() -> None:
    assert issubclass(PictureError, DataError)
    assert PictureError.exit_code == 65


def test_digests_are_blake2_and_depend_on_content_and_order() -> None:
    assert content_digest(b"abc") == "cf4ab791c62b8d2b2109c90275287816"
    assert joint_digest(["a", "b"]) != joint_digest(["b", "a"])
    assert joint_digest(["ab", "c"]) != joint_digest(["a", "bc"])


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.integers(0, 1000))
def test_the_unit_interval_holds_every_text(text: str, seed: int) -> None:
    assert 0 <= place_of("split", seed, text) < 1
    assert place_of("split", seed, text) != place_of("split", seed + 1, text)


def test_the_unit_interval_takes_file_names_that_are_not_utf_8() -> None:
    assert 0 <= place_of("a\udcff") < 1
