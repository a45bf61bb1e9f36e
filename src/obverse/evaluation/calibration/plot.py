"""Reliability diagram, as a PNG file."""

from __future__ import annotations

from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes

from obverse.evaluation.plots import open_figure, save_figure
from obverse.evaluation.tick_names import FONT
from obverse.metrics import Reliability


def plot_reliability(after: Reliability, path: Path, *, before: Reliability | None) -> None:
    """Plot the share of right answers in each bin against its mean probability, with counts, and what chance allows."""
    with matplotlib.style.context(["default", {"font.family": FONT}]):
        figure, (ax,) = open_figure(1, width_inches=5.0, height_inches=4.6)
        ax.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="perfect")
        if before is not None:
            _draw(ax, before, "before calibration", marker="s", colour="tab:orange")
        _draw(ax, after, "as it ships", marker="o", colour="tab:blue")
        for x, y, count in zip(after.confidence_B, after.right_B, after.count_B, strict=True):
            ax.annotate(str(count), (x, y), textcoords="offset points", xytext=(5, -9), fontsize=7)
        ax.set(
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability of the answer", ylabel="share of right answers"
        )
        ax.grid(alpha=0.3)
        ax.legend(loc="upper left", fontsize=8)
        save_figure(figure, path)


def _draw(ax: Axes, bins: Reliability, label: str, *, marker: str, colour: str) -> None:
    ax.errorbar(
        bins.confidence_B, bins.right_B, yerr=1.96 * bins.noise_B, fmt=marker, color=colour, label=label, markersize=4,
        elinewidth=0.8, alpha=0.8,
    )  # fmt: skip
