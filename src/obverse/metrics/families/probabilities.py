"""Metrics of the probabilities themselves: a sure mistake costs more than an unsure one."""

from __future__ import annotations

from obverse.metrics.intervals import positive_mean_interval
from obverse.metrics.metric import PROBABILITY, Metric, mean_of

METRICS = (
    Metric(
        name="loss",
        title="loss",
        unit="nats",
        better="lower",
        one_label=mean_of(
            lambda a: a.losses_N,
            lambda a: positive_mean_interval(a.losses_N, a.units),
            explained=f"mean negative log of the {PROBABILITY} of the true class",
        ),
        label_sets=mean_of(
            lambda a: a.losses_N,
            lambda a: positive_mean_interval(a.losses_N, a.units),
            explained="mean binary cross entropy",
        ),
        bounds=None,
        needs=frozenset({"probabilities"}),
        also=("log_loss",),
    ),
)
