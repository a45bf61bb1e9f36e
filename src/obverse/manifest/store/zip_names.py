"""What the members of a zip are called: APPNOTE 4.4.4 (bit 11: UTF-8), 4.6.9 (0x7075: Unicode path) and what is done.

Without either the name is in the code page of whoever packed it, which the archive does not say. Where all such names
are valid UTF-8 they are taken for it (one alone proves little: a cat in GBK is an `è`); otherwise the user says the
code page, and CP437 is what is left.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence

from obverse.errors import DataError

_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075
_UNIX = 3
FALLBACK = "cp437"
# Of recipes, and what a name that a manifest holds is looked for in.
ENCODINGS = ("utf-8", "gb18030", "cp932", "big5", "cp949", "euc_jp", "cp1252", "cp1251", "cp1253", "cp866", "cp850",
             FALLBACK)  # fmt: skip


class ZipName:
    """The name of one member. raw: its bytes where their encoding is not stated, else None."""

    def __init__(self, info: zipfile.ZipInfo, *, is_windows: bool) -> None:
        self._is_windows = is_windows
        self._name = info.orig_filename.partition("\0")[0]
        self.raw: bytes | None = None
        if info.flag_bits & _UTF8_FLAG or self._name.isascii():
            return
        raw = self._name.encode(FALLBACK)  # zipfile has decoded it so
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
    """Member names. Backslashes separate folders where a Windows program packed, or where no member has a slash."""
    has_slash = any("/" in info.orig_filename for info in infos)
    return [ZipName(info, is_windows=info.create_system != _UNIX or not has_slash) for info in infos]


def require_names(names: Sequence[ZipName], encoding: str | None, title: str) -> list[str]:
    """Decoded names; DataError when one is not in `encoding`. None: UTF-8 where all are valid, else a guess."""
    if encoding is None:
        encoding = FALLBACK if guessed(names) else "utf-8"
    try:
        return [name.text(encoding) for name in names]
    except UnicodeDecodeError as error:
        raise DataError(f"{title} holds names that are not in {encoding} ({error.reason}); set "
                        f"data.archive_encoding to one of {', '.join(ENCODINGS)}") from None  # fmt: skip


def guessed(names: Sequence[ZipName]) -> list[bytes]:
    """Raw names, where their encoding is a guess."""
    raw = [name.raw for name in names if name.raw is not None]
    return [] if all(map(_is_utf8, raw)) else raw


def readings(raw: bytes) -> str:
    """The same name in several encodings, for a message."""
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
    """The name in the Unicode path extra field, when its checksum matches these raw bytes; else None."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = (int.from_bytes(extra[place + i : place + i + 2], "little") for i in (0, 2))
        body = extra[place + 4 : place + 4 + length]
        if kind == _UNICODE_PATH and body[:1] == b"\1" and int.from_bytes(body[1:5], "little") == zlib.crc32(raw):
            return body[5:].decode("utf-8") if _is_utf8(body[5:]) else None
        place += 4 + length
    return None
