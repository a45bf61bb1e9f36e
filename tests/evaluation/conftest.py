"""Made-up predictions, so that no test here needs a model."""

import numpy as np
import pytest

from obverse.decisions import OneClass
from obverse.evaluation.predictions import Predictions


def make_predictions(classes=("a", "b", "c"), *, num_samples=60, seed=0, views=(), ordered=False, accuracy=0.7):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(classes), num_samples)

    def probabilities():
        drawn = generator.dirichlet(np.ones(len(classes)), num_samples)
        drawn[np.arange(num_samples), labels] += generator.random(num_samples) < accuracy
        return (drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)

    return Predictions(
        split="test",
        classes=tuple(classes),
        ids=tuple(f"sample/{number}" for number in range(num_samples)),
        truth=labels,
        probabilities_NK=probabilities(),
        embeddings_ND=generator.random((num_samples, 4), dtype=np.float32),
        view_probabilities={view: probabilities() for view in views},
        kind=OneClass(ordered=ordered),
    )


@pytest.fixture
def make():
    return make_predictions


HOSTILE_NAMES = (
    "a|b",
    "line\nbreak",
    "$x^2$ $\\frac{",
    "<script>alert(1)</script>",
    "\N{TOMATO}\N{ZERO WIDTH JOINER} 金貨 عملة",
    "long " * 60,
    "=1+1,\"quoted\"; 'single'",
    "\x00\x07\x1b[31m\udcff",
    "\N{RIGHT-TO-LEFT OVERRIDE}txet",
    "_under_ *star* `tick` [link](http://x) ~gone~ &amp; {{ 7 * 7 }} \\",
    "",
    "W" * 300,
)


@pytest.fixture
def hostile_names():
    return HOSTILE_NAMES
