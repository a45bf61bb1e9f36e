"""PngSuite's and other suites' pixels against decoders written here: 16-bit, alpha, palette, grey, interlaced, CMYK.

Truth is round(value * 255 / (2^bits - 1)), laid on white; CMYK without a profile is (255 - ink)(255 - black) / 255.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from obverse.imaging import PictureError, Sandbox, decode_picture, open_picture

NUM_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


@pytest.fixture(scope="module")
def archive(real_data: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(real_data / "hostile_images.zip") as opened:
        yield opened


def _unfilter(data: bytes, height: int, row_bytes: int, step: int) -> tuple[npt.NDArray[np.uint8], bytes]:
    rows = np.zeros((height + 1, row_bytes + step), np.int64)
    for y in range(1, height + 1):
        kind, line = data[0], data[1 : 1 + row_bytes]
        data = data[1 + row_bytes :]
        for x in range(row_bytes):
            left, up, corner = rows[y, x], rows[y - 1, x + step], rows[y - 1, x]
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            rows[y, x + step] = (line[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
    return rows[1:, step:].astype(np.uint8), data


def _samples(rows: npt.NDArray[np.uint8], bits: int, width: int, num: int) -> npt.NDArray[np.int64]:
    unpacked = np.unpackbits(rows, axis=1)[:, : width * num * bits].reshape(len(rows), width, num, bits)
    return unpacked.astype(np.int64) @ (1 << np.arange(bits)[::-1])


def reference_png(png: bytes) -> npt.NDArray[np.float64]:
    """(height, width, 3) on white, by chapters 7 to 13 of the PNG specification."""
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        chunks[kind] = chunks.get(kind, b"") + png[place + 8 : place + 8 + length]
        place += 12 + length
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    num, data = NUM_SAMPLES[colour], zlib.decompress(chunks[b"IDAT"])
    values = np.zeros((height, width, num), np.int64)
    for top, left, down, right in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = values[top::down, left::right]
        if part.size:
            row_bytes = -(-part.shape[1] * num * bits // 8)
            rows, data = _unfilter(data, len(part), row_bytes, max(1, num * bits // 8))
            part[:] = _samples(rows, bits, part.shape[1], num)
    return _on_white(values, bits, colour, chunks)


def _on_white(
    values: npt.NDArray[np.int64], bits: int, colour: int, chunks: dict[bytes, bytes]
) -> npt.NDArray[np.float64]:
    clear, white = chunks.get(b"tRNS", b""), 2**bits - 1
    alpha = np.ones(values.shape[:2])
    if colour == 3:
        alpha = np.array([*clear, *[255] * (256 - len(clear))])[values[..., 0]] / 255
        rgb = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[values[..., 0]].astype(np.float64)
    else:
        if clear:
            alpha = (values != struct.unpack(f">{len(clear) // 2}H", clear)).any(axis=2).astype(np.float64)
        if colour in (4, 6):
            alpha, values = values[..., -1] / white, values[..., :-1]
        rgb = np.broadcast_to(np.rint(values * 255 / white), (*values.shape[:2], 3)).astype(np.float64)
    return rgb * alpha[..., None] + 255 * (1 - alpha[..., None])


def test_pngsuite_is_within_one_level_of_the_truth(archive: zipfile.ZipFile) -> None:
    names = [n for n in archive.namelist() if re.search(r"/pngsuite/(png/)?[a-wyz]\w*\.png$", n)]
    seen: set[str] = set()
    for name in names:
        data = archive.read(name)
        if len(data) > 8000:
            continue  # the reference is slow
        seen.add(Path(name).name)
        assert np.abs(decode_picture(data) - reference_png(data)).max() <= 1, name
    assert len(seen) > 140


def test_cmyk_without_a_profile_is_within_one_level_of_the_truth(archive: zipfile.ZipFile) -> None:
    seen = 0
    for name in archive.namelist():
        data = archive.read(name)
        try:
            image, header = open_picture(data)
            if header.mode != "CMYK" or header.icc_profile:
                continue
            pixels = decode_picture(data)
        except PictureError:
            continue
        # Adobe stores the inks of a JPEG inverted.
        ink = 255 - simplejpeg.decode_jpeg(data, "CMYK") if image.format == "JPEG" else np.asarray(image)
        ink = ink.astype(np.float64)
        assert np.abs(pixels - (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255).max() <= 1, name
        seen += 1
    assert seen >= 3


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "imaging"))
    import hostile_files

    return hostile_files


@pytest.mark.full
def test_every_file_in_a_process_of_its_own_stays_below_3_seconds_and_512_mib(
    archive: zipfile.ZipFile, files: ModuleType
) -> None:
    for name in archive.namelist():
        with Sandbox(1, memory_bytes=4 << 30, cpu_seconds=60) as box:
            _, seconds, peak_mib = box.run(files.measure, archive.read(name))
        assert (seconds < 3, peak_mib < 512) == (True, True), (name, seconds, peak_mib)


def test_a_sandbox_survives_the_archive_and_says_the_same(archive: zipfile.ZipFile, files: ModuleType) -> None:
    names = archive.namelist()[::7]
    with Sandbox(2) as box:
        results = list(box.map(files.measure, (archive.read(name) for name in names)))
    assert [result[0] for result in results] == [files.measure(archive.read(name))[0] for name in names]
