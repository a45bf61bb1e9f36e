"""793 odd and hostile files from other decoders' own test suites: a picture or PictureError, nothing else."""

from __future__ import annotations

import re
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import PictureError, Pixels, decode_picture


@pytest.fixture(scope="module")
def archive(real_data: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(real_data / "hostile_images.zip") as opened:
        yield opened


def decoded(data: bytes) -> Pixels | PictureError:
    try:
        return decode_picture(data)
    except PictureError as error:
        return error


def test_every_file_is_a_picture_or_a_picture_error_in_bounded_time_and_memory(archive: zipfile.ZipFile) -> None:
    resource = pytest.importorskip("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    num_pictures = 0
    for name in archive.namelist():
        data, start = archive.read(name), time.process_time()
        result = decoded(data)
        assert time.process_time() - start < 3, name
        if isinstance(result, PictureError):
            assert str(result), name
            continue
        num_pictures += 1
        assert result.dtype == np.uint8, name
        assert result.ndim == 3, name
        assert result.shape[2] == 3, name
        assert min(result.shape) > 0, name
    assert num_pictures > 450
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 512 * 2**20


def test_verification_sized_decoding_is_just_as_safe(archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        data = archive.read(name)
        try:
            pixels = decode_picture(data, min_height=64, min_width=64)
        except PictureError:
            assert isinstance(decoded(data), PictureError), name
        else:
            assert pixels.shape[2] == 3, name


@pytest.mark.parametrize("series", ["Landscape", "Portrait"])
def test_the_exif_examples_agree(archive: zipfile.ZipFile, series: str) -> None:
    names = [n for n in archive.namelist() if re.search(rf"/exif/{series}_\d\.jpg$", n)]
    assert len(names) >= 8
    # Each file was compressed anew and shows its own number: averages over 8x8 blocks agree, single pixels do not.
    pictures = [Image.fromarray(decode_picture(archive.read(name))).reduce(8) for name in names]
    first = np.asarray(pictures[0]).astype(int)
    for name, picture in zip(names, pictures, strict=True):
        assert picture.size == pictures[0].size, name
        assert np.abs(np.asarray(picture) - first).mean() < 2, name


def test_the_turned_tiffs_agree(archive: zipfile.ZipFile) -> None:
    names = [n for n in archive.namelist() if re.search(r"/g4_orientation_\d\.tif$", n)]
    assert len(names) == 8
    pictures = [decode_picture(archive.read(name)) for name in names]
    for name, picture in zip(names, pictures, strict=True):
        assert picture.shape == pictures[0].shape, name
        assert (picture == pictures[0]).mean() > 0.99, name


def test_the_corrupt_files_of_pngsuite_are_refused(archive: zipfile.ZipFile) -> None:
    names = [n for n in archive.namelist() if re.search(r"/pngsuite/(png/)?x[^/]*\.png$", n)]
    assert len(names) >= 14
    accepted = [name for name in names if not isinstance(decoded(archive.read(name)), PictureError)]
    assert accepted == []


def test_the_sound_files_of_pngsuite_are_pictures(archive: zipfile.ZipFile) -> None:
    names = [n for n in archive.namelist() if re.search(r"/pngsuite/png/[^x/][^/]*\.png$", n)]
    refused = [name for name in names if isinstance(decoded(archive.read(name)), PictureError)]
    assert len(names) > 100
    assert refused == []


def test_a_lossless_jpeg_is_read_whole_at_every_size_asked_for(real_data: Path) -> None:
    data = (real_data / "lossless_sof3.jpg").read_bytes()
    whole = decode_picture(data)
    for side in (1, 8, 16, 32, 64, 90) * 20:
        np.testing.assert_array_equal(decode_picture(data, min_height=side, min_width=side), whole)
