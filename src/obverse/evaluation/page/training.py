"""Training curves of a report, with the chosen epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from obverse.errors import DataError
from obverse.report import Curve, Line, Section, Text

PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("loss", (("train_loss", "train"), ("val_loss", "val"))),
    ("accuracy", (("train_accuracy", "train"), ("val_accuracy", "val"))),
    ("learning rate", (("learning_rate", "learning rate"),)),
)


@dataclass(frozen=True)
class History:
    """The epochs of a training, and its plot as a file."""

    rows: Sequence[Mapping[str, object]] = ()

    best_epoch: int | None = None
    """Number of the epoch whose weights were taken."""

    png: Path | None = None

    def require_plot(self) -> None:
        """Raise DataError where the plot is missing."""
        if self.png is not None and not self.png.is_file():
            raise DataError(f"the training curves {self.png} do not exist")


def training_section(history: History, sentence: str) -> Section:
    """The curves that have values; empty without any."""
    curves = [_curve(title, lines, history) for title, lines in PANELS if any(_has(history, key) for key, _ in lines)]
    return Section("Training", (Text(sentence), *curves) if curves else (), topic="training")


def _curve(title: str, keys: Sequence[tuple[str, str]], history: History) -> Curve:
    epochs = tuple(_number(row.get("epoch")) for row in history.rows)
    lines = tuple(Line(label, epochs, _column(history, key)) for key, label in keys if _has(history, key))
    marks = (
        () if history.best_epoch is None else ((float(history.best_epoch), f"epoch {history.best_epoch} was taken"),)
    )
    alt = f"{title} over the epochs of the training."
    is_share = title == "accuracy"
    return Curve(
        title.replace(" ", "-"),
        alt,
        "epoch",
        title,
        lines,
        x_whole=True,
        y_share=is_share,
        marks=marks,
        path=history.png,
    )


def _column(history: History, key: str) -> tuple[float, ...]:
    return tuple(_number(row.get(key)) for row in history.rows)


def _has(history: History, key: str) -> bool:
    return any(math.isfinite(value) for value in _column(history, key))


def _number(value: object) -> float:
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
