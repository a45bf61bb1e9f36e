"""Tree of files below DATA: a folder, a remote folder, an archive, or a single table.

Sources use names and locators only, so they need not distinguish files from members of an archive.
"""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import HEAD_BYTES, is_picture_head, is_picture_name, is_unclear_name
from obverse.manifest.names import composed, is_left_out
from obverse.manifest.sample import Finding
from obverse.manifest.sources.listing import RESULTS, Folder, is_folder, walk_folders
from obverse.manifest.sources.tables.lookup import PictureLookup
from obverse.manifest.store import (
    ARCHIVE_SUFFIXES,
    FALLBACK,
    Archive,
    Blob,
    PictureStore,
    add_step,
    is_remote_folder,
    list_remote,
    name_locator,
    open_archive,
    read_all,
    readings,
    remote_url,
)

from .unread import Unread
from .words import split_word

MAX_TABLE_BYTES = 4 * 2**30
# The folder's path in the tree -> (files that are no pictures, folders).
ListFolder = Callable[[str], tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Tree:
    """The files of a data set by name."""

    root: Path
    """Folder or URL that locators are relative to."""

    title: str
    """Name of the data, for messages."""

    others: tuple[str, ...]
    """Files near the top that are no pictures."""

    walk: Callable[[], list[Folder]] = field(repr=False)
    """Function that lists the folders with pictures."""

    archive: str | None = None
    """Locator of the archive that contains the files; None for a folder."""

    findings: tuple[Finding, ...] = ()

    is_single_file: bool = False
    """Whether DATA is a single table or index."""

    members: frozenset[str] | None = None
    """All file names, if they are known without a walk."""

    unread: Unread = field(default_factory=Unread, repr=False)
    """Skipped files; filled by `walk`."""

    @cached_property
    def folders(self) -> list[Folder]:
        """The folders that hold pictures."""
        return self.walk()

    def files(self) -> Iterator[str]:
        """Names of all files, pictures and others, except hidden and system files."""
        if self.members is not None:
            yield from self.members
            return
        for _, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not is_left_out(name)]
            yield from (name for name in names if not is_left_out(name))

    def title_of(self, name: str) -> str:
        """Name of a file and its tree, for messages."""
        return self.title if self.is_single_file else f"{name!r} in {self.title}"

    def locator(self, name: str) -> str:
        """The locator of a file below the tree's top."""
        return name_locator(name) if self.archive is None else add_step(self.archive, "member", name)

    def locators(self, names: list[str]) -> list[str]:
        """The locators of files; the list of names itself where they are equal, to save memory."""
        if self.archive is None and not any("::" in name for name in names):
            return names
        return [self.locator(name) for name in names]

    def file(self, name: str) -> Blob:
        """A file below the top; DataError when it cannot be opened."""
        try:
            return PictureStore(self.root).file(self.locator(name))
        except OSError as error:
            raise DataError(f"{self.title_of(name)} cannot be read: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Whether the file exists; a remote one outside of the tree is assumed to exist."""
        if remote_url(name):
            return True
        if self.members is not None and not os.path.isabs(name):
            return name in self.members
        return os.path.isfile(self.root / name)

    def resolved(self, path: str, cell: str = "", base: str = "") -> str:
        """The actual path of a picture; the path itself where it exists or no picture matches.

        cell: the name in a table, relative to `base`; it may lack folders and the ending, or have another Unicode form.
        """
        if remote_url(path) or self.has(path):
            return path
        return self.lookup.find(cell or path, base) or path

    def spelled(self, path: str) -> str:
        """The path in the Unicode form of the actual file; unchanged where no file matches."""
        resolved_path = path if path.isascii() else self.resolved(path)
        return resolved_path if composed(resolved_path) == composed(path) else path

    @cached_property
    def lookup(self) -> PictureLookup:
        """Index of the tree's pictures by name; for a single table, those below its folder."""
        is_walked = self.is_single_file and self.archive is None and not remote_url(self.root)
        if not is_walked:
            return PictureLookup(self.folders)
        with suppress(DataError):  # a folder beside the table that may not be read
            return PictureLookup(walk_folders(self.root))
        return PictureLookup(())

    def read(self, name: str) -> bytes:
        """The content of a table or index."""
        try:
            return read_all(self.file(name), max_bytes=MAX_TABLE_BYTES)
        except OSError as error:
            raise DataError(f"{self.title_of(name)} cannot be read: {error.strerror}") from None


def data_root(path: Path) -> Path:
    """The folder that locators of the data at `path` are relative to; DataError when there is nothing at `path`."""
    url = remote_url(path)
    try:
        is_folder = is_remote_folder(url) if url else path.is_dir()
        exists = bool(url) or path.exists()
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(path)!r} cannot be opened: {error}") from None
    if not exists:
        raise DataError(f"{str(path)!r} does not exist; give a folder of class folders, an archive, or a table")
    return path if is_folder else path.parent


def full_path(path: Path) -> str:
    """DATA as stored in a recipe: an absolute path, or a URL."""
    return remote_url(path) or str(path.resolve())


def open_tree(path: Path, root: Path, *, archive_encoding: str | None = None) -> Tree:
    """The tree at `path`. A file that is no archive is the only file of its tree.

    root: `data_root(path)`.
    archive_encoding: encoding of those names in a zip archive that do not state theirs; None guesses it.
    """
    url = remote_url(path)
    title = repr(url or str(path))
    if root != path:
        if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
            return Tree(root, title, (path.name,), list, is_single_file=True)
        return _archive_tree(root, path.name, title, archive_encoding)
    if url:
        return _named_tree(root, title, list_remote(url))
    unread = Unread()
    return Tree(root, title, _near_top(_scan(root)), lambda: list(walk_folders(root, unread)), unread=unread)


def _archive_tree(root: Path, name: str, title: str, encoding: str | None) -> Tree:
    try:
        archive = open_archive(PictureStore(root).file(name_locator(name)), encoding)
    except OSError as error:
        raise DataError(f"{title} cannot be read: {error.strerror}") from None
    names = [*archive.members, *archive.unreadable]  # verification reports why the latter cannot be read
    findings = (
        *_left_out(archive.left_out),
        *_repeated(archive.repeated),
        *(_guessed(archive.guessed) if encoding is None else ()),
    )
    return _named_tree(root, title, names, name_locator(name), findings, archive)


def _guessed(names: list[bytes]) -> tuple[Finding, ...]:
    """Warning for names whose encoding is a guess, so that class names may be wrong."""
    if not names:
        return ()
    message = (
        f"{len(names)} name(s) in the archive do not say in which encoding they are, and are read in {FALLBACK}; "
        f"the first is {readings(names[0])}: set data.archive_encoding to the right one"
    )
    return (Finding("warning", "archive-encoding", message),)


def _repeated(names: Sequence[str]) -> tuple[Finding, ...]:
    """Warning for names that several members have, of which only the last can be read."""
    pictures = tuple(dict.fromkeys(name for name in names if is_picture_name(name) and not _is_hidden(name)))
    if not pictures:
        return ()
    message = f"{len(pictures)} name(s) occur more than once in the archive, and the last of each is read"
    return (Finding("warning", "archive-repeated", message, pictures),)


def _left_out(reasons: dict[str, str]) -> tuple[Finding, ...]:
    """Warnings for members that are not read, such as links and names that lead out of the archive."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in reasons.items():
        if is_picture_name(name) and not _is_hidden(name):
            by_reason[reason].append(name)
    return tuple(
        Finding(
            "warning",
            "archive-member",
            f"{len(names)} member(s) of the archive are not read: {reason}",
            tuple(names),
        )
        for reason, names in by_reason.items()
    )


def _named_tree(
    root: Path,
    title: str,
    names: Iterable[str],
    archive: str | None = None,
    findings: tuple[Finding, ...] = (),
    content: Archive | None = None,
) -> Tree:
    """A tree of known names. content: their archive, or None for a remote folder.

    The content of remote files is not examined, because that would take a request for each.
    """
    visible = sorted(name for name in names if not _is_hidden(name))
    unread = Unread()

    def is_picture(name: str, last: str) -> bool:
        if is_picture_name(last) or content is None or not is_unclear_name(last):
            return is_picture_name(last)
        return name in content.members and is_picture_head(content.members[name].head(HEAD_BYTES))

    def walk() -> list[Folder]:
        by_folder: dict[tuple[str, ...], list[str]] = defaultdict(list)
        others: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for name in visible:
            *parts, last = name.split("/")
            if is_picture(name, last):
                by_folder[tuple(parts)].append(name)
            else:
                others[tuple(parts)].add(last)
        folders = (folder for folder in content.folders if folder and not _is_hidden(folder)) if content else ()
        known = {*by_folder, *others, *(tuple(folder.split("/")) for folder in folders)}
        results = {parts for parts, files in others.items() if parts and any(mark <= files for mark in RESULTS)}
        inside = (p for p in sorted(by_folder) if not any(p[:depth] in results for depth in range(1, len(p) + 1)))
        for above in sorted({path[:depth] for path in known for depth in range(len(path) + 1)}):
            if not any(above[:depth] in results for depth in range(1, len(above) + 1)):
                unread.add(above, others.get(above, ()))
        return [Folder(parts, by_folder[parts]) for parts in inside]

    near_top = _near_top(_inside(visible))
    return Tree(root, title, near_top, walk, archive, findings, members=frozenset(visible), unread=unread)


def _is_hidden(name: str) -> bool:
    return any(map(is_left_out, name.split("/")))


def _near_top(contents: ListFolder) -> tuple[str, ...]:
    """Files that are no pictures: at the top, in single folders, and in folders named `data` or like a split."""
    near_top: list[str] = []
    folder = ""
    for _ in range(4):
        files, folders = contents(folder)
        if folder and any(mark <= set(files) for mark in RESULTS):
            break
        near_top += [posixpath.join(folder, name) for name in files]
        beside = [name for name in folders if name.lower() == "data" or split_word(name)]
        if len(folders) != 1:
            near_top += [
                posixpath.join(folder, name, file) for name in beside for file in contents(f"{folder}{name}")[0]
            ]
            break
        folder = posixpath.join(folder, folders[0], "")
    return tuple(sorted(near_top))


def _scan(root: Path) -> ListFolder:
    def contents(folder: str) -> tuple[list[str], list[str]]:
        files: list[str] = []
        folders: list[str] = []
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not is_left_out(entry.name) and not is_picture_name(entry.name):
                        (folders if is_folder(entry) else files).append(entry.name)
        except OSError as error:
            raise DataError(f"the folder {error.filename!r} cannot be read: {error.strerror}") from None
        return files, folders

    return contents


def _inside(names: Sequence[str]) -> ListFolder:
    def contents(folder: str) -> tuple[list[str], list[str]]:
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        rest = [name[len(prefix) :].partition("/") for name in names if name.startswith(prefix)]
        files = [name for name, slash, _ in rest if not slash and not is_picture_name(name)]
        return files, sorted({name for name, slash, _ in rest if slash})

    return contents
