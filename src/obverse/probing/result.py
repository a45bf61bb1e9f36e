"""Result of a comparison of backbones: a table, the best first, and what follows from it."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from obverse.evaluation import Difference, Estimate
from obverse.metrics import Metric
from obverse.recipe import licence_sentence
from obverse.report import Block, Page, Table, Text, to_html, to_html_fragment
from obverse.report import Row as Cells
from obverse.runs import write_text
from obverse.staging import staged

MOST_PRINTED = 25
"""Rows that the terminal shows; the page and the table on disk have all."""

CLEARLY_CHEAPER = 0.8
"""Share of the best one's time per picture up to which a backbone counts as cheaper."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A backbone at a size, with a head and a use of the views."""

    backbone: str
    size: str
    """Side of a square, or WIDTHxHEIGHT, in pixels."""

    head: str
    views: str

    quality: Estimate
    """The metric by which training would choose."""

    second: Estimate
    """Accuracy; micro F1 for label sets."""

    seconds: float
    """Time of this comparison: features, and cross-validation of the head."""

    ms_per_picture: float | None
    """Milliseconds per picture in the backbone; None where that is not known."""

    flops_per_picture: int | None
    """Floating-point operations of the backbone per picture."""

    num_parameters: int | None
    licence: str
    """Licence of the weights; empty where nothing says it."""

    arguments: tuple[str, ...]
    """Options of `obverse train` that train this backbone at this size."""

    difference: Difference | None = None
    """Paired difference from the best row, for the best row of each backbone and size."""

    @property
    def is_as_good(self) -> bool:
        """Whether the difference from the best row may be chance."""
        return self.difference is not None and self.difference.low <= 0 <= self.difference.high

    @property
    def words(self) -> str:
        """The row as a phrase."""
        views = {"one": "", "none": ""}.get(self.views, f", views {self.views}")
        return f"{self.backbone} at {self.size} with {self.head}{views}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe:
    """A comparison of pretrained backbones on one data set."""

    data: Path
    metric: Metric
    """The metric of `quality`."""

    second: Metric
    rows: tuple[Row, ...]
    """All rows, the best first."""

    chance: Row
    """The answer that needs no picture."""

    num_samples: int
    num_folds: int
    num_repetitions: int
    seconds: float
    notes: tuple[str, ...] = ()
    """Messages on what was left out."""

    @property
    def has_second(self) -> bool:
        """Whether `second` is another metric than that of `quality`."""
        return self.second is not self.metric

    @property
    def best(self) -> Row:
        """The best row."""
        return self.rows[0]

    @property
    def cheaper(self) -> Row | None:
        """The cheapest row that may be as good as the best, and is clearly cheaper; None where there is none."""
        most = CLEARLY_CHEAPER * (self.best.ms_per_picture or 0)
        rows = [row for row in self.rows if row.is_as_good and (row.ms_per_picture or most + 1) <= most]
        return min(rows, key=lambda row: row.ms_per_picture or 0, default=None)

    @property
    def is_above_chance(self) -> bool:
        """Whether the interval of the best row excludes the answer without a picture; without one, the value does."""
        ends = self.best.quality.low, self.best.quality.high
        end = ends[0] if self.metric.better == "higher" else ends[1]
        end = self.best.quality.value if end is None else end
        gain = end - self.chance.quality.value
        return not (gain if self.metric.better == "higher" else -gain) <= 0

    @property
    def sentences(self) -> list[str]:
        """What follows from the table."""
        times = f", {self.num_repetitions} times" if self.num_repetitions > 1 else ""
        lines = [
            f"{self.num_samples:,} samples of train and val, {self.num_folds} folds{times}; test was not read. "
            f"{self.metric.title}: {self.metric.better} is better. The best of {len(self.rows)} rows looks a little "
            "better than it is",
            f"best: {self.best.words}",
        ]
        if not self.is_above_chance:
            lines.append(
                "the best row is no better than the answer without a picture, within its 95 % interval: nothing shows "
                "that these backbones see the classes, so look at labels and pictures first, or give more pictures"
            )
        cheap = self.cheaper
        if cheap is not None and cheap.difference is not None and self.best.ms_per_picture:
            share, ends = (cheap.ms_per_picture or 0) / self.best.ms_per_picture, cheap.difference
            lines.append(
                f"cheaper, and within the noise of the best: {cheap.words} ({share:.0%} of the time per picture; "
                f"difference {_number(ends.value, self.metric)}, 95 % interval {_number(ends.low, self.metric)} to "
                f"{_number(ends.high, self.metric)})"
            )
        elif len({(row.backbone, row.size) for row in self.rows}) > 1:
            lines.append("no cheaper one is within the noise of the best")
        licence = licence_sentence(self.best.backbone, self.best.licence)
        return [*lines, *([licence] if licence else []), *self.notes]

    @property
    def commands(self) -> list[str]:
        """Commands that train the best row, and the cheaper one."""
        rows = [self.best, *([self.cheaper] if self.cheaper else [])]
        return [shlex.join(["obverse", "train", str(self.data), *row.arguments]) for row in rows]

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        return {
            "data": str(self.data),
            "metric": self.metric.name,
            "better": self.metric.better,
            "num_samples": self.num_samples,
            "folds": self.num_folds,
            "repetitions": self.num_repetitions,
            "seconds": self.seconds,
            "rows": [_row_json(row, self.metric, self.second) for row in (*self.rows, self.chance)],
            "sentences": self.sentences,
            "commands": self.commands,
        }

    def table(self, most: int | None = None) -> Table:
        """The rows as a table, and the reference without pictures as the last one. most: rows to show."""
        rows = (*self.rows[:most], self.chance)
        second = (self.second.title,) if self.has_second else ()
        header = ("backbone", "size", "head", "views", self.metric.title, "95 % interval", *second,
                  "seconds", "ms/picture", "parameters", "licence")  # fmt: skip
        return Table(header, tuple(self._cells(row) for row in rows))

    def _cells(self, row: Row) -> Cells:
        ends = (row.quality.low, row.quality.high)
        interval = "" if None in ends else " to ".join(_number(end, self.metric) for end in ends if end is not None)
        return (
            row.backbone,
            row.size,
            row.head,
            row.views,
            _number(row.quality.value, self.metric),
            interval,
            *((_number(row.second.value, self.second),) if self.has_second else ()),
            f"{row.seconds:.1f}" if row.seconds else "",
            "" if row.ms_per_picture is None else f"{row.ms_per_picture:.1f}",
            "" if row.num_parameters is None else f"{row.num_parameters / 1e6:.1f} M",
            row.licence,
        )

    def blocks(self) -> list[Block]:
        """The comparison as content of a page."""
        return [self.table(), *map(Text, self.sentences), *(Text(f"train it: {line}") for line in self.commands)]

    def write(self, folder: Path) -> None:
        """Write probe.json, probe.csv and report.html. OutputError or DiskError when that is not possible."""
        with staged(folder) as stage:
            write_text(stage / "probe.json", json.dumps(self.as_json(), indent=1) + "\n")
            write_text(stage / "probe.csv", _as_csv(self.as_json()["rows"]))
            page = Page(f"Backbones for {self.data.name}", blocks=tuple(self.blocks()))
            write_text(stage / "report.html", to_html(page))

    def _repr_html_(self) -> str:
        """The comparison as HTML for a notebook."""
        return to_html_fragment(self.blocks(), label="backbones")


def _number(value: float, metric: Metric) -> str:
    return f"{value:.1%}" if metric.unit == "share" else f"{value:.3f}"


def _row_json(row: Row, metric: Metric, second: Metric) -> dict[str, Any]:
    names = [f.name for f in fields(Row) if f.name not in ("quality", "second", "difference", "arguments")]
    measured = {metric.name: asdict(row.quality)} | ({} if metric is second else {second.name: asdict(row.second)})
    difference = None if row.difference is None else asdict(row.difference)
    return {
        **{name: getattr(row, name) for name in names},
        **measured,
        "difference_from_best": difference,
        "arguments": list(row.arguments),
    }


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV; estimates are spread over columns."""
    flat = [dict(_flat(row)) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in flat for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from ((name if key == "value" else f"{name}_{key}", value[key]) for key in ("value", "low", "high"))
        elif isinstance(value, list):
            yield name, shlex.join(value)
        else:
            yield name, value
