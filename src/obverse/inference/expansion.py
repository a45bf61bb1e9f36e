"""Expansion of one input to all its samples: of a folder, a glob, an archive, a table or a list of pictures."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import DataError
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
from obverse.terminal import natural_key

from .download import SCHEMES
from .requests import Entry, Failure, Picture, Request, Source, Stored, WebPicture


@dataclass(frozen=True)
class Expansion:
    """What one input may stand for."""

    views: tuple[str, ...]
    """Names of the model's views."""

    known: Sequence[str] = ()
    """Names of the extra columns that the model sees."""

    allow_urls: bool = False
    """Whether pictures are fetched from the web."""

    def entries(self, item: Picture) -> Sequence[Entry]:
        """An entry for every sample of an input without named views. DataError when there is none.

        A file that is one sample is its path; see `Requests`.
        """
        if isinstance(item, (str, Path)):
            if url := remote_url(item):
                return [Request(url, {self._only_view(): self.web_picture(url)})]
            path = Path(item)
            if glob.has_magic(str(item)) and not os.path.lexists(path):
                return self._matches(str(item))
            if _is_folder(path):
                return _paired(path, list(walk_pictures(path)), lambda name: str(path / name), self.views)
            if str(item).lower().endswith(ARCHIVE_SUFFIXES):
                return _archive(path, self.views)
            if str(item).lower().endswith(LIST_SUFFIXES):
                return self._listed(path)
            self._only_view()
            return [str(item)]
        return [Request("", {self._only_view(): item})]

    def web_picture(self, url: str) -> WebPicture:
        """A picture on the web; DataError where none may be fetched."""
        if not self.allow_urls:
            raise DataError(f"{url!r} is a URL, and none is fetched unless you say so: --allow-urls, or in Python "
                            "load(..., allow_urls=True)")  # fmt: skip
        if url.partition(":")[0] not in SCHEMES:
            raise DataError(f"{url!r}: only {' and '.join(SCHEMES)} are fetched")
        return WebPicture(url)

    def _only_view(self) -> str:
        """The view of a picture that names none; DataError for a model of several."""
        views = self.views
        if len(views) > 1:
            names = ", ".join(views)
            raise DataError(f"this model looks at {names}: say which view each picture is, as "
                            f"--view {views[0]}=FILE on the command line or {{{views[0]!r}: FILE}} in Python, or give "
                            f"a folder with the sub-folders {names}, or a table with these columns")  # fmt: skip
        return views[0]

    def _matches(self, pattern: str) -> Sequence[Entry]:
        paths = sorted(glob.glob(pattern, recursive=True), key=_place_key)
        if not paths:
            raise DataError(f"{pattern!r} matches no file")
        # A folder stands for all its pictures, of which `**` matches each one, too.
        folders = {Path(path) for path in paths if os.path.isdir(path)}
        if folders:
            paths = [path for path in paths if folders.isdisjoint(Path(path).parents)]
        return [entry for path in paths for entry in self._entries_or_failure(path)]

    def _entries_or_failure(self, path: str) -> Sequence[Entry]:
        """The entries of a match; a failure for one that cannot be used, because the others can."""
        try:
            return self.entries(path)
        except DataError as error:
            return [Failure(path, str(error))]

    def _listed(self, path: Path) -> Sequence[Entry]:
        """A request for each row of a table or list, or a failure for a row without a picture."""
        listed, views = read_picture_list(path), self.views
        column_of = {view: column for column in listed.columns for view in views if name_key(view) == name_key(column)}
        if not column_of and len(views) == len(listed.columns) == 1:
            column_of = {views[0]: listed.columns[0]}
        if not column_of:
            raise DataError(f"{str(path)!r}: the columns with pictures are {', '.join(listed.columns)}, and this model "
                            f"looks at {', '.join(views)}; name the columns so")  # fmt: skip
        store, entries = PictureStore(listed.root), list[Entry]()
        for row in listed.rows:
            there = {view: row.pictures[column] for view, column in column_of.items() if column in row.pictures}
            own = {name: cell for name, cell in row.cells.items() if name in self.known and cell}
            try:
                pictures = {view: self._stored(store, locator) for view, locator in there.items()}
            except DataError as error:
                entries.append(Failure(row.name, str(error)))
                continue
            nothing = Failure(row.name, "it names no picture")
            entries.append(Request(row.name, pictures, columns=own) if there else nothing)
        return entries

    def _stored(self, store: PictureStore, locator: str) -> Source:
        """The picture at a row's locator; of a URL the store would fetch any size."""
        url = remote_url(parse_locator(locator)[0])
        return self.web_picture(url) if url else Stored(store, locator)


def _is_folder(path: Path) -> bool:
    """Whether the path is a folder; DataError when it does not exist or cannot be opened."""
    try:
        if not path.exists():
            fault = "is a link that leads nowhere" if path.is_symlink() else "does not exist"
            raise DataError(f"{str(path)!r} {fault}")
        return path.is_dir()
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be opened: {error.strerror}") from None


def unread_in(path: Path) -> str:
    """Message about unsupported pictures in a folder or archive; empty if there are none, and for any other path."""
    if not os.path.isdir(path) and not (os.path.isfile(path) and path.name.lower().endswith(ARCHIVE_SUFFIXES)):
        return ""
    try:
        tree = open_tree(path, data_root(path))
    except DataError:  # reading the requests raises the same error
        return ""
    return tree.unread.message if tree.folders or tree.unread.message else ""


def _archive(archive: Path, views: tuple[str, ...]) -> Sequence[Entry]:
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
    folder: Path, paths: Sequence[str], picture: Callable[[str], Source], views: tuple[str, ...]
) -> Sequence[Entry]:
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
        return [_single(str(folder / path), views[0], picture(path)) for path in paths]
    spelled = {name_key(view): view for view in views}
    objects: dict[tuple[str, ...], tuple[str, dict[str, Source]]] = {}
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


def _single(name: str, view: str, picture: Source) -> Entry:
    return picture if isinstance(picture, str) else Request(name, {view: picture})


def _place_key(path: str) -> str:
    """Sort key of natural order, in which a folder's own pictures precede those of its sub-folders."""
    *parents, name = path.split("/")
    return "".join([*(f"{natural_key(part)}\1" for part in parents), "\0", natural_key(name)])
