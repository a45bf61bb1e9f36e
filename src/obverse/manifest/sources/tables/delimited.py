"""Reader of delimited text tables, with their encodings, separators, blank rows and unnamed columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
# The line that Excel reads and writes before a header.
SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[ \t,;]*(?:\r\n|\r|\n)', re.IGNORECASE)
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Non-ASCII characters of Western text: single accented letters or pairs whose second letter is small, and some signs.
# Text in another code page, decoded as Windows-1252, has other signs or longer runs of them.
LETTER, SMALL = "\u00c0-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e", "\u00df-\u00ff\u0153\u0161\u017e"
SIGN = "\u00a0\u00a1\u00a7\u00a9-\u00ab\u00ae\u00b0\u00b2-\u00b5\u00ba-\u00bf"
SIGN += "\u2013\u2014\u2018\u2019\u201c-\u201e\u2026\u20ac\u2122"
WESTERN = re.compile(f"(?:[{LETTER}][{SMALL}]?|[{SIGN}])(?![\u0080-\uffff])")
# Number of rows from which the separator is detected.
NUM_SNIFFED = 50
Cells = list[str]


@dataclass(frozen=True)
class Delimited:
    """A text table."""

    header: Cells
    """Names of the columns."""

    rows: list[Cells]
    """Cells of each row, as many as the header has."""

    numbers: list[int]
    """Number of each row in the file; the header is row 1."""

    encoding: str | None = None
    """Guessed encoding that is not UTF-8; None for UTF-8 and for a stated encoding."""


def read_delimited(data: bytes, title: str, *, encoding: str | None = None, is_exact: bool = False) -> Delimited:
    """The table in `data`.

    encoding: stated encoding, or None to detect it.
    is_exact: for a manifest of Obverse: the separator is a comma, and cells are not stripped.

    DataError, naming `title` and the row, when the data is no text table.
    """
    text, guessed = _decoded(data, title, encoding, is_exact=is_exact)
    separator, is_spaced = ",", False
    if not is_exact:
        line = SEPARATOR_LINE.match(text)
        text = text[line.end() :] if line else text
        separator = line[1] if line else _separator(text)
        is_spaced = f"{separator} " in text.lstrip().partition("\n")[0]
    try:
        records = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=is_spaced, strict=True
        )
        lines = [(number, row) for number, row in enumerate(records, 1) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(f"{title} cannot be read as a table of text: {error}") from None
    if not lines:
        return Delimited([], [], [], guessed)
    (_, header), *body = lines
    if not is_exact:
        header = [name.strip() for name in header]
        for _, row in body:
            row[:] = map(str.strip, row)
    header, rows = _evened(header, body, title)
    return Delimited(header, rows, [number for number, _ in body], guessed)


def _decoded(data: bytes, title: str, encoding: str | None, *, is_exact: bool) -> tuple[str, str | None]:
    """The decoded text, and its encoding if that was guessed and is not UTF-8, else None."""
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), None)
    try:
        if marked or encoding:
            text, guessed = data.decode(marked or encoding or ""), None
        elif is_exact:
            text, guessed = data.decode("utf-8", "surrogateescape"), None
        else:
            text, guessed = _guessed(data)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{title} is no text in {marked or encoding or 'UTF-8'} ({error}); save it as CSV UTF-8, or "
                        "say what it is, for example data.table_encoding=gbk") from None  # fmt: skip
    if "\0" in text and not is_exact:
        raise DataError(f"{title} holds zero bytes and is no text table; save it as CSV UTF-8")
    return text, guessed


def _guessed(data: bytes) -> tuple[str, str | None]:
    """The text decoded as UTF-8, or as Windows-1252 if the result looks like Western text, and the encoding.

    Raises the UnicodeDecodeError of UTF-8 otherwise.
    """
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        with_rest = data.decode("cp1252", "replace")
        if re.search(r"[\u0080-\uffff]", WESTERN.sub("", with_rest)):
            raise
        return with_rest, "cp1252"


def _separator(text: str) -> str:
    """The separator with which most rows have as many cells as the header.

    Ties are resolved by the number of cells in the header, then by the order of SEPARATORS.
    """

    def fit(separator: str) -> tuple[float, int]:
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            rows = [row for row, _ in zip(filter(None, lines), range(NUM_SNIFFED), strict=False)]
        except csv.Error:
            return 0.0, 0
        if not rows or len(rows[0]) < 2:
            return 0.0, 0
        return sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0])

    best = max(SEPARATORS, key=fit)  # the first of equals
    return best if fit(best)[1] else ","


def _evened(header: Cells, body: Sequence[tuple[int, Cells]], title: str) -> tuple[Cells, list[Cells]]:
    """Header and rows without empty unnamed columns and without the row numbers that pandas writes.

    DataError for a name that occurs twice, and for a row with another number of cells than the header.
    """
    nameless = [place for place, name in enumerate(header) if not name]
    used = {place for place in nameless if any(row[place] for _, row in body if len(row) > place)}
    kept = [place for place, name in enumerate(header) if name or place in used]
    needed = max(kept, default=-1) + 1
    for number, row in body:
        if len(row) < needed or any(row[len(header) :]):
            raise DataError(f"{title}, row {number}: has another number of cells than the header")
    if kept and kept[0] in used and all(row[kept[0]].isdecimal() for _, row in body):
        kept = kept[1:]
    names = [header[place] or f"column_{place + 1}" for place in kept]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{title}: the column name `{twice[0]}` occurs twice in {', '.join(names)}; rename one of them")
    if len(kept) == len(header):
        return names, [row if len(row) == len(header) else row[: len(header)] for _, row in body]
    return names, [[row[place] for place in kept] for _, row in body]
