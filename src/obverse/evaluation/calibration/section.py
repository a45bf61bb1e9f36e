"""The report's section on calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from obverse.evaluation.estimates import Estimate
from obverse.evaluation.predictions import OUT_OF_FOLD, Predictions
from obverse.evaluation.sections import metric_row
from obverse.metrics import PROBABILITIES, IntArray, Reliability, reliability_of
from obverse.report import Curve, Line, Row, Section, Table, Text

from .measure import before_calibration
from .plot import plot_reliability

PNG = "reliability.png"
ALT = "Reliability diagram: the share of right answers against their probability, in bins of equal size."
CALIBRATED = "Probabilities are calibrated on val"
CALIBRATED_IN_FOLDS = "Probabilities are calibrated in each fold on its own val"
MOST_ERROR = 0.1
"""Calibration error up to which probabilities state how often answers are right."""
HELPS = ": of answers given with 80 %, about four in five should be right."
STILL_OFF = "; it helps, and on these samples they are still off by {:.1f} % on average."
NO_HELP = "; on these samples the calibration error is not lower than without."
NOT_CALIBRATED = "Probabilities are not calibrated: they order answers, and need not state how often they are right."


def calibration_section(
    predictions: Predictions,
    estimates: Mapping[str, Estimate | None],
    folder: Path,
    *,
    uncalibrated: Mapping[str, Estimate | None] | None,
) -> Section:
    """The section, with its diagram drawn into `folder`.

    estimates: of all metrics. uncalibrated: of the probabilities before calibration; None where the model has none.
    """
    after, earlier = reliability_of(predictions.labelled().outcome), before_calibration(predictions)
    before = None if earlier is None else reliability_of(earlier.outcome)
    plot_reliability(after, folder / PNG, before=before)
    header: Row = ("metric", "value", "95 % interval")
    rows = [metric_row(metric.title, estimates[metric.name]) for metric in PROBABILITIES]
    if uncalibrated is not None:
        header = (*header, "before calibration", "95 % interval")
        rows = [(*row, *metric_row("", value)[1:]) for row, value in zip(rows, uncalibrated.values(), strict=True)]
    first = CALIBRATED_IN_FOLDS if predictions.split == OUT_OF_FOLD else CALIBRATED
    first = NOT_CALIBRATED if uncalibrated is None else first + _effect(estimates, uncalibrated)
    texts = (Text(first), Text(_summary(after, before, is_set=predictions.kind.is_set)))
    return Section("Calibration", (*texts, Table(header, tuple(rows)), _curve(after, before, folder / PNG)))


def _curve(after: Reliability, before: Reliability | None, png: Path) -> Curve:
    """The diagram as the page draws it; the file is for papers."""
    lines = [Line("perfect", (0.0, 1.0), (0.0, 1.0), style="guide"), _bins("as it ships", after, has_counts=True)]
    lines += [] if before is None else [_bins("before calibration", before, has_counts=False)]
    return Curve(
        "reliability", ALT, "probability of the answer", "share of right answers", tuple(lines), x_range=(0.0, 1.0),
        y_range=(0.0, 1.0), x_share=True, y_share=True, path=png,
    )  # fmt: skip


def _bins(label: str, bins: Reliability, *, has_counts: bool) -> Line:
    noise_B = 1.96 * bins.noise_B
    columns = (bins.confidence_B, bins.right_B, bins.right_B - noise_B, bins.right_B + noise_B)
    xs, ys, lows, highs = (tuple(column_B.tolist()) for column_B in columns)
    return Line(label, xs, ys, lows, highs, "points", tuple(map(str, bins.count_B.tolist())) if has_counts else ())


def states_how_often(error: Estimate | None) -> bool:
    """Whether probabilities state how often they are right: the whole interval of the calibration error is low."""
    return error is not None and error.high is not None and error.high <= MOST_ERROR


def _effect(after: Mapping[str, Estimate | None], before: Mapping[str, Estimate | None]) -> str:
    """What calibration did on these samples, the end of a sentence."""
    error = after["calibration_error"]
    if error is None or not _helps(after, before):
        return NO_HELP
    return HELPS if error.value <= MOST_ERROR else STILL_OFF.format(100 * error.value)


def _helps(after: Mapping[str, Estimate | None], before: Mapping[str, Estimate | None]) -> bool:
    """Whether calibration lowers the calibration error of these samples."""
    value, earlier = after["calibration_error"], before["calibration_error"]
    return value is not None and earlier is not None and value.value < earlier.value


def _summary(after: Reliability, before: Reliability | None, *, is_set: bool) -> str:
    true = "of the classes are there" if is_set else "of the answers are right"
    earlier = "" if before is None else f" (before calibration {100 * before.mean_confidence:.1f} %)"
    return (
        f"Here the mean probability is {100 * after.mean_confidence:.1f} %{earlier}, "
        f"and {100 * after.share_right:.1f} % {true}. "
        f"Each point of the diagram is a bin of {_range(after.count_B)} samples; its bar is what chance allows."
    )


def _range(counts_B: IntArray) -> str:
    low, high = counts_B.min(), counts_B.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
