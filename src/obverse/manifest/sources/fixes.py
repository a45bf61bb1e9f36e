"""Label fixes: tables that change the labels of samples or drop samples, by sample id, when the data is read.

`obverse suspects` writes such a table, and a person edits it, perhaps in a spreadsheet. The columns `id` and `action`
count, and for a change `new_label`; others are for the reader. No file of the data is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.errors import DataError
from obverse.files import read_regular
from obverse.manifest.label_sets import class_counts, joined
from obverse.manifest.names import composed
from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.recipe import did_you_mean

from .listing import Listing
from .tables.delimited import Delimited, read_delimited

ACTIONS = ("keep", "change", "drop")
COLUMNS = ("id", "label", "new_label", "action")
"""The first columns of a table that `obverse suspects` writes."""
LABEL_BEFORE = "label_before_fixes"
"""Extra column of the manifest: the label that a fix has replaced."""
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Fix:
    """One row of a table of fixes."""

    id: str
    action: str
    new_label: str

    where: str
    """File and row, for messages."""


def with_fixes(listing: Listing, files: Sequence[str], *, separator: str) -> Listing:
    """The listing after all fixes, with a note about each file; of several files the later one wins.

    separator: text between the classes of one cell, for label sets.

    DataError, naming file and row, for an unknown id, label or action. A stored manifest may have been fixed before, so
    there an unknown id is a sample that is dropped already.
    """
    given = Samples.of(listing.samples)
    labels: dict[int, str | None] = {}
    findings = list(listing.findings)
    for file in files:
        of_file = _places(read_fixes(Path(file)), given, Path(file), is_stored=listing.stored is not None)
        known = _known_labels(listing, given)
        changes = {
            place: _label(fix, known, separator) if listing.multi_label else _class(fix, known)
            for place, fix in of_file.items()
            if fix.action == "change"
        }
        changes = {place: label for place, label in changes.items() if label != given.labels[place]}
        drops = [place for place, fix in of_file.items() if fix.action == "drop"]
        labels |= {**changes, **dict.fromkeys(drops)}
        num = f"{len(changes)} label{'s' * (len(changes) != 1)} changed, {len(drops)} sample{'s' * (len(drops) != 1)}"
        findings.append(Finding("note", "fixes", f"{num} dropped by {Path(file).name}"))
    return replace(listing, samples=_applied(given, labels), findings=findings)


def read_fixes(path: Path) -> list[Fix]:
    """The rows of a CSV table of fixes, also as a spreadsheet saves it. DataError when it is none."""
    try:
        data = read_regular(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"the fixes {str(path)!r} cannot be read: {reason}") from None
    table = read_delimited(data, str(path))
    for name in ("id", "action"):
        if name not in table.header:
            raise DataError(f"{str(path)!r} has no column `{name}`, only {', '.join(table.header[:10]) or 'nothing'}; "
                            "give a table as `obverse suspects` writes it, saved as CSV UTF-8")  # fmt: skip
    return [_fix(table, row, f"{path}, row {number}") for number, row in zip(table.numbers, table.rows, strict=True)]


def _fix(table: Delimited, row: Sequence[str], where: str) -> Fix:
    cells = dict(zip(table.header, row, strict=True))
    action = cells["action"].strip().lower() or "keep"
    if action not in ACTIONS:
        hint = did_you_mean(action, ACTIONS)
        raise DataError(f"{where}: no action {cells['action']!r}{hint}; write keep, change or drop")
    if action == "change" and "new_label" not in cells:
        raise DataError(f"{where}: a change needs the column `new_label`, and the table has none")
    return Fix(cells["id"], action, cells.get("new_label", ""), where)


def _places(fixes: Sequence[Fix], samples: Samples, path: Path, *, is_stored: bool) -> dict[int, Fix]:
    """Place of each sample that a fix names -> the fix."""
    exact = {name: place for place, name in enumerate(samples.ids)}
    loose = {_loose(name): place for name, place in exact.items()}
    places: dict[int, Fix] = {}
    for fix in fixes:
        place = exact.get(fix.id, loose.get(_loose(fix.id)))
        if place is None and is_stored:
            continue
        if place is None:
            raise DataError(f"{fix.where}: the data has no sample {fix.id!r}{did_you_mean(fix.id, samples.ids[:2000])}"
                            "; is the table about other data? Remove the row, or leave out the table")  # fmt: skip
        if place in places and places[place] != replace(fix, where=places[place].where):
            raise DataError(f"{fix.where}: the sample {fix.id!r} has another fix in {places[place].where}; remove one")
        places.setdefault(place, fix)
    return places


def _loose(name: str) -> str:
    """An id as a table may have it: without outer blanks, accents composed, bytes that are no UTF-8 as Windows-1252."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return composed(name.strip())


def _known_labels(listing: Listing, samples: Samples) -> set[str]:
    """The classes of the data."""
    names = class_counts(samples.labels, multi_label=listing.multi_label).keys()
    return {*names, *(listing.order or ())}


def _class(fix: Fix, known: set[str]) -> str:
    label = composed(fix.new_label)
    if label not in known:
        raise DataError(f"{fix.where}: {_unknown(label, known)}")
    return label


def _label(fix: Fix, known: set[str], separator: str) -> str:
    """A label set as text; an empty cell is a sample without any class."""
    cell = fix.new_label.replace("|", separator)
    names = [composed(name.strip()) for name in cell.split(separator)] if cell.strip() else []
    for name in names:
        if name not in known:
            raise DataError(f"{fix.where}: {_unknown(name, known)}")
    return joined(names, fix.where)


def _unknown(label: str, known: set[str]) -> str:
    names = sorted(known)
    listed = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
    return f"the data has no class {label!r}{did_you_mean(label, names)}; new_label may be {listed}"


def _applied(samples: Samples, labels: dict[int, str | None]) -> Samples:
    """The samples with new labels, and without those whose label is None."""
    if not labels:
        return samples
    before = list(samples.extra.get(LABEL_BEFORE, (None,) * len(samples)))
    changed = list(samples.labels)
    for place, label in labels.items():
        if label is not None:
            before[place] = before[place] or samples.labels[place]
            changed[place] = label
    extra = {**samples.extra, LABEL_BEFORE: tuple(before)} if any(before) else samples.extra
    done = replace(samples, labels=tuple(changed), extra=extra)
    return done.where(labels.get(place, "") is not None for place in range(len(done)))
