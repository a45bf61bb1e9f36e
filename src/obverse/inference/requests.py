"""Requests: what a predictor answers, one sample each, and failures for inputs that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from PIL import Image

from obverse.manifest import PictureStore, parse_locator


@dataclass(frozen=True)
class Stored:
    """A picture that a store reads, such as a member of an archive."""

    store: PictureStore

    locator: str
    """Place of the picture (`manifest/store/locator.py`)."""


@dataclass(frozen=True)
class WebPicture:
    """A picture that is fetched when it is decoded."""

    url: str
    """Address, http or https."""


Picture = str | Path | Image.Image | np.ndarray[Any, Any] | bytes
Source = Picture | Stored | WebPicture
Cell = str | int | float | None
# Key of a picture in a dict of views, when all views are parts of that picture.
WHOLE = "image"
Input = Picture | os.PathLike[str] | bytearray | IO[bytes] | Mapping[str, Picture | Cell]


@dataclass(frozen=True)
class Request:
    """One sample to predict."""

    id: str
    """Name of the sample, for people."""

    views: Mapping[str, Source]
    """View name -> picture; empty if `whole` is given."""

    whole: Source | None = None
    """The picture of which all views are parts, given instead of `views`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Extra column -> cell."""

    @property
    def identity(self) -> Hashable:
        """Key that is equal for requests of the same files, however their paths are spelled."""
        if self.whole is not None:
            return WHOLE, _identity(self.whole)
        return tuple((view, _identity(self.views[view])) for view in sorted(self.views))


def _identity(picture: Source) -> Hashable:
    """Key of a picture: device and inode of a file, which links share; for any other object its `id`."""
    if isinstance(picture, Stored):
        file, steps = parse_locator(picture.locator)
        return _identity(picture.store.root / file), tuple(steps)
    if isinstance(picture, WebPicture):
        return picture
    if not isinstance(picture, (str, Path)):
        return id(picture)
    try:
        status = os.stat(picture)
    except (OSError, ValueError):
        return os.path.abspath(picture)
    return status.st_dev, status.st_ino


@dataclass(frozen=True)
class Failure:
    """An input without a prediction, such as a file that is no picture."""

    id: str
    """Name of the input."""

    error: str
    """Reason, as a sentence."""


RequestOrFailure = Request | Failure
Entry = str | Request | Failure
"""A file's path stands for its request, which takes four times the memory."""


class Requests(Sequence[RequestOrFailure]):
    """Requests and failures in order, each made of its entry when it is asked for: a million files stay paths."""

    def __init__(self, entries: Sequence[Entry], of_file: Callable[[str], Request]) -> None:
        self._entries, self._of_file = entries, of_file

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, place: int) -> RequestOrFailure: ...

    @overload
    def __getitem__(self, place: slice) -> Requests: ...

    def __getitem__(self, place: int | slice) -> RequestOrFailure | Requests:
        if isinstance(place, slice):
            return Requests(self._entries[place], self._of_file)
        entry = self._entries[place]
        return self._of_file(entry) if isinstance(entry, str) else entry
