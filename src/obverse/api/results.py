"""Results of the Python API, which a notebook shows as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .html import estimate_cells, estimates_of, table

ESTIMATE_HEADER = ("metric", "value", "95 % interval")


@dataclass(frozen=True)
class Evaluation:
    """Measurements of a model on one split, and the folder in which they are written."""

    path: Path
    """The folder: `report.html`, `metrics.json`, `predictions.npy` and the others."""

    metrics: Mapping[str, Any]
    """What `metrics.json` holds: `metrics["accuracy"]["value"]`, and `low` and `high`, its 95 % interval."""

    notes: tuple[str, ...] = ()
    """Warnings on what the model had already seen of these samples."""

    @property
    def report(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"

    def __repr__(self) -> str:
        return f"Evaluation({str(self.path)!r}, {_headline(self.metrics)})"

    def _repr_html_(self) -> str:
        measured = table(ESTIMATE_HEADER, (estimate_cells(*pair) for pair in estimates_of(self.metrics)))
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        split, num_samples = escape(str(self.metrics["split"])), self.metrics["num_samples"]
        return f"<p>{split}, {num_samples} samples</p>{measured}{notes}<p>report: {escape(str(self.report))}</p>"


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, and its evaluation on the test split (on val, where there is no test).

    Functions that take the path of a run or of a model take a `Run`, too.
    """

    path: Path
    """The run folder."""

    evaluation: Evaluation
    """The measurements that the run ended with."""

    example: Mapping[str, str | None]
    """A picture per view to try the model on; None where no file is known, because pictures are in an archive."""

    messages: tuple[str, ...] = ()
    """What the command would have printed: what was seen in the data, why `auto` chose what, and diagnoses."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The metrics of the evaluation."""
        return self.evaluation.metrics

    @property
    def report(self) -> Path:
        """The report of the evaluation, as a page."""
        return self.evaluation.report

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {_headline(self.metrics)})"

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.messages)
        messages = f"<details><summary>messages</summary><ul>{lines}</ul></details>" if lines else ""
        headline = f"{self.metrics['split']} {_headline(self.metrics)} ({self.metrics['num_samples']} samples)"
        return (
            f"<p><b>{escape(headline)}</b></p><p>run: {escape(str(self.path))}<br>"
            f"report: {escape(str(self.report))}</p>{messages}"
        )


def _headline(measured: Mapping[str, Any]) -> str:
    """The first metric that is defined, with its interval."""
    pairs = estimates_of(measured)
    if not pairs:
        return "nothing measured"
    title, value, interval = estimate_cells(*pairs[0])
    return f"{title} {value}" + (f", 95 % interval {interval}" if interval else "")
