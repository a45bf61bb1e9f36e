"""The decision among ways: the best by the selection metric, or an earlier one within a standard error of it."""

from dataclasses import replace

import numpy as np
import pytest

from obverse.decisions import OneClass
from obverse.evaluation import Predictions
from obverse.studies.choice_result import Trained, choice_values, clearly_worse, gap


def predictions(answers, truth):
    """One-hot predictions of the given answers to ten ordered classes."""
    return Predictions(
        split="out-of-fold",
        classes=tuple("0123456789"),
        ids=tuple(f"s{n}" for n in range(len(truth))),
        truth=np.array(truth),
        probabilities_NK=np.eye(10, dtype=np.float32)[np.array(answers)],
        kind=OneClass("mode", True),
    )


def trained(**ways):
    return [Trained(name, {}, pooled, seconds=1.0, num_folds=3) for name, pooled in ways.items()]


TRUTH = np.arange(60) % 10


def off(start, end):
    """Predictions that are off by one on the samples from `start` to `end`."""
    is_off_N = (np.arange(60) >= start) & (np.arange(60) < end)
    return predictions(np.where(is_off_N, np.abs(TRUTH - 1), TRUTH), TRUTH)


# Wrong on 40, 21 and 20 of 60 samples; the last two on partly different ones.
OFF = {40: off(0, 40), 21: off(0, 21), 20: off(6, 26)}


@pytest.mark.parametrize("select", ["mae", "accuracy"])
def test_an_earlier_way_within_a_standard_error_is_kept(select):
    values = choice_values(trained(simple=OFF[21], complex=OFF[20]), select, 3)
    assert (values["chosen"], values["best"]) == ("simple", "complex")
    assert "preferred unless another is better by more than a standard error; the best, complex, is" in values["why"]
    values = choice_values(trained(complex=OFF[20], simple=OFF[21]), select, 3)
    assert (values["chosen"], values["best"]) == ("complex", "complex")


@pytest.mark.parametrize("select", ["mae", "accuracy"])
def test_one_step_over_19_samples_is_within_a_standard_error(select):
    truth = np.arange(19) % 10
    one_off = truth.copy()
    one_off[3] += 1
    ways = trained(frozen=predictions(one_off, truth), joint=predictions(truth, truth))
    values = choice_values(ways, select, 2)
    assert (values["chosen"], values["best"]) == ("frozen", "joint")
    assert "difference 0.0526, standard error 0.0526" in values["why"]


def test_groups_are_clusters_of_the_standard_error():
    def error(num_groups):
        groups = tuple(f"g{n * num_groups // 60}" for n in range(60))
        way, best = (replace(OFF[wrong], groups=groups) for wrong in (40, 20))
        return gap(way, best, "accuracy").error

    gain_N = np.where((np.arange(60) < 6) | ((np.arange(60) >= 26) & (np.arange(60) < 40)), 1, 0)
    assert error(60) == pytest.approx(gain_N.std(ddof=1) / np.sqrt(60))
    assert error(10) == pytest.approx(gain_N.reshape(10, 6).mean(1).std(ddof=1) / np.sqrt(10))


def test_a_better_way_is_chosen_and_the_interval_is_of_the_paired_difference():
    values = choice_values(trained(simple=OFF[40], middle=OFF[21], complex=OFF[20]), "mae", 3)
    assert (values["chosen"], values["best"]) == ("middle", "complex")
    simple, middle, best = values["ways"]
    assert (simple["value"], middle["value"], best["value"]) == pytest.approx((40 / 60, 21 / 60, 20 / 60))
    assert simple["best_minus_it"]["value"] == pytest.approx(-20 / 60)
    assert simple["best_minus_it"]["high"] < 0 < middle["best_minus_it"]["high"]
    assert best["best_minus_it"] is None


def test_ways_that_were_left_out_are_listed_and_not_chosen():
    ways = [Trained("wild", {"optim.lr": 1}, None, 0.0, 0, "failed: diverged"), *trained(calm=OFF[20])]
    values = choice_values(ways, "accuracy", 3)
    assert values["chosen"] == "calm"
    wild = values["ways"][0]
    assert (wild["value"], wild["left_out"], wild["settings"]) == (None, "failed: diverged", {"optim.lr": 1})


def test_only_what_is_clearly_worse_is_left_out_after_a_fold():
    worse = clearly_worse({"a": OFF[40], "b": OFF[21], "c": OFF[20]}, "mae")
    assert set(worse) == {"a"}
    assert 0 < worse["a"] < 0.01
