"""One decoder: every way of storing a picture gives the upright RGB that a viewer shows."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from obverse.imaging import Pixels, decode_picture, open_picture, picture_from_image, read_picture

UPRIGHT = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
# EXIF orientation -> how an upright picture is stored under it (TIFF 6.0, tag 274)
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(pixels: Pixels, code: int, kind: str, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[274] = code
    return encoded(
        Image.fromarray(np.ascontiguousarray(STORED.get(code, STORED[1])(pixels))), kind, exif=exif, **options
    )


def smooth(height: int, width: int) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 90), np.cos(y / 70), np.sin((x + y) / 110)]
    return (128 + 100 * np.stack(waves, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("code", range(1, 9))
def test_every_exif_orientation_decodes_to_the_same_upright_pixels(code: int, kind: str) -> None:
    data = oriented(UPRIGHT, code, kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode_picture(data), UPRIGHT)
    np.testing.assert_array_equal(picture_from_image(Image.open(io.BytesIO(data))), UPRIGHT)
    assert open_picture(data)[1].upright_size == (6, 10)


@pytest.mark.parametrize("code", range(1, 9))
def test_every_jpeg_orientation_is_upright(code: int) -> None:
    pixels = smooth(64, 96)
    decoded = decode_picture(oriented(pixels, code, "JPEG", quality=98, subsampling=0))
    assert decoded.shape == (64, 96, 3)
    assert np.abs(decoded.astype(int) - pixels).max() <= 6


@pytest.mark.parametrize("code", [0, 9, 255])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_invalid_orientation_is_upright(code: int, kind: str) -> None:
    np.testing.assert_array_equal(decode_picture(oriented(UPRIGHT, code, kind)), UPRIGHT)


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(Image.fromarray(UPRIGHT), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode_picture(data), UPRIGHT)


def test_exif_behind_the_pixels_of_a_png_counts() -> None:
    data = oriented(UPRIGHT, 6, "PNG")
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    np.testing.assert_array_equal(decode_picture(moved), UPRIGHT)


@pytest.mark.parametrize(("mode", "kind"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I;16B", "TIFF")])
def test_16_bit_gray_is_within_one_level_of_the_truth(mode: str, kind: str) -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    raw = values.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    decoded = decode_picture(encoded(Image.frombytes(mode, (16, 16), raw), kind))
    assert np.abs(decoded[..., 0] - values / 257).max() <= 1
    assert (decoded == decoded[..., :1]).all()


def test_16_bit_rgb_png_is_within_one_level_of_the_truth() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    values = np.linspace(0, 65535, 48).astype(">u2").reshape(1, 16, 3)
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 1, 16, 2, 0, 0, 0))
    parts += chunk(b"IDAT", zlib.compress(b"\0" + values.tobytes())) + chunk(b"IEND", b"")
    assert np.abs(decode_picture(b"\x89PNG\r\n\x1a\n" + parts) - values / 257).max() <= 1


def test_16_bit_gray_that_is_dark_stays_dark() -> None:
    image = Image.frombytes("I;16", (4, 4), np.full(16, 200, "<u2").tobytes())
    assert decode_picture(encoded(image, "PNG")).max() == 0


def test_16_bit_gray_transparency_is_laid_on_white() -> None:
    image = Image.frombytes("I;16", (2, 1), np.array([0x1234, 0x1235], "<u2").tobytes())
    np.testing.assert_array_equal(decode_picture(encoded(image, "PNG", transparency=0x1234))[0, :, 0], [255, 0x12])


def test_alpha_is_laid_on_white() -> None:
    layer = Image.fromarray(np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 128]]], np.uint8))
    for kind in ("PNG", "TIFF"):
        decoded = decode_picture(encoded(layer, kind))[0].astype(int)
        assert np.abs(decoded - [[200, 0, 0], [255, 255, 255], [227, 127, 127]]).max() <= 1


def test_gray_with_alpha_is_laid_on_white() -> None:
    layer = Image.frombytes("LA", (3, 1), bytes([100, 255, 100, 0, 0, 128]))
    assert np.abs(decode_picture(encoded(layer, "PNG"))[0, :, 0].astype(int) - [100, 255, 127]).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_transparency_is_laid_on_white(kind: str) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([10, 20, 30, 40, 50, 60])
    decoded = decode_picture(encoded(image, kind, transparency=0))
    np.testing.assert_array_equal(decoded[0], [[255, 255, 255], [40, 50, 60]])


def test_transparent_colour_of_an_rgb_png_is_laid_on_white() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    np.testing.assert_array_equal(
        decode_picture(encoded(image, "PNG", transparency=(1, 2, 3)))[0], [[255] * 3, [4, 5, 6]]
    )


def test_cmyk_jpeg_has_the_colours_of_its_rgb_twin() -> None:
    rgb = Image.fromarray(smooth(32, 48))
    decoded = decode_picture(encoded(rgb.convert("CMYK"), "JPEG", quality=98))
    assert np.abs(decoded.astype(int) - np.asarray(rgb)).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_is_black_and_white(kind: str) -> None:
    bits = np.array([[True, False], [False, True]])
    decoded = decode_picture(encoded(Image.fromarray(bits), kind))
    np.testing.assert_array_equal(decoded[..., 1], bits * 255)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_is_the_picture(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(decode_picture(data).astype(int) - [255, 0, 0]).max() <= 2


def test_bmp_is_exact() -> None:
    np.testing.assert_array_equal(decode_picture(encoded(Image.fromarray(UPRIGHT), "BMP")), UPRIGHT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_foreign_colour_profile_is_converted_and_srgb_left_alone(kind: str) -> None:
    gray = Image.new("RGB", (16, 16), (128, 128, 128))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(decode_picture(encoded(gray, kind, icc_profile=srgb)).astype(int) - 128).max() <= 1
    linear = _gamma_profile(srgb)
    decoded = decode_picture(encoded(gray, kind, icc_profile=linear))
    # Linear light 128/255 is 188 in sRGB (IEC 61966-2-1).
    assert np.abs(decoded.astype(int) - 188).max() <= 2
    image = Image.open(io.BytesIO(encoded(gray, kind, icc_profile=linear)))
    np.testing.assert_array_equal(picture_from_image(image), decoded)


def _gamma_profile(srgb: bytes) -> bytes:
    """The sRGB profile with linear tone curves and another name: Pillow builds no such profile itself."""
    data = bytearray(srgb.replace("sRGB".encode("utf-16-be"), "line".encode("utf-16-be")).replace(b"sRGB", b"line"))
    for place in range(132, 132 + 12 * int.from_bytes(data[128:132], "big"), 12):
        if data[place : place + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            offset = int.from_bytes(data[place + 4 : place + 8], "big")
            data[offset : offset + 16] = b"para\0\0\0\0\0\0\0\0\0\x01\0\0"  # parametric curve, exponent 1
    return bytes(data)


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200])
def test_an_unreadable_profile_is_ignored(profile: bytes) -> None:
    data = encoded(Image.fromarray(UPRIGHT), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode_picture(data), UPRIGHT)


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("least", [(1, 1), (100, 100), (151, 1), (300, 450), (301, 450), (900, 900)])
def test_scaled_decode_is_never_smaller_than_asked(mode: str, least: tuple[int, int], options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(smooth(600, 900)).convert(mode), "JPEG", **options)
    height, width = decode_picture(data, min_height=least[0], min_width=least[1]).shape[:2]
    assert (height, width) == (600, 900) or (height >= least[0] and width >= least[1])
    if least == (100, 100):
        assert height < 300


@pytest.mark.parametrize(
    ("least", "size"),
    [((301, 451), (600, 900)), ((525, 788), (600, 900)), ((300, 450), (300, 450)), ((151, 200), (300, 450)),
     ((140, 220), (150, 225)), ((75, 113), (75, 113)), ((1, 1), (75, 113))],
)  # fmt: skip
def test_scaled_decode_halves_and_nothing_in_between(least: tuple[int, int], size: tuple[int, int]) -> None:
    """3/8, 5/8, 6/8 and 7/8 cost more than the whole and are less exact."""
    data = encoded(Image.fromarray(smooth(600, 900)), "JPEG", quality=95)
    assert decode_picture(data, min_height=least[0], min_width=least[1]).shape[:2] == size


def test_scaled_decode_is_the_same_in_both_orientations() -> None:
    pixels = smooth(600, 900)
    lying, standing = (
        decode_picture(oriented(pixels, code, "JPEG", quality=95), min_height=100, min_width=300) for code in (1, 6)
    )
    assert lying.shape == standing.shape
    assert lying.shape[0] < 600
    assert np.abs(lying.astype(int) - standing).mean() < 1


def test_scaled_decode_is_close_to_full_decode_and_resize() -> None:
    data = encoded(Image.fromarray(smooth(800, 1200)), "JPEG", quality=95)
    scaled = decode_picture(data, min_height=200, min_width=300)
    assert scaled.shape[:2] == (200, 300)
    full = Image.fromarray(decode_picture(data)).resize((300, 200), Image.Resampling.BOX)
    assert np.abs(scaled.astype(int) - np.asarray(full)).mean() < 1


def test_one_minimum_alone_means_full_size() -> None:
    data = encoded(Image.fromarray(smooth(600, 900)), "JPEG")
    assert decode_picture(data, min_height=100).shape == (600, 900, 3)


def test_a_path_may_hold_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.png"
    path.write_bytes(encoded(Image.fromarray(UPRIGHT), "PNG"))
    pixels = read_picture(path)
    np.testing.assert_array_equal(pixels, UPRIGHT)
    assert pixels.flags.c_contiguous
