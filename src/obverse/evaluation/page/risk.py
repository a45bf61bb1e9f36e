"""Risk against coverage: how many answers are wrong among those that are accepted, the surest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.evaluation.predictions import Predictions
from obverse.metrics import FloatArray, share_interval
from obverse.report import Curve, Line, Panel, Row, Section, Table, Text

SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of accepted answers in the table."""
MOST_POINTS = 200
TITLE = "Which answers to accept"
LEAST_SAMPLES = 20
"""Labelled samples from which the curve says something."""
LEAST_ANSWERS = 10
"""Accepted answers from which the curve starts: shares of fewer jump."""


@dataclass(frozen=True, eq=False)
class Risk:
    """Errors among the accepted answers, the surest first."""

    order_M: npt.NDArray[np.int64]
    """Rows, the surest first."""

    risk_M: FloatArray
    """Share of wrong answers among the first 1, 2 ... rows."""

    confidence_M: FloatArray
    """Probability of each answer, in this order."""


def risk_of(labelled: Predictions) -> Risk:
    """The risk at every coverage; every sample must have a label."""
    confidence_N = labelled.confidence_N
    order_M = np.argsort(-confidence_N, kind="stable")
    wrong_M = ~labelled.is_right_N[order_M]
    return Risk(order_M, np.cumsum(wrong_M) / np.arange(1, len(wrong_M) + 1), confidence_N[order_M].astype(np.float64))


def risk_section(labelled: Predictions) -> Section:
    """The curve, the threshold that a reader moves, and a table of some thresholds."""
    num = len(labelled.ids)
    if num < LEAST_SAMPLES:
        why = f"The curve of accepted answers needs {LEAST_SAMPLES} labelled samples; here it has {num}."
        return Section(TITLE, (Text(why),), topic="risk")
    risk = risk_of(labelled)
    sentence = (
        "The surest answers can be accepted and the others left for a person. The curve shows the share of wrong "
        "answers among the accepted ones. It is measured on these samples: a threshold read from it is fitted to them."
    )
    sure = "score" if labelled.kind.is_set else "probability"
    header = ("accepted", f"{sure} at least", "wrong among them", "95 % interval")
    shares = [share for share in SHARES if round(share * num) >= LEAST_ANSWERS]
    least = _probabilities([float(risk.confidence_M[round(share * num) - 1]) for share in shares])
    rows = tuple(_row(labelled, risk, share, text) for share, text in zip(shares, least, strict=True))
    blocks = (Text(sentence), _curve(risk), Panel("threshold"), Table(header, rows))
    return Section(TITLE, blocks, topic="risk")


def _curve(risk: Risk) -> Curve:
    num = len(risk.risk_M)
    first = min(num, LEAST_ANSWERS) - 1
    places = np.unique(np.linspace(first, num - 1, MOST_POINTS).round().astype(int))
    xs, ys = (places + 1) / num, risk.risk_M[places]
    alt = "Share of wrong answers among the accepted ones, by the share of answers that is accepted, the surest first."
    line = Line("wrong answers", tuple(xs.tolist()), tuple(ys.tolist()))
    return Curve(
        "risk", alt, "accepted answers, the surest first", "wrong among the accepted", (line,),
        x_range=(0.0, 1.0), y_range=(0.0, max(0.05, float(ys.max()) * 1.1)), x_share=True, y_share=True,
    )  # fmt: skip


def _probabilities(values: Sequence[float]) -> list[str]:
    """The values with three digits, or as many more as it takes to tell them apart, at most six."""
    for digits in range(3, 7):
        texts = [f"{value:.{digits}f}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _row(labelled: Predictions, risk: Risk, share: float, least: str) -> Row:
    num = round(share * len(risk.risk_M))
    rows_M = risk.order_M[:num]
    ends = share_interval(~labelled.is_right_N[rows_M], labelled.units.take(rows_M))
    interval = f"– ({ends.reason})" if ends.reason else f"{100 * ends.low:.1f} to {100 * ends.high:.1f} %"
    return f"{100 * share:.0f} %", least, f"{100 * risk.risk_M[num - 1]:.1f} %", interval
