"""Zip and tar archives, read without unpacking.

Members are looked up by normalised name (`./cat/1.png` is `cat/1.png`) and read at their offset. A compressed tar has
no offsets: it is decompressed once into an unnamed temporary file, which ends with the process. Nothing is ever written
under a member's name, so names like `../x` are harmless; they are excluded all the same.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from obverse.errors import DataError, DiskError

from .blob import Blob, BlobFile
from .zip_names import ENCODINGS, ZipName, guessed, require_names, zip_names

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
# Limits against decompression bombs. Compressed pictures hardly shrink, so no honest archive grows a hundredfold.
# FREE_BYTES are allowed in any case.
MAX_RATIO, FREE_BYTES = 100, 2**30
LINK, FOLDER = "it is a link or a special file", "it is a folder"
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True, slots=True)
class MemberBlob:
    """A member of an archive."""

    archive: Blob

    name: str

    start: int
    """Offset in the archive: of the content in a tar, of the local header in a zip."""

    stored: int
    """Number of bytes as stored, perhaps compressed."""

    size: int
    """Number of bytes of the content."""

    is_deflated: bool = False

    crc: int | None = None
    """CRC-32 of the content in a zip; None in a tar, which has none."""

    @property
    def title(self) -> str:
        """Names of the member and its archive, for messages."""
        return f"{self.name!r} in {self.archive.title}"

    def read_at(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length). Reading the whole member verifies the zip's checksum."""
        if self.is_deflated:
            return _inflated(self)[start : start + length]
        data = self.archive.read_at(self._place() + start, max(0, min(length, self.size - start)))
        if start == 0 and length >= self.size:
            self.check(data)
        return data

    def head(self, length: int) -> bytes:
        """The first `length` bytes, without decompressing the rest; fewer or none if the member is damaged."""
        try:
            if not self.is_deflated:
                return self.archive.read_at(self._place(), min(length, self.size))
            packed = self.archive.read_at(self._place(), min(self.stored, length + 1024))
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, length)
        except (DataError, OSError, zlib.error):
            return b""

    def check(self, data: bytes) -> None:
        """DataError when the size or checksum of `data` differs from the archive's index."""
        if len(data) != self.size or (self.crc is not None and zlib.crc32(data) != self.crc):
            raise DataError(f"{self.title} is damaged or cut short")

    def _place(self) -> int:
        """Offset of the stored bytes. In a zip they follow a local header, which states its own length."""
        if self.crc is None:
            return self.start
        header = self.archive.read_at(self.start, _LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise DataError(f"{self.title} is damaged or cut short")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        return self.start + _LOCAL_HEADER.size + int(name_length) + int(extra_length)


@lru_cache(maxsize=2)
def _inflated(member: MemberBlob) -> bytes:
    try:
        packed = member.archive.read_at(member._place(), member.stored)
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise DataError(f"{member.title} is damaged ({error})") from None
    member.check(data)
    return data


@dataclass(frozen=True)
class Archive:
    """Index of an archive."""

    members: dict[str, MemberBlob] = field(repr=False)
    """Normalised name -> member."""

    unreadable: dict[str, str]
    """Name -> reason why the member cannot be read."""

    left_out: dict[str, str]
    """Name -> reason why the member is not read on purpose."""

    repeated: list[str] = field(default_factory=list, repr=False)
    """Names that occur several times; the last member counts."""

    folders: list[str] = field(default_factory=list, repr=False)
    """Names of folders."""

    unstated: list[tuple[ZipName, MemberBlob]] = field(default_factory=list, repr=False)
    """Members of a zip whose names have no stated encoding."""

    _by_encoding: dict[str, dict[str, MemberBlob]] = field(default_factory=dict, repr=False)
    """Cache of `_in`."""

    def blob(self, name: str) -> MemberBlob:
        """The member with the name `name`; a name without a stated encoding is compared in all of ENCODINGS.

        DataError when there is no such member.
        """
        if name not in self.members:
            for encoding in ENCODINGS if self.unstated else ():
                if name in self._in(encoding):
                    return self._in(encoding)[name]
            reason = self.unreadable.get(name, self.left_out.get(name, "it is not there"))
            raise DataError(f"{name!r} in the archive cannot be read: {reason}")
        return self.members[name]

    @property
    def guessed(self) -> list[bytes]:
        """Raw names whose encoding is a guess."""
        return guessed([name for name, _ in self.unstated])

    def _in(self, encoding: str) -> dict[str, MemberBlob]:
        """Name -> member, for names without a stated encoding that can be decoded with `encoding`."""
        if encoding not in self._by_encoding:
            members = self._by_encoding[encoding] = {}
            for name, member in self.unstated:
                with suppress(UnicodeDecodeError):
                    members[_normal(name.text(encoding))] = member
        return self._by_encoding[encoding]


@lru_cache(maxsize=16)
def open_archive(blob: Blob, encoding: str | None = None) -> Archive:
    """Index of a zip or tar archive, recognised by its content.

    encoding: encoding of names in a zip that state none; None guesses it.

    DataError when the blob is no archive, is damaged, or looks like a decompression bomb.
    """
    try:
        if zipfile.is_zipfile(io.BufferedReader(BlobFile(blob))):
            return _zip_archive(blob, encoding)
        for magic, opener in _OPENERS.items():
            if blob.read_at(0, len(magic)) == magic:
                blob = _Spooled(blob, opener)
                break
        archive = _index(_tar_members(blob))
        if not (archive.members or archive.unreadable or archive.left_out or archive.folders):
            raise DataError(f"{blob.title} is no zip or tar archive, or it holds nothing")
        return archive
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{blob.title} is no zip or tar archive, or it is damaged or cut short ({error})") from None
    except OSError as error:
        raise DataError(f"{blob.title} cannot be read: {error.strerror or error}") from None


def _index(entries: Iterable[tuple[str, MemberBlob | str]]) -> Archive:
    archive = Archive({}, {}, {})
    for name, member in entries:
        if member is FOLDER:
            archive.folders.append(_normal(name))
        elif name.startswith("/") or ".." in name.split("/"):
            archive.left_out[name] = "its name leads out of the archive"
        elif member is LINK:
            archive.left_out[name] = LINK
        elif isinstance(member, str):
            archive.unreadable[_normal(name)] = member
        else:
            if _normal(name) in archive.members:
                archive.repeated.append(_normal(name))
            archive.members[_normal(name)] = member
    return archive


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _zip_archive(blob: Blob, encoding: str | None) -> Archive:
    with zipfile.ZipFile(io.BufferedReader(BlobFile(blob))) as opened:
        infos = opened.infolist()
    _require_harmless(infos, blob)
    names = zip_names(infos)
    entries = list(_zip_members(blob, infos, require_names(names, encoding, blob.title)))
    archive = _index(entries)
    for name, (_, member) in zip(names, entries, strict=True):
        if name.raw is not None and isinstance(member, MemberBlob):
            archive.unstated.append((name, member))
    return archive


def _require_harmless(infos: Sequence[zipfile.ZipInfo], blob: Blob) -> None:
    """DataError when members overlap, or decompress to far more bytes than the archive has."""
    limit = max(FREE_BYTES, MAX_RATIO * blob.size)
    if sum(info.file_size for info in infos) > limit:
        raise DataError(f"{blob.title} unpacks to more than {limit:,} bytes; it looks made to do harm")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise DataError(f"{blob.title} has members that overlap, {info.filename[:80]!r} among them; it looks made "
                            "to do harm: pack it anew")  # fmt: skip
        end = info.header_offset + _LOCAL_HEADER.size + len(info.orig_filename) + info.compress_size


def _zip_members(
    blob: Blob, infos: Sequence[zipfile.ZipInfo], names: Sequence[str]
) -> Iterator[tuple[str, MemberBlob | str]]:
    """Yield (name, member or reason why it cannot be read) for each entry of a zip."""
    for info, name in zip(infos, names, strict=True):
        if name.endswith("/"):
            yield name, FOLDER
            continue
        if info.flag_bits & 1:
            yield name, "it is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield name, "its compression is neither `stored` nor `deflate`"
        else:
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            yield (
                name,
                MemberBlob(blob, name, info.header_offset, info.compress_size, info.file_size, deflated, info.CRC),
            )


def _tar_members(blob: Blob) -> Iterator[tuple[str, MemberBlob | str]]:
    sizes: dict[str, MemberBlob] = {}
    with tarfile.open(fileobj=io.BufferedReader(BlobFile(blob)), mode="r:") as archive:
        for info in archive:
            name = info.name
            if info.islnk() and info.linkname in sizes:
                yield name, sizes[info.linkname]
            elif info.isfile() and not info.sparse:
                sizes[name] = MemberBlob(blob, name, info.offset_data, info.size, info.size)
                yield name, sizes[name]
            else:
                yield name, FOLDER if info.isdir() else LINK
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header


class _Spooled:
    """Decompressed content of a tar in an unnamed temporary file."""

    def __init__(self, source: Blob, opener: Callable[[Any], Any]) -> None:
        self.title = source.title
        self._fd, path = tempfile.mkstemp(prefix="obverse-")
        weakref.finalize(self, os.close, self._fd)
        os.unlink(path)
        limit = max(FREE_BYTES, MAX_RATIO * source.size)
        self.size = 0
        with opener(io.BufferedReader(BlobFile(source), 2**20)) as stream:
            while chunk := stream.read(2**20):
                self.size += len(chunk)
                if self.size > limit:
                    raise DataError(f"{source.title} unpacks to more than {limit:,} bytes; it looks made to do harm")
                self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        try:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise DiskError(f"decompressing {self.title} into the temporary folder {tempfile.gettempdir()!r} failed "
                            f"({error.strerror}); unpack the archive yourself, or set TMPDIR") from None  # fmt: skip

    def read_at(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length). `pread` is used, because forked workers share the file's offset."""
        return os.pread(self._fd, length, start)
