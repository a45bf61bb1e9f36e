"""Disk cache of pictures at their working size, for sets larger than memory and for later runs.

    ROOT/pixels/KEY/about.json       what KEY stands for
                    .lock            held while files are checked or made
                    000001.pixels    pictures (pixel_file.py); a later file holds what earlier ones lacked

KEY is a digest of everything besides the original file that decides a pixel: kind, geometry, decoder, library versions.
The key of an entry is a content digest, so runs, splits and copies of the data share entries. Every entry that is
needed is checked against its checksum when the cache is opened; a damaged one is made again. A second process that
needs the same pictures waits for the first, then reads them. The folder may be deleted at any time.

Raw entries equal the uncached pixels bit for bit. JPEG entries (quality 95, 4:2:0) are a fifth as large and not exact.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch

from obverse.cpus import num_usable_cpus
from obverse.data.geometry import GEOMETRY_VERSION, Geometry
from obverse.imaging import DECODER_VERSION, PictureError, Pixels, content_digest, joint_digest
from obverse.manifest import Manifest, Sample
from obverse.runtime import locked

from .pixel_file import PART, PixelFile, PixelWriter

Progress = Callable[[int, int], None]
JPEG_QUALITY = 95
# Measured on photographs at 224: a fifth of the raw pixels.
JPEG_SHARE = 0.2
CHUNK_PER_THREAD = 16


class DiskCache:
    """Read access to the entries of a disk cache.

    places_N3: file number, offset and length for each slot; length 0 where there is no entry. raw_shape: the shape of
    raw pictures; None for JPEG.
    """

    def __init__(
        self, paths: Sequence[Path], places_N3: npt.NDArray[np.int64], raw_shape: tuple[int, int, int] | None
    ) -> None:
        self._paths, self._places_N3, self._raw_shape = tuple(paths), places_N3, raw_shape
        self._files = [PixelFile(path).data for path in paths]

    def __reduce__(self) -> tuple[object, ...]:
        """Pickling by file names: a worker that is not forked maps the files itself."""
        return DiskCache, (self._paths, self._places_N3, self._raw_shape)

    @property
    def has_most(self) -> bool:
        """Whether more than half of the slots hold pixels; a JPEG is still to be decoded."""
        num_kept = np.count_nonzero(self._places_N3[:, 2])
        return self._raw_shape is not None and bool(2 * num_kept > len(self._places_N3))

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """The picture of a slot, read from disk; `make` returns it when there is no entry."""
        file, offset, length = self._places_N3[slot]
        if length == 0:
            return make()
        data = self._files[file][offset : offset + length]
        pixels: Pixels = data.reshape(self._raw_shape) if self._raw_shape else simplejpeg.decode_jpeg(data, "RGB")
        return pixels


@dataclass(frozen=True)
class CacheContent:
    """The specification of a cache's content: the pictures of `samples`, fitted by `geometry`. kind: raw or jpeg."""

    manifest: Manifest
    samples: Sequence[Sample]
    geometry: Geometry
    kind: str

    def key(self) -> str:
        """The name of the cache folder, a digest of `about`."""
        return content_digest(json.dumps(self.about(), sort_keys=True).encode())[:16]

    def about(self) -> dict[str, object]:
        """Everything besides the original file that decides a pixel."""
        versions = {name: version(name) for name in ("torch", "pillow", "simplejpeg")}
        cpu = torch.backends.cpu.get_cpu_capability()
        form = {"kind": self.kind, "decoder": DECODER_VERSION, "fit": GEOMETRY_VERSION, "cpu": cpu}
        return {**form, "geometry": asdict(self.geometry), **versions}

    def keys(self) -> dict[int, bytes]:
        """Slot -> key of its entry. A sample without a digest has no entry."""
        views, keys = self.manifest.views, {}
        for index, sample in enumerate(self.samples):
            for number, view in enumerate(sample.views) if sample.digest else ():
                key = bytes.fromhex(content_digest(f"{sample.digest}/{number}".encode()))
                keys[index * len(views) + views.index(view)] = key
        return keys

    def make(self, index: int) -> list[tuple[bytes, bytes]]:
        """(key, entry) of every picture of a sample; empty when one is unreadable or its digest has changed.

        No error is raised here: the loader reads such a picture from its original file, and raises there.
        """
        sample = self.samples[index]
        least = self.geometry.least_decode
        try:
            stored = [self.manifest.store.read(locator) for locator in sample.views.values()]
            if joint_digest(picture.digest() for picture in stored) != sample.digest:
                return []
            fitted = [self.geometry.fitted(p.decode(min_height=least[0], min_width=least[1])) for p in stored]
        except PictureError:
            return []
        keys = [content_digest(f"{sample.digest}/{number}".encode()) for number in range(len(stored))]
        return [(bytes.fromhex(key), self._encoded(pixels)) for key, pixels in zip(keys, fitted, strict=True)]

    def _encoded(self, pixels: Pixels) -> bytes:
        if self.kind == "raw":
            return pixels.tobytes()
        return bytes(simplejpeg.encode_jpeg(pixels, JPEG_QUALITY, "RGB", "420"))

    def num_bytes(self, num_pictures: int) -> int:
        """Estimated disk space of so many pictures."""
        height, width, channels = self.geometry.shape
        return int(num_pictures * height * width * channels * (1 if self.kind == "raw" else JPEG_SHARE))


def open_disk_cache(
    root: Path, content: CacheContent, progress: Progress = lambda done, total: None
) -> tuple[DiskCache, str]:
    """The disk cache, completed as far as the disk allows, and a summary line: folder, size and problems."""
    folder, start, keys = root / "pixels" / content.key(), time.perf_counter(), content.keys()
    files: list[Path] = []
    complaint, num_made, num_damaged = "", 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for part in folder.glob(f"*{PART}"):
                part.unlink()
            (folder / "about.json").write_text(json.dumps(content.about(), indent=1) + "\n", encoding="utf-8")
            files, entries, num_damaged = _read(folder, set(keys.values()), content)
            num_made = _make(folder, content, keys, set(entries), progress)
            if num_made:
                files, entries, _ = _read(folder, set(keys.values()), content, check=False)
    except OSError as error:
        files, entries, _ = _read(folder, set(keys.values()), content, check=True)
        complaint = f"the cache cannot be completed ({error.strerror or error})"
    places_N3 = np.zeros((len(content.samples) * len(content.manifest.views), 3), np.int64)
    for slot, key in keys.items():
        places_N3[slot] = entries.get(key, (0, 0, 0))
    num_here = int((places_N3[:, 2] > 0).sum())
    num_lacking = sum(len(sample.views) for sample in content.samples) - num_here
    clauses = [f"cache: {num_here} pictures, {places_N3[:, 2].sum() / 1e9:.2f} GB {content.kind} in {str(folder)!r}"]
    clauses += [f"{num_made} made in {time.perf_counter() - start:.0f} s"] if num_made else []
    clauses += [f"{num_damaged} damaged ones found"] if num_damaged else []
    clauses += [f"{complaint or 'some could not be made'}; {num_lacking} are decoded every time"] if num_lacking else []
    return DiskCache(files, places_N3, content.geometry.shape if content.kind == "raw" else None), "; ".join(clauses)


# Key -> (file number, offset, length).
Entries = dict[bytes, tuple[int, int, int]]


def _read(
    folder: Path, keys: set[bytes], content: CacheContent, *, check: bool = True
) -> tuple[list[Path], Entries, int]:
    """The cache's files, the place of each requested entry, and the number of damaged entries, which are left out."""
    paths: list[Path] = []
    files: list[PixelFile] = []
    rows: dict[bytes, tuple[int, int]] = {}
    for path in sorted(folder.glob("*.pixels")):
        try:
            file = PixelFile(path)
        except (OSError, ValueError):
            with suppress(OSError):
                path.unlink()
            continue
        rows |= {key: (len(files), row) for row, e in enumerate(file.entries) if (key := e["key"].tobytes()) in keys}
        paths.append(path)
        files.append(file)
    where = list(rows.items())
    if check:
        with ThreadPoolExecutor(num_usable_cpus()) as pool:
            sound = list(pool.map(lambda item: files[item[1][0]].is_sound(item[1][1]), where))
    else:
        sound = [True] * len(where)
    entries: Entries = {}
    for (key, (file_number, row)), is_sound in zip(where, sound, strict=True):
        if is_sound:
            entry = files[file_number].entries[row]
            entries[key] = (file_number, int(entry["offset"]), int(entry["length"]))
    return paths, entries, len(where) - len(entries)


def _make(folder: Path, content: CacheContent, keys: dict[int, bytes], have: set[bytes], progress: Progress) -> int:
    """Number of missing pictures that were made and written as a further file. OSError when the disk is too small."""
    num_views = len(content.manifest.views)
    lacking = {key: slot // num_views for slot, key in keys.items() if key not in have}
    if not lacking:
        return 0
    needed, free = content.num_bytes(len(lacking)), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"it needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left")
    done: set[bytes] = set()
    todo = iter(dict.fromkeys(lacking.values()))
    number = max((int(path.stem) for path in folder.glob("*.pixels")), default=0) + 1
    with PixelWriter(folder / f"{number:06}.pixels") as writer, ThreadPoolExecutor(num_usable_cpus()) as pool:
        # In chunks, because finished pictures would otherwise pile up in memory when the disk is slow.
        while chunk := list(islice(todo, CHUNK_PER_THREAD * num_usable_cpus())):
            for entries in pool.map(content.make, chunk):
                for key, data in entries:
                    if key in lacking and key not in done:
                        writer.add(key, data)
                        done.add(key)
            progress(len(done), len(lacking))
    return len(done)
