"""The leaderboard: entries in groups of the same data, split and metric, the best first, with paired tests."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from obverse.errors import DataError, OutputError
from obverse.metrics import FloatArray, Metric, Units, holm, mean_differences
from obverse.report import to_html, to_html_fragment
from obverse.runs import write_text
from obverse.staging import staged

from .entry import Entry
from .measured import Answers, digest_of
from .places import Search
from .read import Reader

HITS = frozenset({"accuracy"})
"""Metrics that are the share of right answers, of which McNemar's test is exact."""


@dataclass(frozen=True)
class Group:
    """Entries that may be ranked together."""

    data: str
    data_digest: str
    split: str
    metric: Metric

    entries: tuple[Entry, ...]
    """The best first; conditions of a sweep stand after it, and have no rank."""

    @property
    def ranked(self) -> list[Entry]:
        """The entries that have a rank, the best first."""
        return [entry for entry in self.entries if entry.rank is not None]


@dataclass(frozen=True)
class Leaderboard:
    """Past runs below a folder."""

    folder: Path
    groups: tuple[Group, ...]

    others: tuple[Entry, ...]
    """Entries without a measurement, and folders that hold no run."""

    notes: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, in the order of the table."""
        return (*(entry for group in self.groups for entry in group.entries), *self.others)

    def rows(self) -> list[dict[str, Any]]:
        """Every entry as a flat row of plain values, with the number of its group; 0 for those without one."""
        numbers = [(number, entry) for number, group in enumerate(self.groups, 1) for entry in group.entries]
        return [{"group": number, **entry.as_json()} for number, entry in (*numbers, *((0, e) for e in self.others))]

    def as_json(self) -> dict[str, Any]:
        """The leaderboard as plain JSON values."""
        return {"made_by": "obverse runs", "rows": self.rows(), "notes": list(self.notes)}

    def to_csv(self) -> str:
        """The rows as CSV."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["group", *_EMPTY.as_json()], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()

    def write(self, out: Path) -> None:
        """Write runs.json, runs.csv and report.html. OutputError when `out` lies in a run."""
        from .table import leaderboard_page

        inside = next((e for e in self.entries if e.kind != "strange" and _is_inside(out, e.path)), None)
        if inside is not None or (out / "recipe.yaml").is_file() or (out / "model.json").is_file():
            raise OutputError(f"{str(out)!r} lies in a run, which is not written to; choose another folder with --out")
        try:
            with staged(out) as stage:
                write_text(stage / "runs.json", json.dumps(self.as_json(), indent=1) + "\n")
                write_text(stage / "runs.csv", self.to_csv())
                write_text(stage / "report.html", to_html(leaderboard_page(self)))
        except OSError as error:
            raise OutputError(f"{str(out)!r} cannot be written: {error.strerror}; choose another with --out") from None

    def _repr_html_(self) -> str:
        """The leaderboard as HTML for a notebook."""
        from .table import leaderboard_blocks

        return to_html_fragment(leaderboard_blocks(self), label="runs")


_EMPTY = Entry(name="", path=Path(), kind="strange", state="no run")


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def read_leaderboard(folder: Path) -> Leaderboard:
    """The leaderboard of everything below a folder. Raises DataError when there is no such folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{str(folder)!r} {what}; name the folder that holds your runs: obverse runs FOLDER")
    search, reader = Search(folder).run(), Reader()
    entries = _with_digests(list(reader.entries(search.places)), reader.answers)
    groups, others = _grouped(entries)
    ranked = [replace(group, entries=tuple(_ranked(group, reader.answers))) for group in groups]
    return Leaderboard(folder, tuple(ranked), tuple(others), tuple(search.notes))


AnswersOf = dict[Path, Answers]


def _with_digests(entries: Sequence[Entry], answers: AnswersOf) -> list[Entry]:
    """The entries with the digest of what they were measured on.

    An entry without a manifest, as an ensemble, has the data of those that were measured on the same samples.
    """
    read = [_with_digest(entry, answers) for entry in entries]
    known = {(e.split, e.measured_digest): e for e in reversed(read) if e.data_digest and e.measured_digest}
    return [_with_data(entry, known.get((entry.split, entry.measured_digest))) for entry in read]


def _with_digest(entry: Entry, answers: AnswersOf) -> Entry:
    digests = {digest_of(answers[folder]) for folder in entry.evaluations}
    return replace(entry, measured_digest=digests.pop()) if len(digests) == 1 else entry


def _with_data(entry: Entry, other: Entry | None) -> Entry:
    if entry.data_digest or other is None:
        return entry
    return replace(entry, data=other.data, data_digest=other.data_digest, num_samples=other.num_samples)


def _grouped(entries: Sequence[Entry]) -> tuple[list[Group], list[Entry]]:
    """Groups of entries of the same data, split and metric; and the entries that have no measurement."""
    by_key: dict[tuple[str, ...], list[Entry]] = {}
    others = []
    for entry in entries:
        if entry.value is None:
            others.append(entry)
            continue
        data = entry.data_digest or entry.measured_digest or entry.name
        by_key.setdefault((data, entry.split, entry.metric, str(entry.label_sets)), []).append(entry)
    groups = [_group(members) for members in by_key.values()]
    groups.sort(key=lambda group: (group.data, group.data_digest, group.split != "test", group.split))
    return groups, others


def _group(members: Sequence[Entry]) -> Group:
    first, metric = members[0], members[0].known_metric
    assert metric is not None
    return Group(first.data, first.data_digest, first.split, metric, tuple(members))


def _ranked(group: Group, answers: AnswersOf) -> Iterator[Entry]:
    """The entries of a group, the best first, with differences from it; conditions after their sweep."""
    sweeps = {entry.name for entry in group.entries if entry.kind == "sweep"}
    ranking = sorted((e for e in group.entries if e.within not in sweeps), key=lambda entry: entry.sort_key)
    tested = _tested(ranking, group.metric, answers)
    rank, before = 0, math.nan
    for place, entry in enumerate(tested, 1):
        value = entry.value if entry.value is not None else math.nan
        rank = rank if math.isclose(value, before, rel_tol=1e-9) else place  # equal runs share a rank
        before = value
        yield replace(entry, rank=rank)
        inside = (other for other in group.entries if other.within == entry.name and entry.kind == "sweep")
        yield from sorted(inside, key=lambda other: other.sort_key)


def _tested(ranking: Sequence[Entry], metric: Metric, answers: AnswersOf) -> list[Entry]:
    """The entries with their paired difference from the first, where they were measured on the same samples."""
    best, *others = ranking
    alike = [entry for entry in others if _is_testable(best, entry, answers)]
    tested: dict[str, Entry] = {}
    if alike:
        sides = [_values(entry, answers[best.evaluations[0]].ids, answers) for entry in (best, *alike)]
        units = min((_units(entry, answers) for entry in (best, *alike)), key=lambda units: units.num)
        results = mean_differences(metric, sides[0], sides[1:], units, are_hits=metric.name in HITS)
        known = [(entry, result) for entry, result in zip(alike, results, strict=True) if result is not None]
        p_values = holm([result.p_value for _, result in known])
        tested = {
            entry.name: replace(entry, difference=result, p_adjusted=p)
            for (entry, result), p in zip(known, p_values, strict=True)
        }
    return [best, *(tested.get(entry.name) or _untested(entry, best, answers) for entry in others)]


def _is_testable(best: Entry, entry: Entry, answers: AnswersOf) -> bool:
    if not best.measured_digest or entry.measured_digest != best.measured_digest:
        return False
    return not any(answers[folder].untested for folder in (*best.evaluations, *entry.evaluations))


def _untested(entry: Entry, best: Entry, answers: AnswersOf) -> Entry:
    reasons = [answers[f].untested for f in (*best.evaluations, *entry.evaluations) if f in answers]
    if not best.measured_digest or not entry.measured_digest:
        why = "its runs were measured on different samples"
    elif entry.measured_digest != best.measured_digest:
        why = "measured on other samples than the best"
    elif any(reasons):
        why = next(filter(None, reasons))
    else:
        why = "all samples are of one group, which cannot tell how much a difference varies"
    return replace(entry, no_difference=why)


def _values(entry: Entry, ids: tuple[str, ...], answers: AnswersOf) -> FloatArray:
    """The value of every run of an entry on each sample (S, N), in the order of `ids`."""
    values_SN: FloatArray = np.stack([answers[folder].of(ids) for folder in entry.evaluations])
    return values_SN


def _units(entry: Entry, answers: AnswersOf) -> Units:
    return answers[entry.evaluations[0]].units
