"""Conversion of a predictor's inputs to requests: paths, folders, archives, PIL images, arrays, and dicts of views."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from obverse.errors import DataError
from obverse.imaging import MAX_BYTES
from obverse.manifest import remote_url
from obverse.recipe import did_you_mean

from .expansion import Expansion
from .requests import WHOLE, Cell, Entry, Failure, Input, Picture, Request, Requests, Source


def find_requests(
    inputs: Input | Sequence[Input],
    expansion: Expansion,
    *,
    columns: Mapping[str, Cell] | None = None,
    are_parts: bool = False,
) -> Requests:
    """Requests for all samples in `inputs`, and failures for inputs that cannot be used, in order.

    A folder, a glob, an archive, a table or a list stands for all its pictures.

    columns: values of extra columns for samples that have none of their own.
    are_parts: whether the model's views are parts of one picture, which may be given whole.

    DataError when there is no sample at all, or `columns` has an unknown name.
    """
    if not isinstance(inputs, Iterable) or isinstance(inputs, _ONE) or hasattr(inputs, "read"):
        inputs = [inputs]  # type: ignore[list-item]
    common = _cells(columns or {}, expansion.known)
    entries: list[Entry] = []
    for number, item in enumerate(inputs):
        entries += _entries(item, number, common, expansion, are_parts)
    if not entries:
        raise DataError("nothing to predict: give at least one picture")
    return Requests(entries, partial(_of_file, expansion.views[0], common, are_parts))


def _of_file(view: str, columns: Mapping[str, str], is_whole: bool, path: str) -> Request:
    return Request(path, {}, path, columns) if is_whole else Request(path, {view: path}, columns=columns)


def _entries(
    item: Input, number: int, common: Mapping[str, str], expansion: Expansion, are_parts: bool
) -> Sequence[Entry]:
    """An entry for every sample of one input, or its failure."""
    pictures, own = _apart(item, expansion.known)
    is_whole = are_parts and not _names_a_view(pictures, expansion.views)
    expansion = replace(expansion, views=(WHOLE,)) if is_whole else expansion
    name = _name_of(pictures, number)
    try:
        if isinstance(pictures, Mapping):
            entries: Sequence[Entry] = [Request(name, _checked_views(pictures, expansion))]
        else:
            entries = expansion.entries(_usable(pictures))
    except DataError as error:
        return [Failure(name, str(error))]
    return [_completed(entry, name, common, own, is_whole) for entry in entries]


def _completed(entry: Entry, name: str, common: Mapping[str, str], own: Mapping[str, str], is_whole: bool) -> Entry:
    """A request with its name and all its columns; paths and failures as they are."""
    if not isinstance(entry, Request):
        return entry
    columns = {**common, **own, **entry.columns}
    if is_whole and WHOLE in entry.views:
        return Request(entry.id or name, {}, entry.views[WHOLE], columns)
    return Request(entry.id or name, entry.views, entry.whole, columns)


# What is one picture or sample, although one could iterate over it.
_ONE = (str, bytes, bytearray, os.PathLike, Image.Image, np.ndarray, Mapping)


def _usable(item: Any) -> Picture:
    """A picture as one of the kinds that are read later; DataError when it is of no kind."""
    if isinstance(item, os.PathLike):
        item = os.fspath(item)
    elif isinstance(item, bytearray):
        item = bytes(item)
    elif hasattr(item, "read"):
        item = _content(item)
    if isinstance(item, str) and not item:
        raise DataError("the path is empty")
    if isinstance(item, (str, Image.Image, bytes)) or (isinstance(item, np.ndarray) and _is_picture(item)):
        return item
    what = f"an array of {item.dtype} {item.shape}" if isinstance(item, np.ndarray) else type(item).__name__
    raise DataError("a picture is a path, a PIL image, the bytes of a picture file, a uint8 array "
                    "(height, width[, 3 or 4]) or a dict of views, "
                    f"not {'None' if item is None else what}")  # fmt: skip


def _content(file: Any) -> bytes:
    """The bytes of an open file, and of one that is too large a few too many."""
    try:
        content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"the open file cannot be read: {error}") from None
    if not isinstance(content, bytes):
        raise DataError("the open file gives text; open it with mode 'rb'")
    return content


def _is_picture(array: np.ndarray[Any, Any]) -> bool:
    is_shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    return array.dtype == np.uint8 and is_shaped and array.size > 0


def _names_a_view(item: Picture | Mapping[str, Picture], views: tuple[str, ...]) -> bool:
    return isinstance(item, Mapping) and any(view in item for view in views)


def _apart(item: Input, known: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """The pictures of one input, and its values of extra columns."""
    if not isinstance(item, Mapping):
        return item, {}
    own = {name: value for name, value in item.items() if name in known}
    pictures: dict[str, Any] = {name: value for name, value in item.items() if name not in known}
    return pictures, _cells(own, known)  # type: ignore[arg-type]


def _cells(columns: Mapping[str, Cell], known: Sequence[str]) -> dict[str, str]:
    """Values of extra columns as text, as a table has them, without None. DataError for an unknown name."""
    for name in columns:
        if name not in known:
            has = f"the extra columns {', '.join(known)}" if known else "no extra columns"
            raise DataError(f"the model sees {has}, and no `{name}`{did_you_mean(name, known)}")
    return {name: str(value) for name, value in columns.items() if value is not None}


def _checked_views(item: Mapping[str, Picture], expansion: Expansion) -> dict[str, Source]:
    views = expansion.views
    given = {view: picture for view, picture in item.items() if picture is not None}
    unknown = [view for view in given if view not in views]
    if unknown or not given:
        what = f"the model has no view {unknown[0]!r}" if unknown else "there is no picture"
        raise DataError(f"{what}; it looks at {', '.join(views)}")
    pictures: dict[str, Source] = {}
    for view, picture in given.items():
        usable = _usable(picture)
        url = remote_url(usable) if isinstance(usable, str) else None
        pictures[view] = expansion.web_picture(url) if url else usable
    return pictures


def _name_of(item: Picture | Mapping[str, Picture], number: int) -> str:
    if not isinstance(item, Mapping):
        return str(item) if isinstance(item, (str, os.PathLike)) else f"picture {number + 1}"
    paths = [str(picture) for picture in item.values() if isinstance(picture, (str, os.PathLike))]
    return " + ".join(paths) if paths else f"sample {number + 1}"
