"""One line of the leaderboard: a run, folds, an ensemble, a condition of a sweep, or a folder that is none of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from obverse.metrics import Difference, Metric, metric_named

State = Literal["finished", "running", "interrupted", "failed", "damaged", "no run"]
MEASURED: tuple[State, ...] = ("finished", "damaged")
"""States in which a run can have a measurement: of a damaged one, what is broken may be another file."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the files of a run say of it. Fields that no file says are None or empty."""

    name: str
    """Path from the folder that was searched."""

    path: Path
    kind: Literal["run", "folds", "ensemble", "sweep", "condition", "strange"]
    state: State
    reason: str = ""
    """Why the run is not finished, or cannot be read."""

    within: str = ""
    """Name of the sweep that a condition belongs to."""

    when: float | None = None
    """Time of the last result, in seconds since 1970."""

    data: str = ""
    """Name of the data, without its folder."""

    data_digest: str = ""
    """Digest of ids, labels and pictures of the data, whatever their split; empty where there is no manifest."""

    num_samples: int | None = None
    model: str = ""
    num_parameters: int | None = None
    minutes: float | None = None
    """Minutes of training, over all runs."""

    bundle_bytes: int | None = None
    num_runs: int = 1
    """Finished runs: seeds of a condition, folds, members of an ensemble, runs of a sweep."""

    has_test: bool = False
    """Whether the data has a split `test`."""

    note: str = ""

    split: str = ""
    """The split of the measurement."""

    metric: str = ""
    """Name of the metric; empty where nothing was measured."""

    label_sets: bool = False
    value: float | None = None
    low: float | None = None
    high: float | None = None
    no_interval: str = ""
    """Why the value has no interval."""

    num_measured: int | None = None
    """Samples that were measured on."""

    evaluations: tuple[Path, ...] = ()
    """Folder of the measurement of each run."""

    measured_digest: str = ""
    """Digest of the ids and labels that were measured on."""

    select: str = ""
    """The metric by which training chose the best epoch."""

    select_value: float | None = None
    """Its value on val."""

    rank: int | None = None
    """Place within the same data and metric, from 1."""

    difference: Difference | None = None
    """Paired difference from the best."""

    p_adjusted: float | None = None
    """P-value of the difference, adjusted for all comparisons with the best (Holm)."""

    no_difference: str = ""
    """Why there is no paired difference."""

    @property
    def is_measured(self) -> bool:
        """Whether the entry has a measurement that counts."""
        return self.value is not None and self.state in MEASURED

    @property
    def known_metric(self) -> Metric | None:
        """The metric of the value; None where nothing was measured."""
        return metric_named(self.metric, label_sets=self.label_sets) if self.metric else None

    @property
    def sort_key(self) -> tuple[float, str]:
        """A key that sorts the best first; equal values go by name."""
        metric = self.known_metric
        if self.value is None or metric is None:
            return float("inf"), self.name
        return (self.value if metric.better == "lower" else -self.value), self.name

    @property
    def day(self) -> str:
        """Day and time, in the local time zone."""
        return "" if self.when is None else f"{datetime.fromtimestamp(self.when):%Y-%m-%d %H:%M}"

    def as_json(self) -> dict[str, Any]:
        """The entry as plain JSON values, flat: one key per column of the CSV."""
        difference = self.difference
        return {
            "rank": self.rank,
            "name": self.name,
            "within": self.within,
            "kind": self.kind,
            "state": self.state,
            "reason": self.reason,
            "when": None if self.when is None else datetime.fromtimestamp(self.when, UTC).isoformat(timespec="seconds"),
            "data": self.data,
            "data_digest": self.data_digest,
            "num_samples": self.num_samples,
            "split": self.split,
            "num_measured": self.num_measured,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "no_interval": self.no_interval,
            "difference": difference and difference.value,
            "difference_low": difference and difference.low,
            "difference_high": difference and difference.high,
            "p": self.p_adjusted,
            "test": difference.test if difference else "",
            "no_difference": self.no_difference,
            "model": self.model,
            "num_parameters": self.num_parameters,
            "minutes": self.minutes,
            "bundle_bytes": self.bundle_bytes,
            "num_runs": self.num_runs,
            "note": self.note,
        }
