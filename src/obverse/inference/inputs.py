"""Conversion of a predictor's inputs to requests: paths, folders, archives, PIL images, arrays, and dicts of views."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from obverse.errors import DataError
from obverse.imaging import MAX_BYTES, PictureError, Pixels, picture_from_image, read_picture, shared_sandbox
from obverse.manifest import (
    ARCHIVE_SUFFIXES,
    LIST_SUFFIXES,
    PictureStore,
    composed,
    data_root,
    name_key,
    open_tree,
    parse_locator,
    read_picture_list,
    remote_url,
    stem_key,
    walk_pictures,
)
from obverse.recipe import did_you_mean
from obverse.terminal import natural_key


@dataclass(frozen=True)
class Stored:
    """A picture that a store reads, such as a member of an archive."""

    store: PictureStore

    locator: str
    """Place of the picture (`manifest/store/locator.py`)."""


Picture = str | Path | Image.Image | np.ndarray[Any, Any] | bytes
Cell = str | int | float | None
# Key of a picture in a dict of views, when all views are parts of that picture.
WHOLE = "image"
Input = Picture | os.PathLike[str] | bytearray | IO[bytes] | Mapping[str, Picture | Cell]


@dataclass(frozen=True)
class Request:
    """One sample to predict."""

    id: str
    """Name of the sample, for people."""

    views: Mapping[str, Picture | Stored]
    """View name -> picture; empty if `whole` is given."""

    whole: Picture | Stored | None = None
    """The picture of which all views are parts, given instead of `views`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Extra column -> cell."""

    @property
    def identity(self) -> Hashable:
        """Key that is equal for requests of the same files, however their paths are spelled."""
        if self.whole is not None:
            return WHOLE, _identity(self.whole)
        return tuple((view, _identity(self.views[view])) for view in sorted(self.views))


def _identity(picture: Picture | Stored) -> Hashable:
    """Key of a picture: device and inode of a file, which links share; for any other object its `id`."""
    if isinstance(picture, Stored):
        file, steps = parse_locator(picture.locator)
        return _identity(picture.store.root / file), tuple(steps)
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


def read_requests(
    inputs: Input | Sequence[Input],
    views: tuple[str, ...],
    *,
    known: Sequence[str] = (),
    columns: Mapping[str, Cell] | None = None,
    are_parts: bool = False,
) -> list[Request]:
    """Requests for all samples in `inputs`; see `find_requests`. DataError for the first input that cannot be used."""
    requests = []
    for request in find_requests(inputs, views, known=known, columns=columns, are_parts=are_parts):
        if isinstance(request, Failure):
            raise DataError(request.error)
        requests.append(request)
    return requests


def find_requests(
    inputs: Input | Sequence[Input],
    views: tuple[str, ...],
    *,
    known: Sequence[str] = (),
    columns: Mapping[str, Cell] | None = None,
    are_parts: bool = False,
) -> list[RequestOrFailure]:
    """Requests for all samples in `inputs`, and failures for inputs that cannot be used, in order.

    A folder, an archive, a table or a list stands for all its pictures.

    views: names of the model's views.
    known: names of the extra columns that the model sees.
    columns: values of extra columns for samples that have none of their own.
    are_parts: whether the model's views are parts of one picture, which may be given whole.

    DataError when there is no sample at all, or `columns` has an unknown name.
    """
    if not isinstance(inputs, Iterable) or isinstance(inputs, _ONE) or hasattr(inputs, "read"):
        inputs = [inputs]  # type: ignore[list-item]
    common = _cells(columns or {}, known)
    result: list[RequestOrFailure] = []
    for number, item in enumerate(inputs):
        pictures, own = _apart(item, known)
        is_whole = are_parts and not _names_a_view(pictures, views)
        try:
            pictures = pictures if isinstance(pictures, Mapping) else _usable(pictures)
            requests = _expand(pictures, number, (WHOLE,) if is_whole else views, known)
        except DataError as error:
            requests = [Failure(_name_of(pictures, number), str(error))]
        for request in requests:
            if isinstance(request, Failure):
                result.append(request)
                continue
            if is_whole and WHOLE in request.views:
                request = Request(request.id, {}, request.views[WHOLE], request.columns)
            result.append(replace(request, columns={**common, **own, **request.columns}))
    if not result:
        raise DataError("nothing to predict: give at least one picture")
    return result


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


def load_pixels(picture: Picture | Stored, least: tuple[int, int]) -> Pixels:
    """Upright RGB pixels, uint8 (height, width, 3), of any kind of picture. least: (min_height, min_width) to decode.

    Files are of unknown origin and therefore decoded in a child process: a decoder that crashes raises PictureError.

    DataError for an array of another dtype or shape.
    """
    if isinstance(picture, (str, Path)):
        return read_picture(picture, min_height=least[0], min_width=least[1], decode=shared_sandbox().decode)
    if isinstance(picture, Stored):
        sandbox = shared_sandbox()
        return picture.store.decode(picture.locator, min_height=least[0], min_width=least[1], sandbox=sandbox)
    if isinstance(picture, bytes):
        return shared_sandbox().decode(picture, min_height=least[0], min_width=least[1])
    try:
        return picture_from_image(picture if isinstance(picture, Image.Image) else Image.fromarray(picture))
    except DataError:
        raise
    except Exception as error:  # a PIL image reads its file late, and may be closed by then
        raise PictureError(f"the image cannot be read ({error})") from None


def _expand(
    item: Picture | Mapping[str, Picture], number: int, views: tuple[str, ...], known: Sequence[str]
) -> Sequence[RequestOrFailure]:
    if isinstance(item, Mapping):
        return [Request(_name_of(item, number), _checked_views(item, views))]
    if isinstance(item, (str, Path)) and _is_folder(Path(item)):
        return _folder(Path(item), views)
    if isinstance(item, (str, Path)) and str(item).lower().endswith(ARCHIVE_SUFFIXES):
        return _archive(Path(item), views)
    if isinstance(item, (str, Path)) and str(item).lower().endswith(LIST_SUFFIXES):
        return _listed(Path(item), views, known)
    if len(views) > 1:
        raise DataError(f"this model looks at {', '.join(views)}: say which view each picture is, as "
                        f"--view {views[0]}=FILE on the command line or {{{views[0]!r}: FILE}} in Python, or give a "
                        f"folder with the sub-folders {', '.join(views)}, or a table with these columns")  # fmt: skip
    return [Request(_name_of(item, number), {views[0]: item})]


def _listed(path: Path, views: tuple[str, ...], known: Sequence[str]) -> Sequence[RequestOrFailure]:
    """A request for each row of a table or list, or a failure for a row without a picture."""
    listed = read_picture_list(path)
    column_of = {view: column for column in listed.columns for view in views if name_key(view) == name_key(column)}
    if not column_of and len(views) == len(listed.columns) == 1:
        column_of = {views[0]: listed.columns[0]}
    if not column_of:
        raise DataError(f"{str(path)!r}: the columns with pictures are {', '.join(listed.columns)}, and this model "
                        f"looks at {', '.join(views)}; name the columns so")  # fmt: skip
    store, requests = PictureStore(listed.root), list[RequestOrFailure]()
    for row in listed.rows:
        there = {view: row.pictures[column] for view, column in column_of.items() if column in row.pictures}
        own = {name: cell for name, cell in row.cells.items() if name in known and cell}
        pictures = {view: Stored(store, locator) for view, locator in there.items()}
        requests.append(Request(row.name, pictures, columns=own) if there else Failure(row.name, "it names no picture"))
    return requests


def _is_folder(path: Path) -> bool:
    """Whether the path is a folder; DataError when it does not exist or cannot be opened."""
    try:
        if not path.exists():
            if url := remote_url(path):
                raise DataError(f"{url!r} is a URL, and predictions take no URLs; give a file or a folder here")
            raise DataError(f"{str(path)!r} does not exist")
        return path.is_dir()
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be opened: {error.strerror}") from None


def _checked_views(item: Mapping[str, Picture], views: tuple[str, ...]) -> dict[str, Picture]:
    given = {view: picture for view, picture in item.items() if picture is not None}
    unknown = [view for view in given if view not in views]
    if unknown or not given:
        what = f"the model has no view {unknown[0]!r}" if unknown else "there is no picture"
        raise DataError(f"{what}; it looks at {', '.join(views)}")
    return {view: _usable(picture) for view, picture in given.items()}


def _name_of(item: Picture | Mapping[str, Picture], number: int) -> str:
    if not isinstance(item, Mapping):
        return str(item) if isinstance(item, (str, Path)) else f"picture {number + 1}"
    paths = [str(picture) for picture in item.values() if isinstance(picture, (str, Path))]
    return " + ".join(paths) if paths else f"sample {number + 1}"


def _folder(folder: Path, views: tuple[str, ...]) -> Sequence[RequestOrFailure]:
    return _paired(folder, list(walk_pictures(folder)), lambda path: folder / path, views)


def unread_in(path: Path) -> str:
    """Message about unsupported pictures in a folder or archive; empty if there are none, and for any other path."""
    if not os.path.isdir(path) and not (os.path.isfile(path) and path.name.lower().endswith(ARCHIVE_SUFFIXES)):
        return ""
    try:
        tree = open_tree(path, data_root(path))
    except DataError:  # reading the requests raises the same error
        return ""
    return tree.unread.message if tree.folders or tree.unread.message else ""


def _archive(archive: Path, views: tuple[str, ...]) -> Sequence[RequestOrFailure]:
    """Requests for all pictures in a zip or tar, which is not unpacked."""
    tree = open_tree(archive, data_root(archive))
    # A guessed encoding of names affects only the ids of predictions, so it is no error here.
    unusable = [finding for finding in tree.findings if finding.code != "archive-encoding"]
    if unusable:
        raise DataError(f"{str(archive)!r}: {unusable[0].message}; unpack it and give the folder")
    store = PictureStore(tree.root)
    names = [name for folder in tree.folders for name in folder.pictures]
    return _paired(archive, names, lambda name: Stored(store, tree.locator(name)), views)


def _paired(
    folder: Path, paths: Sequence[str], picture: Callable[[str], Picture | Stored], views: tuple[str, ...]
) -> Sequence[RequestOrFailure]:
    """Requests for the pictures at `paths`, in natural order.

    With several views, pictures are paired by stem across folders that have the names of the views. A picture in no
    such folder, and two pictures of one view, give a failure.

    folder: folder or archive that the paths are relative to. picture: function from a path to its picture.
    """
    if not paths:
        unread = unread_in(folder)
        raise DataError(f"no pictures below {str(folder)!r}{f': {unread}' if unread else ''}")
    paths = sorted(paths, key=_place_key)
    if len(views) == 1:
        return [Request(str(folder / path), {views[0]: picture(path)}) for path in paths]
    spelled = {name_key(view): view for view in views}
    objects: dict[tuple[str, ...], tuple[str, dict[str, Picture | Stored]]] = {}
    failures: list[Failure] = []
    twice: dict[str, str] = {}
    for path in paths:
        *parents, name = path.split("/")
        # Mostly the innermost folder is the view, but class folders may be inside view folders.
        at = next((at for at in reversed(range(len(parents))) if name_key(parents[at]) in spelled), None)
        if at is None:
            title = str(folder / path)
            failures.append(Failure(title, f"{title!r} lies in no folder called {' or '.join(views)}: "
                                    "this model cannot know which view it is"))  # fmt: skip
            continue
        view = parents.pop(at)
        key = str(folder.joinpath(*parents, Path(name).stem))
        key, views_of_object = objects.setdefault((*map(composed, parents), stem_key(name)), (key, {}))
        if spelled[name_key(view)] in views_of_object:
            twice[key] = f"two pictures could be the {view} of {key!r}; rename one"
        views_of_object[spelled[name_key(view)]] = picture(path)
    paired = (
        Failure(key, twice[key]) if key in twice else Request(key, views_of_object)
        for key, views_of_object in objects.values()
    )
    return [*paired, *failures]


def _place_key(path: str) -> tuple[Any, ...]:
    """Sort key of natural order, in which a folder's own pictures precede those of its sub-folders."""
    *parents, name = path.split("/")
    return [natural_key(part) for part in parents], natural_key(name)
