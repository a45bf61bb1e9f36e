"""Page of a comparison, and its files.

OUT/
  report.html        verdict, metrics, samples whose answer changed, classes and slices
  summary.md         the same without pictures
  comparison.json    the same values, with the ids of all samples that changed
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from obverse.errors import OutputError
from obverse.metrics import LEVEL, TABLE, p_value_words
from obverse.report import (
    Block,
    Card,
    Cards,
    Gallery,
    Item,
    Page,
    Picture,
    Row,
    Section,
    Table,
    Text,
    to_html,
    to_markdown,
)
from obverse.runs import write_text
from obverse.staging import staged
from obverse.studies.compare import Comparison, Contender, aligned
from obverse.studies.comparison_table import HEADER, comparison_notes, comparison_rows

from .changed import Changed, changed
from .parts import Cells, Part, adjusted, by_class, by_slice
from .pictures import Source, source_of

MADE_BY = "obverse compare"
TITLES = {metric.name: metric.title for metric in TABLE}
MOST_CHANGED = 24
"""Samples that a page shows with their pictures, for each run and each way."""
MOST_PICTURES = 400
"""Pictures of a whole page."""


@dataclass(frozen=True)
class Against:
    """One contender held against the first, sample by sample."""

    name: str

    better: list[Changed]
    """Samples that only this contender has right."""

    worse: list[Changed]
    """Samples that only the first has right."""

    classes: list[Part]
    slices: list[Part]


def write_comparison(comparison: Comparison, contenders: Sequence[Contender], out: Path) -> Path:
    """The path of the page, after writing all files. OutputError when `out` is a run or cannot be written."""
    if (out / "recipe.yaml").is_file() or (out / "model.json").is_file():
        raise OutputError(f"{str(out)!r} is a run or a bundle; choose another folder with --out")
    source = source_of(contenders)
    sides = all_against(comparison, contenders, source)
    page = comparison_page(comparison, sides, source)
    values = comparison.as_json() | {"made_by": MADE_BY, "against": [asdict(side) for side in sides]}
    try:
        with staged(out) as stage:
            write_text(stage / "comparison.json", json.dumps(values, indent=1) + "\n")
            write_text(stage / "summary.md", to_markdown(page, stage))
            write_text(stage / "report.html", to_html(page))
    except OSError as error:
        raise OutputError(f"{str(out)!r} cannot be written: {error.strerror}; choose another with --out") from None
    return out / "report.html"


def all_against(comparison: Comparison, contenders: Sequence[Contender], source: Source) -> list[Against]:
    """Every contender but the first, held against it; without those that are measured on other samples."""
    first = [run.labelled() for run in aligned(contenders[0], contenders[0])]
    columns, sides = source.columns(first[0].ids), []
    for contender, row in zip(contenders[1:], comparison.rows[1:], strict=True):
        if not row.note:
            other = [run.labelled() for run in aligned(contenders[0], contender)]
            sides.append(_against(contender.name, first, other, columns))
    classes, slices = (iter(adjusted([part for side in sides for part in getattr(side, kind)])) for kind in _KINDS)
    return [
        replace(side, classes=[next(classes) for _ in side.classes], slices=[next(slices) for _ in side.slices])
        for side in sides
    ]


_KINDS = ("classes", "slices")


def _against(name: str, first: Sequence[Any], other: Sequence[Any], columns: dict[str, Cells]) -> Against:
    better, worse = changed(first, other)
    return Against(name, better, worse, by_class(first, other), by_slice(first, other, columns))


def comparison_page(comparison: Comparison, sides: Sequence[Against], source: Source) -> Page:
    """The page, the verdict first."""
    base, names = comparison.rows[0].name, [row.name for row in comparison.rows]
    album = _Album(source.pictures)
    sections = [section for side in sides for section in _sides_sections(base, side, album, many=len(sides) > 1)]
    notes = tuple(Text(_as_sentence(note), is_quiet=True) for note in comparison_notes(comparison))
    rows = tuple((name, TITLES.get(metric, metric), *cells) for name, metric, *cells in comparison_rows(comparison))
    sections.append(Section("All metrics", (Table(HEADER, rows), *notes)))
    verdicts = [Text(f"{sentence}.") for sentence in comparison.verdicts]
    missing = [Text(source.missing, is_quiet=True)] if source.missing else []
    title = "Comparison of " + " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return Page(title, tuple(sections), (*verdicts, Cards(tuple(_cards(comparison))), *missing), MADE_BY)


def _as_sentence(note: str) -> str:
    """The note with its metric's title instead of the name, a capital letter and a full stop."""
    name, _, rest = note.partition(" ")
    text = f"{TITLES.get(name, name)} {rest}"
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."


def _cards(comparison: Comparison) -> Iterator[Card]:
    """The headline of each run, and its difference from the first."""
    metric = comparison.headline
    for row in comparison.rows:
        estimate = row.values.get(metric.name)
        if estimate is None:
            continue
        scale, unit = (100, " %") if metric.unit == "share" else (1, "")
        digits = 1 if metric.unit == "share" else 3
        interval = f"no interval: {estimate.reason}" if estimate.reason else ""
        if estimate.low is not None and estimate.high is not None:
            interval = f"{scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f}{unit}"
        seeds = f", mean of {row.num_runs} seeds" if row.num_runs > 1 else ""
        yield Card(f"{row.name}: {metric.title}{seeds}", f"{scale * estimate.value:.{digits}f}{unit}", interval)


def _sides_sections(base: str, side: Against, album: _Album, *, many: bool) -> Iterator[Section]:
    """What changed between the first and one other run. many: whether titles must name both runs."""
    versus = f" ({base} and {side.name})" if many else ""
    for right, wrong, samples in ((side.name, base, side.better), (base, side.name, side.worse)):
        num = f"{len(samples):,} {'sample' if len(samples) == 1 else 'samples'}"
        yield Section(
            f"Only {right} is right: {num}{versus}", tuple(_changed_blocks(base, side, samples, wrong, album))
        )
    for title, parts in (("By class", side.classes), ("By slice", side.slices)):
        if parts:
            yield Section(
                title + versus, (Text(_part_sentence(side.name, base, parts)), _part_table(base, side.name, parts))
            )


def _changed_blocks(base: str, side: Against, samples: list[Changed], wrong: str, album: _Album) -> Iterator[Block]:
    if not samples:
        yield Text("None.")
        return
    if len(samples) > MOST_CHANGED:
        yield Text(f"The {MOST_CHANGED} clearest of {len(samples):,}; comparison.json names them all.", is_quiet=True)
    yield Text(f"{wrong} is wrong on these; below each picture stand its label and both answers.", is_quiet=True)
    yield Gallery(tuple(_item(base, side.name, sample, album) for sample in samples[:MOST_CHANGED]))


def _item(base: str, other: str, sample: Changed, album: _Album) -> Item:
    answers = (
        f"{base}: {sample.base} {100 * sample.base_confidence:.0f} %",
        f"{other}: {sample.other} {100 * sample.other_confidence:.0f} %",
    )
    pictures = album.pictures(sample.id)
    missing = () if any(picture.encoded for picture in pictures) else ("picture missing",)
    return Item(sample.id, pictures, label=sample.label, tags=(*answers, *missing))


class _Album:
    """Pictures of samples, at most MOST_PICTURES for the whole page."""

    def __init__(self, read: Callable[[str], tuple[Picture, ...]]) -> None:
        self.read, self.left = read, MOST_PICTURES

    def pictures(self, sample: str) -> tuple[Picture, ...]:
        """The sample's views; none when the limit is reached."""
        pictures = self.read(sample) if self.left > 0 else ()
        self.left -= len(pictures)
        return pictures


def _part_sentence(other: str, base: str, parts: Sequence[Part]) -> str:
    """Which classes or slices differ beyond chance."""
    sure = [part for part in parts if part.adjusted is not None and part.adjusted < LEVEL]
    tested = sum(part.adjusted is not None for part in parts)
    if not tested:
        return "Nothing could be tested; the table says why."
    adjusted_for = f"of {tested} tests, adjusted for all of them (Holm)" if tested > 1 else "of 1 test"
    if not sure:
        return f"No difference is beyond chance, {adjusted_for}."
    words = [
        f"{part.name} ({100 * part.difference.value:+z.1f} points, {100 * part.difference.low:+z.1f} to "
        f"{100 * part.difference.high:+z.1f})"
        for part in sure
        if part.difference
    ]
    return f"{other} differs from {base} beyond chance on: {', '.join(words)}; {adjusted_for}."


def _part_table(base: str, other: str, parts: Sequence[Part]) -> Table:
    name = "class" if all(part.what == "class" for part in parts) else "slice"
    header: Row = (name, "samples", f"right: {base}", f"right: {other}", "difference", "95 % interval", "p")
    rows = [_part_row(part) for part in parts]
    if not any(part.untested for part in parts):
        return Table(header, tuple(row[:-1] for row in rows))
    return Table((*header, "why not tested"), tuple(rows))


def _part_row(part: Part) -> Row:
    name = part.name if part.what == "class" else f"{part.what}: {part.name}"
    cells = (name, f"{part.num_samples:,}", f"{100 * part.base:.1f} %", f"{100 * part.other:.1f} %")
    difference = part.difference
    if difference is None or part.adjusted is None:
        return (*cells, f"{100 * (part.other - part.base):+z.1f}", "–", "–", part.untested)
    interval = f"{100 * difference.low:+z.1f} to {100 * difference.high:+z.1f}"
    return (*cells, f"{100 * difference.value:+z.1f}", interval, p_value_words(part.adjusted), "")
