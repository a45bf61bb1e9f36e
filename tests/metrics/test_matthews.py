"""Matthews correlation against scikit-learn, its interval by simulation, and that it is written in one file alone."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

import obverse
from obverse import metrics
from obverse.metrics import OneLabel, Units

MATTHEWS = metrics.metric_of("mcc")


def of_classes(labels, given, num_classes, units=None):
    labels_N, given_N = np.array(labels), np.array(given)
    probabilities_NK = np.eye(num_classes, dtype=np.float32)[given_N]
    return OneLabel(labels_N, given_N, probabilities_NK, units or Units.alone(len(labels_N)))


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_agrees_with_scikit_learn(num_classes, share):
    generator = np.random.default_rng(num_classes)
    labels_N = generator.integers(0, num_classes, 200) % (num_classes - 1 or 1) + (generator.random(200) < 0.1)
    given_N = np.where(generator.random(200) < share, labels_N, generator.integers(0, num_classes, 200))
    answers = of_classes(labels_N, given_N, num_classes)
    assert MATTHEWS.value(answers) == pytest.approx(matthews_corrcoef(labels_N, given_N), abs=1e-12)


def test_one_class_alone():
    constant = of_classes([0, 1] * 20, [1] * 40, 2)
    assert MATTHEWS.value(constant) == 0 == matthews_corrcoef(constant.labels_N, constant.given_N)
    assert MATTHEWS.interval(constant).reason == "all answers are one class"
    alone = of_classes([1] * 40, [0, 1] * 20, 2)
    assert math.isnan(MATTHEWS.value(alone))
    assert MATTHEWS.interval(alone).reason == "all labels are one class"
    rare = of_classes([1] * 40 + [0] * 4, [1] * 39 + [0] * 5, 2)
    assert MATTHEWS.interval(rare).reason == "too few samples: 4 outside the largest class"


def drawn(generator, *, num=150, group=1, right=0.7, shares=(0.5, 0.3, 0.2)):
    labels_G = generator.choice(len(shares), num // group, p=shares)
    of_N = np.arange(num // group).repeat(group)
    wrong_G = (labels_G + generator.integers(1, len(shares), num // group)) % len(shares)
    given_G = np.where(generator.random(num // group) < right, labels_G, wrong_G)
    return of_classes(labels_G[of_N], given_G[of_N], len(shares), Units(of_N))


@pytest.mark.parametrize("layout", [{}, {"right": 0.95}, {"shares": (0.85, 0.15)}, {"num": 600, "group": 6}])
def test_the_interval_holds_the_value_of_very_many_samples(layout):
    generator = np.random.default_rng(0)
    truth = MATTHEWS.value(drawn(generator, **layout | {"num": 300_000, "group": 1}))
    ends = [MATTHEWS.interval(drawn(generator, **layout)) for _ in range(300)]
    assert 0.92 - 0.03 < np.mean([low <= truth <= high for low, high, _ in ends]) < 0.99


def test_groups_make_it_wider_and_perfection_is_not_certain():
    answers = drawn(np.random.default_rng(0), num=600, group=6)
    alone, grouped = MATTHEWS.interval(replace(answers, units=Units.alone(600))), MATTHEWS.interval(answers)
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    perfect = MATTHEWS.interval(of_classes([0] * 980 + [1] * 20, [0] * 980 + [1] * 20, 2))
    assert perfect.low < 0.92 < perfect.high == 1


@pytest.mark.parametrize("name", ["matthews"])
def test_it_is_added_in_one_file(name):
    files = [path.name for path in Path(obverse.__file__).parent.rglob("*.py") if f'"{name}"' in path.read_text()]
    assert files == ["classes.py"]
