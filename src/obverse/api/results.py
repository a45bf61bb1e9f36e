"""Results of the Python API, which a notebook shows as tables.

The HTML renderer is imported only when a notebook asks for it, so that other uses do not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .measured import HEADER, headline, measured_rows


@dataclass(frozen=True)
class Evaluation:
    """Measurements of a model on one split, and the folder in which they are written."""

    path: Path
    """The folder: `report.html`, `metrics.json`, `predictions.npy` and the others."""

    metrics: Mapping[str, Any] = field(hash=False)
    """What `metrics.json` holds: `metrics["accuracy"]["value"]`, and `low` and `high`, its 95 % interval."""

    notes: tuple[str, ...] = ()
    """Warnings on what the model had already seen of these samples."""

    @property
    def report(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"

    def __repr__(self) -> str:
        return f"Evaluation({str(self.path)!r}, {headline(self.metrics)})"

    def _repr_html_(self) -> str:
        from obverse.report import Block, Table, Text, to_html_fragment

        blocks: list[Block] = [
            Text(f"{self.metrics['split']}, {self.metrics['num_samples']} samples"),
            Table(HEADER, tuple(measured_rows(self.metrics))),
            *map(Text, self.notes),
            Text(f"report: {self.report}"),
        ]
        return to_html_fragment(blocks, label="measurements")


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, and its evaluation on the test split (on val, where there is no test).

    Functions that take the path of a run or of a model take a `Run`, too.
    """

    path: Path
    """The run folder."""

    evaluation: Evaluation
    """The measurements that the run ended with."""

    example: Mapping[str, str | None] = field(hash=False)
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
        return f"Run({str(self.path)!r}, {headline(self.metrics)})"

    def _repr_html_(self) -> str:
        from obverse.report import Text, to_html_fragment

        summary = f"{self.metrics['split']} {headline(self.metrics)} ({self.metrics['num_samples']} samples)"
        blocks = [
            Text(summary),
            Text(f"run: {self.path}"),
            Text(f"report: {self.report}"),
            *(Text(message, is_quiet=True) for message in self.messages),
        ]
        return to_html_fragment(blocks, label="run")
