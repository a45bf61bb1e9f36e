"""A picture is what its bytes say; what is not read is counted, and a class that has nothing else is named."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.errors import DataError
from obverse.imaging import decode_picture
from obverse.imaging.endings import is_picture_head
from obverse.manifest import Index, build_index, walk_pictures
from obverse.manifest.sources.folders.unread import CONVERT
from obverse.manifest.verify import tree_findings
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
Files = Callable[[Path], dict[str, bytes]]
Pack = Callable[[Path, Mapping[str, bytes]], Path]
KINDS = {"jfif": "JPEG", "jif": "JPEG", "ppm": "PPM", "pgm": "PPM", "pbm": "PPM", "pnm": "PPM"}
FORMS = ["folder", "x.zip", "x.deflated.zip", "x.tar.gz"]


def encoded(kind: str, seed: int, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def in_form(form: str, files: Mapping[str, bytes], folder: Path, pack: Pack) -> Path:
    if form != "folder":
        folder.mkdir()
        return pack(folder / form, files)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def warnings_of(index: Index, code: str) -> list[str]:
    return [found.message for found in index.findings if found.code == code and found.severity == "warning"]


@pytest.mark.parametrize("form", FORMS)
def test_names_that_say_little_or_lie(form: str, tmp_path: Path, pack: Pack) -> None:
    names = ["1", "2.dat", "photo.2024", "4.jpg_large", "5.JFIF", "6.ppm", "7"]
    kinds = ["JPEG", "PNG", "GIF", "WEBP", "JPEG", "PPM", "BMP"]
    files = {
        f"{label}/{name}": encoded(kind, seed)
        for label in ("cat", "dog")
        for seed, (name, kind) in enumerate(zip(names, kinds, strict=True), 10 * len(label) + ord(label[0]))
    }
    others = {"cat/README": b"Photographs of cats", "dog/data.bin": b"BM, not a picture at all", "dog/empty": b""}
    index = build_index(in_form(form, {**files, **others}, tmp_path / "set", pack), DataSpec())
    assert sorted(sample.id for sample in index.manifest.samples) == sorted(files)
    assert not warnings_of(index, "unread-picture")


@pytest.mark.parametrize("form", FORMS)
def test_a_class_without_readable_pictures_is_warned_of(form: str, tmp_path: Path, pack: Pack) -> None:
    files = {f"{label}/{n}.png": encoded("PNG", n + ord(label[0])) for label in ("cat", "dog") for n in range(4)}
    lost = {f"owl/deep/{n}.heic": b"\0\0\0\x18ftypheic" for n in range(3)} | {"cat/9.avif": b"\0\0\0\x1cftypavif"}
    index = build_index(in_form(form, {**files, **lost}, tmp_path / "set", pack), DataSpec())
    assert index.manifest.classes == ("cat", "dog")
    (unread,) = warnings_of(index, "unread-picture")
    assert unread == f"4 picture(s) are of a kind that is not read (1 .avif, 3 .heic): {CONVERT}"
    (empty,) = warnings_of(index, "empty-class")
    assert empty.endswith("and make no class: owl (3 .heic)")


def test_an_empty_class_folder_is_warned_of_in_every_layout(tree: Tree) -> None:
    root = tree([f"{split}/{label}/{n}.png" for split in ("train", "val") for label in ("a", "b") for n in range(4)])
    (root / "train" / "c").mkdir()
    (root / "notes").mkdir()  # beside the splits, so no class
    (found,) = warnings_of(build_index(root, DataSpec()), "empty-class")
    assert found.endswith(": train/c (empty)")


def test_an_empty_class_beside_classes_of_views(tree: Tree) -> None:
    names = [f"{label}/{side}/c{n}.png" for label in ("a", "b") for side in ("obverse", "reverse") for n in range(6)]
    root = tree(names)
    (root / "c" / "obverse").mkdir(parents=True)
    (found,) = warnings_of(build_index(root, DataSpec()), "empty-class")
    assert found.endswith(": c (empty)")


def test_a_folder_of_nothing_else_says_what_to_do(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.HEIC").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no pictures below .*: 2 picture\(s\) are of a kind .*\(2 \.heic\): convert"):
        build_index(tmp_path, DataSpec())


def test_only_names_that_say_nothing_are_opened(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(["a/1.png", "a/2.jpg", "b/1.png"])
    for name in ("a/table.csv", "a/notes.txt", "b/x.zip", "b/unknown", "b/9.heic"):
        (root / name).write_bytes(b"x")
    os.mkfifo(root / "b" / "pipe")
    from obverse.manifest.sources.folders import unread

    opened: list[str] = []
    real = unread.open_regular
    monkeypatch.setattr(unread, "open_regular", lambda path: opened.append(Path(path).name) or real(path))
    assert list(walk_pictures(root)) == ["a/1.png", "a/2.jpg", "b/1.png"]
    assert sorted(opened) == ["pipe", "unknown"]
    (found,) = [f for f in tree_findings(root) if f.code == "other-file"]
    assert found.paths == ("a/notes.txt", "a/table.csv", "b/9.heic", "b/pipe", "b/unknown", "b/x.zip")


@pytest.mark.parametrize(("ending", "kind"), KINDS.items())
def test_every_new_ending_is_decoded(ending: str, kind: str) -> None:
    mode = {"pgm": "L", "pbm": "1"}.get(ending, "RGB")
    data = encoded(kind, 1, mode)
    assert is_picture_head(data[:32])
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(decode_picture(data).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("white", [1, 100, 255, 1000, 65535])
def test_white_of_a_grey_map_is_what_its_header_says(white: int) -> None:
    values = np.array([[0, white // 2, white]])
    raw = values.astype(">u2" if white > 255 else np.uint8).tobytes()
    for data in (b"P5\n3 1\n%d\n" % white + raw, b"P2\n# text\n3 1\n%d\n0 %d %d\n" % (white, white // 2, white)):
        decoded = decode_picture(data)[0, :, 0].astype(int)
        assert np.abs(decoded - (values[0] * 255 / white)).max() <= 1, data[:2]


def test_a_large_map_in_text_is_refused_before_it_is_read() -> None:
    for data in (b"P3 1000 1000 255\n" + b"1 2 3 " * 400_000, b"P6 1000 800 77\n" + bytes(2_400_000)):
        with pytest.raises(DataError, match=r"a PNM of 2,40.* above the limit of 2,097,152"):
            decode_picture(data)
    assert decode_picture(b"P6 1000 800 255\n" + bytes(2_400_000)).shape == (800, 1000, 3)
