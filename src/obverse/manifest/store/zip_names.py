"""Decoding of member names in zip archives.

A zip states the encoding of a name in two ways (PKWARE's APPNOTE): bit 11 of the flags says UTF-8 (4.4.4), or an extra
field 0x7075 contains the name in UTF-8 (4.6.9). Any other name is in an unstated code page of the system that packed
it. Such names are decoded as follows:

1. With `data.archive_encoding`, if the user gives it.
2. As UTF-8, if all of them are valid UTF-8. A single valid name proves little, because short names in GBK may be valid
   UTF-8 by accident.
3. As CP437, which is a guess and gives a finding.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence

from obverse.errors import DataError

# Bit 11 of a member's flags, and the id of the extra field of the Unicode path.
_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075
# Value of `create_system` for archives that were packed on Unix.
_UNIX = 3
FALLBACK = "cp437"
# Encodings suggested to users, and those in which a name from a manifest is searched in an archive.
ENCODINGS = ("utf-8", "gb18030", "cp932", "big5", "cp949", "euc_jp", "cp1252", "cp1251", "cp1253", "cp866", "cp850",
             FALLBACK)  # fmt: skip


class ZipName:
    """Name of one member. raw: its bytes if their encoding is not stated, else None.

    is_windows: whether backslashes separate folders.
    """

    def __init__(self, info: zipfile.ZipInfo, *, is_windows: bool) -> None:
        self._is_windows = is_windows
        self._name = info.orig_filename.partition("\0")[0]
        self.raw: bytes | None = None
        if info.flag_bits & _UTF8_FLAG or self._name.isascii():
            return
        raw = self._name.encode(FALLBACK)  # inverse of zipfile's decoding
        stated = _unicode_path(info.extra, raw)
        if stated is not None:
            self._name = stated
        else:
            self.raw = raw

    def text(self, encoding: str) -> str:
        """The name with `/` between folders; UnicodeDecodeError when the raw bytes are not in `encoding`."""
        name = self._name if self.raw is None else self.raw.decode(encoding)
        return name.replace("\\", "/") if self._is_windows else name


def zip_names(infos: Sequence[zipfile.ZipInfo]) -> list[ZipName]:
    """Names of all members. Backslashes separate folders if a Windows program packed or no member has a slash."""
    has_slash = any("/" in info.orig_filename for info in infos)
    return [ZipName(info, is_windows=info.create_system != _UNIX or not has_slash) for info in infos]


def require_names(names: Sequence[ZipName], encoding: str | None, title: str) -> list[str]:
    """Decoded names; DataError when one cannot be decoded.

    encoding: encoding of names that state none. None: UTF-8 if all of them are valid UTF-8, else FALLBACK.
    """
    if encoding is None:
        encoding = FALLBACK if guessed(names) else "utf-8"
    try:
        return [name.text(encoding) for name in names]
    except UnicodeDecodeError as error:
        raise DataError(f"{title} holds names that are not in {encoding} ({error.reason}); set "
                        f"data.archive_encoding to one of {', '.join(ENCODINGS)}") from None  # fmt: skip


def guessed(names: Sequence[ZipName]) -> list[bytes]:
    """Raw bytes of the names whose encoding is a guess; empty if all of them are valid UTF-8."""
    raw = [name.raw for name in names if name.raw is not None]
    return [] if all(map(_is_utf8, raw)) else raw


def readings(raw: bytes) -> str:
    """Distinct readings of a raw name in up to five encodings, for a message."""
    encoding_of: dict[str, str] = {}
    for encoding in ENCODINGS:
        try:
            encoding_of.setdefault(raw.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue
    return ", ".join(f"{text!r} in {encoding}" for text, encoding in list(encoding_of.items())[:5])


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the Unicode path extra field, if its checksum is that of the raw name; else None."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = (int.from_bytes(extra[place + i : place + i + 2], "little") for i in (0, 2))
        body = extra[place + 4 : place + 4 + length]
        if kind == _UNICODE_PATH and body[:1] == b"\1" and int.from_bytes(body[1:5], "little") == zlib.crc32(raw):
            return body[5:].decode("utf-8") if _is_utf8(body[5:]) else None
        place += 4 + length
    return None
