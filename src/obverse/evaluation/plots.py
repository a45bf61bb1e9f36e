"""Plots of a run and of a study, as PNG files.

Figures are plain objects on the Agg canvas: without pyplot there is no global state, and no display is needed. They use
matplotlib's default style, because a user's `matplotlibrc` (TeX, other fonts) could fail on a class name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from obverse.errors import DataError
from obverse.evaluation.estimates import Estimate

from .tick_names import FONT, are_numbered, tick_names

# Most classes for which a confusion matrix has names at its axes, and counts in its cells.
MOST_NAMES = 40
MOST_NUMBERS = 20

PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("loss", (("train_loss", "train"), ("val_loss", "val"))),
    ("accuracy", (("train_accuracy", "train"), ("val_accuracy", "val"))),
    ("learning rate", (("learning_rate", "learning rate"),)),
)


def plot_confusion(confusion_KK: npt.NDArray[np.int64], classes: Sequence[str], path: Path) -> None:
    """Plot a confusion matrix (K, K), rows true, columns predicted.

    Cells are coloured by their share of the true class, so that small classes show as clearly as large ones. Class
    names are shown up to 40 classes, counts up to 20: beyond that they would overlap.
    """
    num_classes = len(classes)
    if confusion_KK.shape != (num_classes, num_classes):
        raise DataError(f"a confusion matrix of {num_classes} classes cannot be {confusion_KK.shape}")
    shares_KK = confusion_KK / np.maximum(confusion_KK.sum(axis=1, keepdims=True), 1)
    side_inches = min(3.0 + 0.45 * num_classes, 10.0)
    with matplotlib.style.context(["default", {"font.family": FONT}]):
        figure, axes = open_figure(1, width_inches=side_inches, height_inches=side_inches)
        image = axes[0].imshow(shares_KK, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        figure.colorbar(image, ax=axes[0], shrink=0.7, label="share of the true class")
        numbered = " (number: row of results.csv)" if has_key(classes) else ""
        axes[0].set(xlabel=f"predicted class{numbered}", ylabel=f"true class{numbered}")
        _name_ticks(axes[0], classes)
        if num_classes <= MOST_NUMBERS:
            _write_counts(axes[0], confusion_KK, shares_KK)
        save_figure(figure, path)


def has_key(classes: Sequence[str]) -> bool:
    """Whether the confusion matrix shows numbers, which a key must explain."""
    return len(classes) <= MOST_NAMES and are_numbered(classes)


def plot_history(history: Sequence[Mapping[str, object]], path: Path) -> None:
    """Plot loss, accuracy and learning rate over epochs. A missing value is a gap, a panel without values is left out.

    Raises DataError when the history has no values.
    """
    panels = [(title, lines) for title, lines in PANELS if any(_has_points(history, key) for key, _ in lines)]
    if not panels:
        raise DataError("the history holds no epoch to draw")
    has_start = any(row.get("epoch") == 0 for row in history)
    label_of_epochs = "epoch (0: frozen features, fitted head)" if has_start else "epoch"
    with matplotlib.style.context(["default", {"font.family": FONT}]):
        figure, axes = open_figure(len(panels), width_inches=4.5 * len(panels), height_inches=3.6)
        for ax, (title, lines) in zip(axes, panels, strict=True):
            for key, label in lines:
                if _has_points(history, key):
                    ax.plot(_column(history, "epoch"), _column(history, key), marker=".", label=label)
            ax.set(xlabel=label_of_epochs, title=title)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid(alpha=0.3)
            if len(lines) > 1:
                ax.legend()
        figure.subplots_adjust(wspace=0.3)
        save_figure(figure, path)


def plot_conditions(
    points: Mapping[str, Sequence[float]], means: Mapping[str, Estimate], path: Path, *, score: str = "accuracy"
) -> None:
    """Plot one row per condition, the first on top: a point for each seed, and the mean with its interval."""
    names = list(points)
    with matplotlib.style.context(["default", {"font.family": FONT}]):
        figure, (ax,) = open_figure(1, width_inches=6.5, height_inches=1.2 + 0.32 * len(names))
        for row, name in enumerate(names):
            ax.plot(points[name], [row] * len(points[name]), "o", color="tab:blue", alpha=0.5, markersize=4)
            mean = means.get(name)
            if mean is None:
                continue
            ax.plot([mean.value], [row], "|", color="black", markersize=12)
            if mean.low is not None and mean.high is not None:
                ax.plot([mean.low, mean.high], [row, row], "-", color="black", linewidth=1)
        ax.set_yticks(range(len(names)), tick_names(names), parse_math=False)
        ax.set(xlabel=score, ylim=(len(names) - 0.5, -0.5))
        ax.grid(axis="x", alpha=0.3)
        save_figure(figure, path)


def open_figure(num_panels: int, *, width_inches: float, height_inches: float) -> tuple[Figure, list[Axes]]:
    """A figure on the Agg canvas with panels side by side."""
    figure = Figure(figsize=(width_inches, height_inches), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, num_panels, 1 + panel) for panel in range(num_panels)]


def _name_ticks(ax: Axes, classes: Sequence[str]) -> None:
    if len(classes) > MOST_NAMES:
        return
    names, positions = tick_names(classes), range(len(classes))
    style: dict[str, Any] = {"fontsize": 9 if len(classes) <= MOST_NUMBERS else 7, "parse_math": False}
    ax.set_xticks(positions, names, rotation=90, **style)
    ax.set_yticks(positions, names, **style)


def _write_counts(ax: Axes, confusion_KK: npt.NDArray[np.int64], shares_KK: npt.NDArray[np.float64]) -> None:
    """Write counts into cells: light digits on dark cells, smaller where the longest number would leave its cell."""
    fontsize = min(10.0, 32.0 / len(str(confusion_KK.max())))
    for (row, column), count in np.ndenumerate(confusion_KK):
        if count:
            colour = "white" if shares_KK[row, column] > 0.5 else "black"
            ax.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=fontsize)


def _column(history: Sequence[Mapping[str, object]], key: str) -> npt.NDArray[np.float64]:
    """One value per epoch; NaN, which is drawn as a gap, where the value is missing or not finite."""
    values = [epoch.get(key) for epoch in history]
    column = np.array([float(value) if isinstance(value, Real) else np.nan for value in values])
    return np.where(np.isfinite(column), column, np.nan)


def _has_points(history: Sequence[Mapping[str, object]], key: str) -> bool:
    return bool((np.isfinite(_column(history, key)) & np.isfinite(_column(history, "epoch"))).any())


def save_figure(figure: Figure, path: Path) -> None:
    """Save as PNG. The tight box grows with long names. Without the software note, equal figures give equal bytes."""
    figure.savefig(path, format="png", bbox_inches="tight", metadata={"Software": None})
