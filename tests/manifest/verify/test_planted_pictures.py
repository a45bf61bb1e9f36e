"""One planted fault per detector that looks into a picture: found, with the right paths, and nothing else is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import PictureError
from obverse.manifest.check.check import check_data
from obverse.recipe import DataSpec


def test_a_clean_set_has_no_finding(clean, findings):
    assert findings(clean) == {}


def test_nothing_of_the_users_is_changed(clean, sandbox):
    (clean / "ant" / "00.png").write_bytes(b"")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in clean.rglob("*") if path.is_file()}
    check_data(clean, DataSpec(), sandbox=sandbox)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in clean.rglob("*") if path.is_file()} == before


class Deadly:
    """A sandbox whose child dies of one picture."""

    def run(self, function, pictures):
        if any(b"DEADLY" in picture.data for picture, _ in pictures):
            raise PictureError("the decoder crashed on it")
        return function(pictures)


def test_a_child_that_dies_blames_only_its_picture(clean, draw, encoded):
    (clean / "ant" / "05.png").write_bytes(encoded(draw(7)) + b"DEADLY")
    found = check_data(clean, DataSpec(), sandbox=Deadly()).findings
    assert [(f.code, f.paths, f.message) for f in found] == [
        ("unreadable", ("ant/05.png",), "the decoder crashed on it")
    ]


def plant(clean: Path, name: str, data: bytes) -> str:
    path = clean / "ant" / name
    path.write_bytes(data)
    return f"ant/{name}"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_truncated(clean, draw, encoded, findings, format):
    data = encoded(draw(7), format)
    path = plant(clean, f"bad.{format.lower()}", data[: 2 * len(data) // 3])
    found = findings(clean)
    assert list(found) == ["truncated"]
    assert (found["truncated"][0].severity, found["truncated"][0].paths) == ("error", (path,))


def test_unreadable(clean, draw, encoded, findings):
    data = bytearray(encoded(draw(7)))
    place = data.index(b"IDAT") + 20
    data[place] ^= 255
    path = plant(clean, "bad.png", bytes(data))
    assert {code: f[0].paths for code, f in findings(clean).items()} == {"unreadable": (path,)}


def test_a_file_that_cannot_be_opened(clean, findings):
    (clean / "ant" / "gone.png").symlink_to("nowhere.png")
    found = findings(clean)
    assert [f.paths for f in found["unreadable"]] == [("ant/gone.png",)]


@pytest.mark.parametrize(("data", "code"), [(b"", "empty-file"), (b"<html>404</html>", "not-a-picture")])
def test_no_picture_at_all(clean, findings, data, code):
    path = plant(clean, "bad.jpg", data)
    found = findings(clean)
    assert {c: f[0].paths for c, f in found.items()} == {code: (path,)}
    assert found[code][0].severity == "error"
    assert len(found[code][0].digests[0]) == 32


def test_everything_is_listed_past_many_errors(clean, findings):
    for number in range(10):
        plant(clean, f"bad{number}.jpg", b"x")
    shutil.rmtree(clean / "bee")
    found = findings(clean)
    assert len(found["not-a-picture"]) == 10
    assert found["too-few-classes"][0].severity == "error"


def frames(draw, encoded, format):
    return encoded(draw(1), format, save_all=True, append_images=[draw(2), draw(3)])


def sixteen_bit(draw):
    return Image.fromarray(np.asarray(draw(5).convert("L")).astype(np.uint16) * 257)


TRAITS = {
    "animated gif": ("animated", lambda d, e: frames(d, e, "GIF"), "gif"),
    "animated webp": ("animated", lambda d, e: frames(d, e, "WEBP"), "webp"),
    "animated png": ("animated", lambda d, e: frames(d, e, "PNG"), "png"),
    "pages": ("animated", lambda d, e: frames(d, e, "TIFF"), "tif"),
    "cmyk": ("cmyk", lambda d, e: e(d(5).convert("CMYK"), "JPEG"), "jpg"),
    "16-bit png": ("sixteen-bit", lambda d, e: e(sixteen_bit(d)), "png"),
    "16-bit tiff": ("sixteen-bit", lambda d, e: e(sixteen_bit(d), "TIFF"), "tiff"),
    "alpha": ("alpha", lambda d, e: e(d(5).convert("RGBA")), "png"),
    "alpha webp": ("alpha", lambda d, e: e(translucent(d), "WEBP"), "webp"),
    "palette": ("palette", lambda d, e: e(d(5).convert("P")), "png"),
    "grey mode": ("grey-among-colour", lambda d, e: e(d(5).convert("L")), "png"),
    "grey content": ("grey-among-colour", lambda d, e: e(d(5).convert("L").convert("RGB"), "JPEG"), "jpg"),
    "rotation": ("exif-rotation", lambda d, e: e(d(5), "JPEG", exif=turned(6)), "jpg"),
    "blank": ("blank-picture", lambda d, e: e(Image.new("RGB", (50, 40), (9, 99, 200)), "JPEG"), "jpg"),
    "jpeg called png": ("extension-lies", lambda d, e: e(d(5), "JPEG"), "png"),
    "tiny": ("tiny-picture", lambda d, e: e(d(5, (12, 15))), "png"),
    "extreme aspect": ("extreme-aspect", lambda d, e: e(d(5, (20, 120))), "png"),
    "small": ("sizes-far-apart", lambda d, e: e(d(5, (220, 275))), "png"),
}


def translucent(draw):
    image = draw(5).convert("RGBA")
    image.putalpha(draw(6).convert("L"))
    return image


def turned(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("name", TRAITS)
def test_a_trait(clean, draw, encoded, findings, name):
    code, make, suffix = TRAITS[name]
    path = plant(clean, f"odd.{suffix}", make(draw, encoded))
    found = findings(clean)
    assert [f.paths for f in found[code]] == [(path,)]
    assert found[code][0].message.startswith("1 picture(s): ")
    assert set(found) - {code} <= {"palette", "grey-among-colour"}, found
    assert found[code][0].severity in ("note", "warning")


def test_colour_among_grey_is_the_odd_one_out(clean, draw, encoded, findings):
    for path in clean.rglob("*.png"):
        path.write_bytes(encoded(Image.open(path).convert("L")))
    path = plant(clean, "03.png", encoded(draw(5)))
    assert [f.paths for f in findings(clean)["grey-among-colour"]] == [(path,)]


def test_a_wholly_grey_set_says_nothing_about_grey(clean, encoded, findings):
    for path in clean.rglob("*.png"):
        path.write_bytes(encoded(Image.open(path).convert("L")))
    assert findings(clean) == {}
