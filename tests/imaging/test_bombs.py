"""Bombs are refused at once, and what is within the limits is decoded in 3 seconds and 512 MiB (processor time)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from obverse.imaging import PictureError, Sandbox, decode_picture, open_picture

KINDS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import hostile_files

    return hostile_files


@pytest.fixture
def cost(files: ModuleType) -> Iterator[Any]:
    """What a file costs in a fresh process whose own limits are far away, so that it is our rules that hold."""
    box = Sandbox(1, memory_bytes=4 << 30, cpu_seconds=60)
    with box:
        yield lambda data: box.run(files.measure, data)


SAMPLE = ["1x60000.png", "200-megapixel-zeros.png", "compressed-text.png", "many-scans.jpg", "huge-progressive.jpg"]
SAMPLE += ["exif-segments.jpg", "14000x14000.gif", "comment.gif", "overlapping-tags.tif", "one-strip.tif", "tile.tif"]


def test_bombs_are_refused_within_a_second_and_256_mib(files: ModuleType, cost: Any) -> None:
    for name in SAMPLE:
        said, seconds, peak_mib = cost(files.BOMBS[name]())
        assert said.startswith("refused"), name
        assert seconds < 1, name
        assert peak_mib < 256, name


@pytest.mark.full
def test_every_bomb_is_refused_within_a_second_and_256_mib(files: ModuleType) -> None:
    for name, make in files.BOMBS.items():
        with Sandbox(1, memory_bytes=4 << 30, cpu_seconds=60) as box:
            said, seconds, peak_mib = box.run(files.measure, make())
        assert said.startswith("refused"), name
        assert (seconds < 1, peak_mib < 256) == (True, True), (name, seconds, peak_mib)


@pytest.mark.full
def test_whatever_is_allowed_stays_within_the_bars(files: ModuleType) -> None:
    for name, make in files.HEAVY.items():
        with Sandbox(1, memory_bytes=4 << 30, cpu_seconds=60) as box:
            said, seconds, peak_mib = box.run(files.measure, make())
        assert (seconds < 3, peak_mib < 512) == (True, True), (name, seconds, peak_mib)
        assert name.startswith(("runs", "directory")) == said.startswith("refused"), (name, said)


def test_a_photograph_of_8000x6000_is_decoded_and_a_many_scan_one_of_that_size_too(files: ModuleType) -> None:
    data = files.many_scans(8000, 6000, 10)
    assert decode_picture(data, min_height=200, min_width=200).shape == (750, 1000, 3)


@pytest.mark.parametrize("num_scans", [64, 65])
def test_scans_are_counted(files: ModuleType, num_scans: int) -> None:
    data = files.many_scans(64, 48, num_scans)
    if num_scans > 64:
        with pytest.raises(PictureError, match="more than 64 scans"):
            decode_picture(data)
        return
    scans = open_picture(data)[1].scans
    assert scans is not None
    assert (scans.num_scans, scans.holds_coefficients) == (64, True)
    assert decode_picture(data).shape == (48, 64, 3)


def test_scans_hidden_behind_a_comment_that_looks_like_the_end_are_counted(files: ModuleType) -> None:
    data = files.many_scans(64, 48, 65)
    place = data.index(b"\xff\xda", data.index(b"\xff\xda") + 1)
    with pytest.raises(PictureError, match="more than 64 scans"):
        decode_picture(data[:place] + files.segment(0xFE, b"\xff\xd9") + data[place:])


def test_a_jpeg_too_large_for_memory_may_still_be_decoded_smaller(
    files: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = files.saved("JPEG", 900, 600, quality=50)
    monkeypatch.setattr("obverse.imaging.decode.MAX_WORKING_BYTES", 2**20)
    with pytest.raises(PictureError, match=r"900x600 pixels .* need about 1 MiB to decode.*save it smaller"):
        decode_picture(data)
    assert decode_picture(data, min_height=100, min_width=100).shape == (150, 225, 3)


@pytest.mark.parametrize("pointer", [0x0112, 0x8769])
def test_an_exif_loop_ends(files: ModuleType, pointer: int) -> None:
    data = files.with_segments(files.segment(0xE1, files.exif_loop(pointer)))
    assert sorted(decode_picture(data).shape) == [3, 40, 60]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [640, pytest.param(64, marks=pytest.mark.full)])
def test_cut_short_anywhere_is_a_picture_or_a_picture_error(files: ModuleType, kind: str, step: int) -> None:
    data = files.saved(kind)
    whole = decode_picture(data)
    for end in range(step, len(data) - 64, step):
        try:
            pixels = decode_picture(data[:end])
        except PictureError:
            continue
        assert kind in ("GIF", "BMP", "TIFF"), end  # formats without an end mark may lose padding alone
        np.testing.assert_array_equal(pixels, whole)


def _mutated_form(files: ModuleType, kind: str, places: list[int], values: list[int]) -> tuple[str, int] | None:
    """Type and number of channels of the pixels of a picture with changed bytes; None where it is refused."""
    data = bytearray(files.saved(kind))
    for place, value in zip(places, values, strict=False):
        data[place % min(len(data), 700)] = value
    try:
        pixels = decode_picture(bytes(data))
    except PictureError:
        return None
    return pixels.dtype.name, pixels.shape[2]


MUTATIONS = {
    "kind": st.sampled_from(KINDS),
    "places": st.lists(st.integers(0, 10_000), min_size=1, max_size=6),
    "values": st.lists(st.sampled_from([0, 1, 2, 8, 16, 32, 127, 128, 254, 255]), min_size=6, max_size=6),
}


@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(**MUTATIONS)
def test_mutated_headers(files: ModuleType, kind: str, places: list[int], values: list[int]) -> None:
    assert _mutated_form(files, kind, places, values) in (None, ("uint8", 3))


@pytest.mark.full
@settings(
    max_examples=5000, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(**MUTATIONS)
def test_many_mutated_headers(files: ModuleType, kind: str, places: list[int], values: list[int]) -> None:
    assert _mutated_form(files, kind, places, values) in (None, ("uint8", 3))


@pytest.mark.parametrize("length", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_lying_chunk_lengths_are_refused(files: ModuleType, length: int) -> None:
    data = bytearray(files.saved("PNG"))
    data[33:37] = struct.pack(">I", length)
    with pytest.raises(PictureError):
        decode_picture(bytes(data))
    riff = bytearray(files.saved("WEBP"))
    riff[16:20] = struct.pack("<I", length)
    with pytest.raises(PictureError):
        decode_picture(bytes(riff))


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_pictures_are_read_on_the_scale_that_holds_them(files: ModuleType, white: float) -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    decoded = decode_picture(_float_tiff(values * np.float32(white)))
    np.testing.assert_array_equal(decoded[..., 0], np.rint(values * 255))
    assert (decoded == decoded[..., :1]).all()


@pytest.mark.parametrize("values", [[-0.1, 1.0], [0.0, 1.2], [0.0, 1e6], [0.0, float("nan")], [0.0, float("inf")]])
def test_float_pictures_without_a_clear_white_are_refused(values: list[float]) -> None:
    with pytest.raises(PictureError, match=r"tells no white|not finite"):
        decode_picture(_float_tiff(np.array([values], np.float32)))


def _float_tiff(values: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return buffer.getvalue()


def test_libtiff_does_not_write_to_the_console(files: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PictureError):
        decode_picture(files.tiff_picture(64, 64, 8, b"junk" * 20))
    assert capfd.readouterr() == ("", "")
