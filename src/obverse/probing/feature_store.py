"""Features of pictures on disk, so that a second comparison does not compute them again.

    CACHE/features/KEY/about.json         what KEY stands for
                       000001.features    features of some pictures (the container of the pixel cache)
                       speed.json         milliseconds per picture, as measured here

KEY is a digest of everything besides the picture that decides its features: geometry, decoder, backbone, weights. The
key of an entry is a content digest, so runs, splits and copies of the data share entries. A file is renamed to its name
when it is complete: a process that is killed loses what it computed since its last file, and two processes that write
at once add a file each. A damaged entry is computed again. The folder may be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.data import PixelFile, PixelWriter
from obverse.files import write_whole
from obverse.imaging import content_digest
from obverse.runtime import locked

SUFFIX = ".features"
Vector = npt.NDArray[np.float32]


class FeatureStore:
    """Features under one key. Where nothing can be written, entries are not kept, and `complaint` says why.

    root: the cache folder; None where there is none.
    """

    def __init__(self, root: Path | None, about: Mapping[str, Any]) -> None:
        text = json.dumps(about, sort_keys=True, default=str)
        self._about = about
        self._folder = root and root / "features" / content_digest(text.encode())[:16]
        self.complaint = "" if root else "no cache folder is known"

    def read(self, keys: set[bytes], width: int) -> dict[bytes, Vector]:
        """The features that are stored and sound. width: numbers of each."""
        entries: dict[bytes, Vector] = {}
        for path in sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder else ():
            with suppress(OSError, ValueError):  # a damaged file counts as absent
                entries |= _entries(PixelFile(path), keys - entries.keys(), width)
        return entries

    def add(self, entries: Mapping[bytes, Vector]) -> None:
        """Write features as a further file."""
        if self._folder is None or self.complaint or not entries:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                for part in self._folder.glob("*.part"):  # of a killed process: a living one holds the lock
                    part.unlink()
                write_whole(self._folder / "about.json", _as_bytes(self._about), sync=False)
                number = max((int(path.stem) for path in self._folder.glob(f"*{SUFFIX}")), default=0) + 1
                with PixelWriter(self._folder / f"{number:06}{SUFFIX}") as writer:
                    for key, vector in entries.items():
                        writer.add(key, vector.astype("<f4").tobytes())
        except OSError as error:
            self.complaint = f"features cannot be kept in {str(self._folder)!r}: {error.strerror or error}"

    @property
    def milliseconds(self) -> float | None:
        """Milliseconds per picture when features were last computed; None where that is not known."""
        if self._folder is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            return float(json.loads((self._folder / "speed.json").read_text(encoding="utf-8"))["ms_per_picture"])
        return None

    def note_speed(self, value: float) -> None:
        """Remember the milliseconds per picture."""
        if self._folder is not None and not self.complaint:
            with suppress(OSError):
                write_whole(self._folder / "speed.json", _as_bytes({"ms_per_picture": value}), sync=False)


def _entries(file: PixelFile, keys: set[bytes], width: int) -> dict[bytes, Vector]:
    entries = {}
    for row, entry in enumerate(file.entries):
        key, offset, length = entry["key"].tobytes(), int(entry["offset"]), int(entry["length"])
        if key in keys and length == 4 * width and file.is_sound(row):
            entries[key] = np.frombuffer(file.data[offset : offset + length].tobytes(), "<f4").astype(np.float32)
    return entries


def _as_bytes(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True, default=str) + "\n").encode()
