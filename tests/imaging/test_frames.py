"""What kind of frame a JPEG has decides how it may be decoded: a lossless one at a reduced scale corrupts the heap."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from obverse.imaging import PictureError, Pixels, decode_picture, examine_picture, open_picture
from obverse.imaging.limits import scaled_size

RNG = np.random.default_rng(3)
# In a process of its own, whose allocator checks and fills what it hands out: a heap that is corrupted ends it.
MANY_TIMES = """
import sys
from obverse.imaging import decode_picture
data = open(sys.argv[1], "rb").read()
for side in (1, 8, 16, 32, 64, 90) * 20:
    assert decode_picture(data, min_height=side, min_width=side).shape == (97, 94, 3)
"""


def lossless_jpeg(pixels: npt.NDArray[np.uint8], *, kind: int = 0xC3, sampling: int = 0x11) -> bytes:
    """(height, width, channels) as differences to the left neighbour; kind: the frame's marker."""
    height, width, num = pixels.shape
    components = b"".join(bytes([place + 1, sampling if place == 0 else 0x11, 0]) for place in range(num))
    # 17 codes of 5 bits: the code of a category is its number.
    table = bytes([0x00, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    scan = bytes([num, *(value for place in range(num) for value in (place + 1, 0)), 1, 0, 0])
    return b"".join(
        [
            b"\xff\xd8",
            segment(kind, struct.pack(">BHHB", 8, height, width, num) + components),
            segment(0xC4, table),
            segment(0xDA, scan),
            _coded(_differences(pixels)),
            b"\xff\xd9",
        ]
    )


def segment(code: int, body: bytes) -> bytes:
    """A marker with its length."""
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def _differences(pixels: npt.NDArray[np.uint8]) -> list[int]:
    """To the left; in the first column to the pixel above, and of the first pixel to the middle grey."""
    values = pixels.astype(np.int64)
    before = np.empty_like(values)
    before[:, 1:] = values[:, :-1]
    before[1:, 0] = values[:-1, 0]
    before[0, 0] = 128
    found: list[int] = (values - before).ravel().tolist()
    return found


def _coded(differences: list[int]) -> bytes:
    bits = []
    for value in differences:
        size = abs(value).bit_length()
        bits.append(f"{size:05b}")
        if size:
            bits.append(f"{value if value > 0 else value + (1 << size) - 1:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def noise(height: int, width: int, channels: int = 3) -> Pixels:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(5, 7), (8, 8), (97, 94), (200, 300)])
def test_a_lossless_jpeg_is_decoded_whole_at_every_size_asked_for(channels: int, size: tuple[int, int]) -> None:
    pixels = noise(*size, channels)
    data = lossless_jpeg(pixels)
    expected = np.broadcast_to(pixels, (*size, 3))
    for least in (0, 1, 16, 32, 64):
        np.testing.assert_array_equal(decode_picture(data, min_height=least, min_width=least), expected)
    assert not open_picture(data)[1].scans.can_scale  # type: ignore[union-attr]


def test_no_heap_is_corrupted_by_a_lossless_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(lossless_jpeg(noise(97, 94)))
    environment = {"MALLOC_PERTURB_": "165", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", MANY_TIMES, str(path)], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("kind", [0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_a_frame_that_no_decoder_here_reads_is_refused_by_name(kind: int) -> None:
    data = lossless_jpeg(noise(40, 40), kind=kind)
    with pytest.raises(PictureError, match=f"SOF{kind - 0xC0} .* save it as an ordinary JPEG or as PNG"):
        decode_picture(data, min_height=8, min_width=8)
    assert examine_picture(data).fault == "unreadable"


def test_twelve_bits_a_sample_are_refused_by_name() -> None:
    data = lossless_jpeg(noise(40, 40), kind=0xC1)
    place = data.index(b"\xff\xc1") + 4
    with pytest.raises(PictureError, match="a JPEG with 12 bits a sample"):
        decode_picture(data[:place] + b"\x0c" + data[place + 1 :])


def test_a_second_frame_that_is_lossless_takes_the_scale_away() -> None:
    """What a decoder makes of two frames is its own; no scale is trusted where any of them has none."""
    data = encoded(noise(64, 64), progressive=False)
    lossless = lossless_jpeg(noise(64, 64))
    frame = lossless[lossless.index(b"\xff\xc3") :][:19]
    for place in (2, data.index(b"\xff\xda")):
        mixed = data[:place] + frame + data[place:]
        assert not open_picture(mixed)[1].scans.can_scale  # type: ignore[union-attr]
        with pytest.raises(PictureError):
            decode_picture(mixed, min_height=8, min_width=8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_ordinary_jpegs_are_still_decoded_at_a_reduced_scale(progressive: bool, subsampling: int) -> None:
    data = encoded(noise(129, 200), progressive=progressive, subsampling=subsampling)
    for least in ((8, 8), (30, 30), (60, 60), (129, 200), (0, 0)):
        height, width = decode_picture(data, min_height=least[0], min_width=least[1]).shape[:2]
        assert (height, width) == scaled_size(129, 200, least)


def test_a_sampling_factor_of_any_kind_is_a_picture_or_an_error() -> None:
    data = bytearray(encoded(noise(64, 96), progressive=False))
    place = data.index(b"\xff\xc0") + 2 + 2 + 6 + 1
    for factors in (0x11, 0x12, 0x14, 0x21, 0x22, 0x24, 0x41, 0x42, 0x44, 0x13, 0x31, 0x00, 0x55):
        data[place] = factors
        for least in (0, 8, 24):
            with suppress(PictureError):
                height, width, _ = decode_picture(bytes(data), min_height=least, min_width=least).shape
                assert (height, width) == scaled_size(64, 96, (least, least))


def test_verification_decodes_as_use_does(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(noise(400, 600), progressive=False)
    sizes: list[tuple[int, int]] = []
    from obverse.imaging import decode

    def noted(image: bytes, header: object, least: tuple[int, int]) -> Pixels:
        sizes.append(scaled_size(400, 600, least))
        return np.zeros((*sizes[-1], 3), np.uint8)

    monkeypatch.setattr(decode, "_decode_direct", noted)
    examine_picture(data, details=False, use=(150, 150))
    assert sizes == [(200, 300)]
    sizes.clear()
    examine_picture(data, details=True, use=(150, 150))
    assert sizes == [(200, 300)]  # large enough for the thumbprint, too
    sizes.clear()
    examine_picture(data, details=True, use=(50, 50))
    assert sizes == [(100, 150), (50, 75)]  # the thumbprint's, and the one of use


def encoded(pixels: Pixels, *, progressive: bool, subsampling: int = 2) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, progressive=progressive, subsampling=subsampling)
    return buffer.getvalue()


def test_a_header_that_ends_in_the_frame_is_an_error() -> None:
    with pytest.raises(PictureError):
        decode_picture(b"\xff\xd8" + segment(0xC0, b"")[:4])
