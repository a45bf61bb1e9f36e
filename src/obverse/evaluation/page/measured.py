"""Measurements of an earlier evaluation, read from its metrics.json, as a section of a model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse import metrics
from obverse.errors import DataError
from obverse.evaluation.estimates import Estimate, out_of_blocks
from obverse.evaluation.sections import estimate_rows, units_sentence
from obverse.evaluation.seen import Seen
from obverse.files import read_json_object
from obverse.report import Section, Table, Text
from obverse.staging import require_whole

METRICS = "metrics.json"


@dataclass(frozen=True)
class Measured:
    """The measurements of one split."""

    split: str
    num_samples: int
    num_groups: int | None
    """Independent groups of samples; None where every sample is independent."""

    label_sets: bool
    estimates: Mapping[str, Estimate | None]
    """Metric -> estimate, None where it is not defined."""

    seen: Seen


def measured_of(values: Mapping[str, Any]) -> Measured:
    """The measurements in the content of metrics.json. Errors of any type for what is not that."""
    label_sets = values.get("labels") == "multi"
    seen = {"findings": [], **values["seen"]}
    return Measured(
        split=str(values["split"]),
        num_samples=int(values["num_samples"]),
        num_groups=values["num_groups"],
        label_sets=label_sets,
        estimates=out_of_blocks(values, _table(label_sets)),
        seen=Seen(**seen | {key: tuple(seen[key]) for key in ("chosen", "findings")}),
    )


def read_measured(folder: Path) -> Measured | None:
    """The measurements in an evaluation folder; None where there is none. DataError when they are damaged."""
    path = folder / METRICS
    if not path.exists():
        return None
    require_whole(folder, only=(METRICS,))
    values = read_json_object(path)
    try:
        return measured_of(values)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{str(path)!r} is damaged; run `obverse evaluate` again") from None


def measured_section(measured: Measured) -> Section:
    """The numbers with their intervals, and what a reader must know of the samples."""
    table = [(m, m.label_sets if measured.label_sets else m.one_label) for m in _table(measured.label_sets)]
    texts = [
        f"{measured.num_samples:,} labelled samples of split {measured.split}.",
        units_sentence(measured.num_samples, measured.num_groups),
        *measured.seen.sentences(measured.num_samples),
    ]
    rows = tuple(estimate_rows(table, measured.estimates))
    return Section(
        f"Numbers on {measured.split}",
        (*map(Text, texts), Table(("metric", "value", "95 % interval"), rows)),
    )


def _table(label_sets: bool) -> tuple[metrics.Metric, ...]:
    return metrics.LABEL_SETS if label_sets else metrics.ONE_LABEL
