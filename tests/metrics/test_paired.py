"""Differences of many sides from one, on shared resamples: those of two at a time."""

import numpy as np
import pytest

from obverse.decisions import LabelSet
from obverse.evaluation import Predictions, differences
from obverse.metrics import Units, mean_differences, metric_of

NUM = 60


def predictions(share, seed, *, groups=(), labels=None):
    generator = np.random.default_rng(seed)
    truth_N = np.arange(NUM) % 3
    answers_N = np.where(generator.random(NUM) < share, truth_N, (truth_N + 1) % 3)
    probabilities_NK = np.full((NUM, 3), 0.1, np.float32)
    probabilities_NK[np.arange(NUM), answers_N] = 0.8
    ids = tuple(map(str, range(NUM)))
    if labels == "sets":
        return Predictions(
            split="test", classes=("a", "b", "c"), ids=ids, truth=np.eye(3, dtype=bool)[truth_N],
            probabilities_NK=generator.random((NUM, 3)).astype(np.float32), kind=LabelSet(), groups=groups,
        )  # fmt: skip
    return Predictions(
        split="test", classes=("a", "b", "c"), ids=ids, truth=truth_N, probabilities_NK=probabilities_NK, groups=groups
    )


def numbers(difference):
    return [difference.value, difference.low, difference.high, difference.p_value]


@pytest.mark.parametrize("groups", [(), tuple(str(n // 4) for n in range(NUM))], ids=["samples", "groups"])
def test_accuracy_of_many_single_runs_is_that_of_two(groups):
    runs = [predictions(share, seed, groups=groups) for seed, share in enumerate((0.9, 0.7, 0.88))]
    values = [run.is_right_N[None].astype(float) for run in runs]
    together = mean_differences(metric_of("accuracy"), values[0], values[1:], runs[0].units, are_hits=True)
    for run, difference in zip(runs[1:], together, strict=True):
        alone = differences([runs[0]], [run])["accuracy"]
        assert difference.test == alone.test
        assert numbers(difference) == pytest.approx(numbers(alone), abs=1e-9)


def test_label_sets():
    base, other = (predictions(0, seed, labels="sets") for seed in (1, 2))
    metric = metric_of("map", label_sets=True)
    of_samples = metric.measure_for(base.outcome).of_samples
    values = [of_samples(run.outcome)[None] for run in (base, other)]
    (difference,) = mean_differences(metric, values[0], values[1:], base.units, are_hits=False)
    alone = differences([base], [other])["map"]
    assert difference.test == alone.test
    assert numbers(difference) == pytest.approx(numbers(alone), abs=1e-9)


def test_seeds_are_drawn_too():
    seeds = [predictions(share, seed) for seed, share in enumerate((0.95, 0.75, 0.6))]
    base, values_SN = predictions(0.9, 9), np.stack([run.is_right_N for run in seeds]).astype(float)
    (drawn,) = mean_differences(
        metric_of("accuracy"), base.is_right_N[None].astype(float), [values_SN], base.units, are_hits=True
    )
    wanted = differences([base], seeds)["accuracy"]
    assert drawn.test == wanted.test == "paired bootstrap over samples and seeds"
    assert drawn.value == pytest.approx(wanted.value)
    assert [drawn.low, drawn.high] == pytest.approx([wanted.low, wanted.high], abs=0.03)


def test_one_group_tells_nothing():
    one = Units.of_groups(["a"] * NUM)
    values_SN = np.ones((1, NUM))
    assert mean_differences(metric_of("accuracy"), values_SN, [values_SN], one, are_hits=True) == [None]
