"""Label fixes: tables that change the labels of samples or drop samples, by sample id, when the data is read.

`obverse suspects` writes such a table, and a person edits it, perhaps in a spreadsheet. The columns `id` and `action`
count, and for a change `new_label`; others are for the reader. No file of the data is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
CLASS_GONE = "fixes-class-gone"
"""Code of the finding about classes of which the fixes leave no sample."""
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Fix:
    """One row of a table of fixes."""

    id: str
    action: str
    new_label: str

    label: str
    """The label of the sample when the table was made; empty where the table does not say."""

    where: str
    """File and row, for messages."""

    why: str = field(default="", compare=False)
    """The reason for the suspicion in words; empty where the table has none."""


def with_fixes(listing: Listing, files: Sequence[str], *, separator: str) -> Listing:
    """The listing after all fixes, with findings about each file; of several files the later one wins.

    separator: text between the classes of one cell, for label sets.

    DataError, naming file and row, for an unknown id, label or action. A manifest may have been fixed before, so there
    an unknown id is a sample that is dropped already.
    """
    given = Samples.of(listing.samples)
    labels: dict[int, str | None] = {}
    findings = list(listing.findings)
    what = "the data" if listing.stored is None and listing.layout != "manifest" else "the stored manifest"
    for file in files:
        path = Path(file)
        fixes = read_fixes(path)
        of_file = _places(fixes, given, is_stored=listing.stored is not None, is_prepared=listing.layout == "manifest")
        known = _known_labels(listing, given)
        wanted = {
            place: _label(fix, known, separator) if listing.multi_label else _class(fix, known)
            for place, fix in of_file.items()
            if fix.action == "change"
        }
        changes = {place: label for place, label in wanted.items() if label != given.labels[place]}
        drops = [place for place, fix in of_file.items() if fix.action == "drop"]
        undone = {place: fix for place, fix in of_file.items() if place in changes or fix.action == "drop"}
        findings += _outdated(undone, given, labels, separator=separator if listing.multi_label else None)
        labels |= {**changes, **dict.fromkeys(drops)}
        num_before = len({fix.id for fix in fixes if fix.action != "keep"}) - len(changes) - len(drops)
        num = len(changes), len(drops), num_before
        findings.append(Finding("note", "fixes", _effect(*num, what=what, name=path.name) if fixes else
                                f"{path.name} has no rows, so it changes nothing"))  # fmt: skip
    return _fixed(listing, given, labels, findings)


def _effect(num_changed: int, num_dropped: int, num_before: int, *, what: str, name: str) -> str:
    """What a table does. num_before: number of its fixes that the data has already. what: the data."""
    if num_before and not num_changed and not num_dropped:
        all_of_them = "the fix" if num_before == 1 else f"all {num_before:,} fixes"
        return f"{what} already has {all_of_them} of {name}"
    text = f"{num_changed} label{'s' * (num_changed != 1)} changed, {num_dropped} sample{'s' * (num_dropped != 1)}"
    more = f"; {what} already has {num_before:,} more of its fixes" if num_before else ""
    return f"{text} dropped by {name}{more}"


def _outdated(
    fixes: Mapping[int, Fix], samples: Samples, labels: Mapping[int, str | None], *, separator: str | None
) -> list[Finding]:
    """A warning where rows name a label that their sample does not have; none where no row does.

    labels: those by earlier tables. separator: see `with_fixes`, None for one class per sample.
    """

    def plain(label: str) -> str:
        names = label.replace(separator, "|").split("|") if separator else [label]
        return "|".join(sorted(map(_loose, names)))

    before = samples.extra.get(LABEL_BEFORE, (None,) * len(samples))
    strange = [
        (place, fix)
        for place, fix in fixes.items()
        if fix.label
        and plain(fix.label)
        not in {plain(it) for it in (samples.labels[place], labels.get(place), before[place]) if it}
    ]
    if not strange:
        return []
    place, fix = strange[0]
    present = samples.labels[place]
    num = f", as in {len(strange) - 1:,} more of its rows" if len(strange) > 1 else ""
    message = (f"{fix.where}: the label is {fix.label!r}, but the sample {fix.id!r} has {present!r}{num}; "
               "is the table out of date? It is applied all the same")  # fmt: skip
    return [Finding("warning", "fixes-outdated", message)]


def _fixed(listing: Listing, given: Samples, labels: Mapping[int, str | None], findings: Sequence[Finding]) -> Listing:
    """The listing with new labels, a warning about classes that are gone, and the new counts in its summary."""
    samples = _applied(given, labels)
    before, after = (class_counts(some.labels, multi_label=listing.multi_label) for some in (given, samples))
    gone = [name for name in before if name not in after]
    if gone:
        more = " ..." if len(gone) > 5 else ""
        message = f"the fixes leave no sample of the class{'es' * (len(gone) > 1)} {', '.join(gone[:5])}{more}"
        findings = [*findings, Finding("warning", CLASS_GONE, message)]
    order = listing.order and tuple(name for name in listing.order if name not in gone)
    summary = listing.summary
    if gone or len(samples) != len(given):
        summary += f"; after the fixes {len(after)} class{'es' * (len(after) != 1)}, {len(samples)} samples"
    return replace(listing, samples=samples, findings=[*findings], order=order, summary=summary)


def read_fixes(path: Path) -> list[Fix]:
    """The rows of a CSV table of fixes, also as a spreadsheet saves it. DataError when it is none."""
    try:
        data = read_regular(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"the fixes {str(path)!r} cannot be read: {reason}") from None
    table = read_delimited(data, str(path))
    if not table.header:
        raise DataError(f"{str(path)!r} has no rows; give a table as `obverse suspects` writes it")
    names = [name.lower() for name in table.header]
    table = replace(
        table,
        header=[low if low in COLUMNS and names.count(low) == 1 else name
                for name, low in zip(table.header, names, strict=True)],
    )  # fmt: skip
    for name in ("id", "action"):
        if name not in table.header:
            raise DataError(f"{str(path)!r} has no column `{name}`, only {', '.join(table.header[:10]) or 'nothing'}; "
                            "give a table as `obverse suspects` writes it, saved as CSV UTF-8")  # fmt: skip
    return [_fix(table, row, f"{path}, row {number}") for number, row in zip(table.numbers, table.rows, strict=True)]


def _fix(table: Delimited, row: Sequence[str], where: str) -> Fix:
    cells = dict(zip(table.header, row, strict=True))
    action = cells["action"].strip().lower()
    if not action and cells.get("new_label"):
        raise DataError(f"{where}: there is a new label {cells['new_label']!r} and no action; write change or keep")
    action = action or "keep"
    if action not in ACTIONS:
        hint = did_you_mean(action, ACTIONS)
        raise DataError(f"{where}: no action {cells['action']!r}{hint}; write keep, change or drop")
    if action == "change" and "new_label" not in cells:
        raise DataError(f"{where}: a change needs the column `new_label`, and the table has none")
    return Fix(cells["id"], action, cells.get("new_label", ""), cells.get("label", ""), where, cells.get("why", ""))


def _places(fixes: Sequence[Fix], samples: Samples, *, is_stored: bool, is_prepared: bool) -> dict[int, Fix]:
    """Place of each sample that a fix names -> the fix."""
    exact = {name: place for place, name in enumerate(samples.ids)}
    loose = {_loose(name): place for name, place in exact.items()}
    places: dict[int, Fix] = {}
    for fix in fixes:
        place = exact.get(fix.id, loose.get(_loose(fix.id)))
        if place is None and (is_stored or (is_prepared and fix.action == "drop")):
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


def _applied(samples: Samples, labels: Mapping[int, str | None]) -> Samples:
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
