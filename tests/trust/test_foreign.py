"""Measurement of the outlier score on pictures that do not belong."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from obverse.decisions import GEN_WEIGHT, OneClass, generalised_entropy
from obverse.errors import DataError
from obverse.evaluation import Predictions
from obverse.experiment import evaluate_foreign
from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec
from obverse.trust import foreign_sentence, measure_foreign, write_foreign

SPEC = OutlierSpec(
    gen_centre=1.0, gen_scale=0.5, distance_centre=0.0, distance_scale=1.0, reject_above=2.0, share_below=0.99,
    num_samples=50,
)  # fmt: skip


def drawn(num, seed, shift=0.0):
    """Probabilities, and scores with a normal distance."""
    generator = np.random.default_rng(seed)
    probabilities_NK = generator.dirichlet((1.0, 1.0, 1.0), num).astype(np.float32)
    gen_N = (generalised_entropy(probabilities_NK) - SPEC.gen_centre) / SPEC.gen_scale
    far_N = generator.normal(shift, 1, num)
    return probabilities_NK, GEN_WEIGHT * gen_N + far_N, far_N


@pytest.fixture
def own():
    probabilities_NK, scores_N, _ = drawn(80, 0)
    return Predictions(
        split="test",
        classes=("a", "b", "c"),
        ids=tuple(f"s{n}" for n in range(80)),
        truth=np.zeros(80, np.int64),
        probabilities_NK=probabilities_NK,
        kind=OneClass(),
        outlier_scores_N=scores_N,
        rule=OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.1, threshold=0.8, num_units=80), outliers=SPEC),
    )


def test_the_area_is_that_of_scikit_learn_for_every_score(own, tmp_path):
    probabilities_NK, scores_N, far_N = drawn(60, 1, shift=2.0)
    values = measure_foreign(own, probabilities_NK, scores_N, data="others")
    is_foreign_N = np.repeat([0, 1], [80, 60])
    both = np.concatenate([own.outlier_scores_N, scores_N])
    assert values["auroc"]["combined"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, both))
    distances = np.concatenate([drawn(80, 0)[2], far_N])
    assert values["auroc"]["distance"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, distances))
    sureness = np.concatenate([own.probabilities_NK.max(1), probabilities_NK.max(1)])
    assert values["auroc"]["maximum_softmax"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, -sureness))
    for estimate in values["auroc"].values():
        assert estimate["low"] < estimate["value"] < estimate["high"]
    assert values["rejected_foreign"]["value"] == pytest.approx((scores_N > 2.0).mean())
    write_foreign(tmp_path, values)
    assert json.loads((tmp_path / "foreign.json").read_text()) == values
    assert foreign_sentence(values) in (tmp_path / "summary.md").read_text().replace("\\", "")


def test_predictions_without_a_score_are_refused(own):
    probabilities_NK, scores_N, _ = drawn(60, 1)
    with pytest.raises(DataError, match="no scores of outliers"):
        measure_foreign(replace(own, outlier_scores_N=None), probabilities_NK, scores_N, data="others")


def test_a_run_whose_val_was_too_small_is_refused_in_a_sentence(trained, tmp_path):
    with pytest.raises(DataError, match="has no score of outliers"):
        evaluate_foreign(trained.path, tmp_path, device="cpu")
