"""The report's section on suspect labels: the worst of them with pictures, or how to search for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.data import Geometry, PictureDataset
from obverse.errors import DataError
from obverse.evaluation import OUT_OF_FOLD, Predictions, Topic
from obverse.explain import thumbnails_of
from obverse.manifest import Fix, Manifest, read_fixes
from obverse.report import Gallery, Item, Section, Text

from .files import PAGE, TABLE
from .judges import Judges, case_of
from .page import summary
from .ranking import rank
from .table import SEPARATOR, table_rows

TITLE = "Suspect labels"
FOLDER = "suspects"
"""Folder in a run or a study where `obverse suspects` writes."""
MOST_PICTURED = 12
NOT_SEARCHED = (
    "The labels of this data were not searched for errors. `obverse suspects RUN`, with the folder of this run or "
    "study, ranks them and writes a page of pictures and a table of fixes for `obverse train DATA --fixes FILE`; a run "
    "that is evaluated again shows the worst ones here."
)


@dataclass(frozen=True)
class Listed:
    """Suspects of a data set, as a table has them."""

    rows: tuple[Fix, ...]
    """The suspects, the most suspect first."""

    sentences: tuple[str, ...]
    """How many there are and where they were found."""

    agreement: float | None = None
    """Share of the labels with which the judges agree; None where it is not known."""


def listed_suspects(folder: Path) -> Listed | None:
    """The suspects that `obverse suspects` has listed beside a run; None where it has not, or the table is damaged."""
    try:
        rows = tuple(read_fixes(folder / FOLDER / TABLE)) if (folder / FOLDER / TABLE).is_file() else None
    except DataError:
        return None
    if rows is None:
        return None
    num = sum(row.action != "keep" for row in rows)
    done = f"; {num:,} of them {'is' if num == 1 else 'are'} marked to be changed or dropped" if num else ""
    where = f"`obverse suspects` lists {len(rows):,} suspects in {FOLDER}/{TABLE} of the run's folder{done}."
    return Listed(rows, (where, f"All stand with their nearest pictures in {FOLDER}/{PAGE}."))


def pooled_suspects(predictions: Predictions, manifest: Manifest, spaces: Sequence[Predictions]) -> Listed:
    """The suspects by out-of-fold predictions. spaces: the predictions of each fold, with its embeddings."""
    judges = Judges(manifest=manifest, kind=predictions.kind, evaluations={OUT_OF_FOLD: predictions}, spaces=spaces)
    case = case_of(judges)
    ranking = rank(case.evidence)
    header, *table = table_rows(ranking, case.samples, manifest.views)
    cells = [dict(zip(header, row, strict=True)) for row in table]
    rows = (Fix(row["id"], row["action"], row["new_label"], row["label"], "", row["why"]) for row in cells)
    more = "`obverse suspects FOLDER`, with the folder of this study, writes all of them as a page and a table."
    sentences = (*summary(ranking), more) if ranking.suspects else (*summary(ranking),)
    return Listed(tuple(rows), sentences, ranking.agreement if ranking.suspects else None)


def suspects_topic(listed: Listed | None, predictions: Predictions, manifest: Manifest, geometry: Geometry) -> Topic:
    """The section, with the numbers of suspects for metrics.json. listed: None where nobody has searched."""
    if listed is None:
        return Topic(Section(TITLE, (Text(NOT_SEARCHED),), topic="suspects"))
    row_of = {name: row for row, name in enumerate(predictions.ids)}
    num_here = sum(fix.id in row_of for fix in listed.rows)
    values: dict[str, Any] = {"num_listed": len(listed.rows), "num_here": num_here, "agreement": listed.agreement}
    items = tuple(_items(listed.rows, row_of, manifest, geometry, is_set=predictions.kind.is_set))
    legend = f"The {len(items)} most suspect. Under each: the label that fits better, then the given one."
    here = f"{num_here:,} of them {'is' if num_here == 1 else 'are'} among the samples of this report."
    texts = map(Text, (*listed.sentences, here) if 0 < num_here < len(listed.rows) else listed.sentences)
    gallery = (Text(legend, is_quiet=True), Gallery(items)) if items else ()
    return Topic(Section(TITLE, (*texts, *gallery), topic="suspects"), "suspects", values)


def _items(
    fixes: Sequence[Fix], row_of: Mapping[str, int], manifest: Manifest, geometry: Geometry, *, is_set: bool
) -> Iterator[Item]:
    """Yield the most suspect samples that the manifest has."""
    place_of = {name: place for place, name in enumerate(manifest.samples.ids)}
    first = [fix for fix in fixes if fix.id in place_of][:MOST_PICTURED]
    dataset = PictureDataset(manifest, manifest.samples.take([place_of[fix.id] for fix in first]), geometry)
    read = thumbnails_of(dataset, {})
    for number, fix in enumerate(first):
        label, suggested = (_words(text, is_set=is_set) for text in (fix.label, fix.new_label))
        tags = (fix.action,) if fix.action != "keep" else ()
        yield Item(
            fix.id,
            read(number),
            label=label,
            answer=suggested,
            tags=tags,
            note=fix.why,
            row=row_of.get(fix.id),
        )


def _words(label: str, *, is_set: bool) -> str:
    """The classes of a cell, as pages show them."""
    return label.replace(SEPARATOR, ", ") or "no class" if is_set else label
