"""Rules on answers for any model, so that files can be compared where sets, decisions and scores differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from obverse.decisions import Kind, OutlierDetector, confidence_of, normalised, outlier_scores, to_answers
from obverse.decisions.conformal import scores_of
from obverse.export import TrainedModel
from obverse.export.gate import Gate
from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec, SetsSpec


def detector_of(embeddings_ND: np.ndarray) -> OutlierDetector:
    """Gaussians around the first two embeddings."""
    points_ND = normalised(embeddings_ND)
    size, residual = points_ND.shape[1], max(1e-6, points_ND.var(0).mean())
    directions_DR = np.linalg.qr(np.random.default_rng(0).normal(size=(size, min(3, size))))[0]
    return OutlierDetector(
        points_ND[:2].astype(np.float16),
        directions_DR.T.astype(np.float16),
        np.linspace(2, 4, directions_DR.shape[1]).astype(np.float32) * np.float32(residual),
        float(residual),
    )


def between(values: np.ndarray, share: float) -> float:
    """A limit in the widest gap of the values around a share of them, so that rounding decides nothing."""
    sorted_M, first = np.sort(values.ravel()), int((share - 0.1) * values.size)
    sorted_M = np.unique(sorted_M[first : first + max(3, values.size // 5)])
    place = int(np.diff(sorted_M).argmax())
    return float(sorted_M[place : place + 2].mean())


def fitted(
    output: OutputSpec, kind: Kind, probabilities_NK: np.ndarray, embeddings_ND: np.ndarray, name: str
) -> tuple[OutputSpec, OutlierDetector]:
    """The output with rules that were fitted on nothing, and give different values to these samples.

    name: the kind of sets.
    """
    detector, answers = detector_of(embeddings_ND), to_answers(probabilities_NK, kind)
    more = {"penalty": 0.02, "rank": 2} if name == "raps" else {}
    sets = SetsSpec(kind=name, level=0.9, quantile=(None,), num_units=50, **more)
    scores_NK = scores_of(probabilities_NK, kind, sets)
    # Labels differ more among one another than samples do, so that a limit between labels would decide no sample.
    most = scores_NK[:, np.ptp(scores_NK, axis=0).argmax()] if kind.is_set else scores_NK
    squares_N = detector.squared_distances(embeddings_ND)
    outliers = OutlierSpec(
        gen_centre=0.5,
        gen_scale=0.3,
        distance_centre=float(np.median(squares_N)),
        distance_scale=float(squares_N.std()),
        reject_above=0.0,
        share_below=0.8,
        num_samples=50,
    )
    limit = between(outlier_scores(outliers, detector, probabilities_NK, embeddings_ND), 0.7)
    threshold = between(confidence_of(probabilities_NK, answers, kind), 0.5)
    rules = {
        "sets": sets.changed({"quantile": (between(most[most > 0], 0.5),)}),
        "acceptance": AcceptanceSpec(wanted_error=0.1, threshold=threshold, num_units=50),
        "outliers": outliers.changed({"reject_above": limit}),
    }
    return output.changed(rules), detector


@pytest.fixture(scope="session")
def fit_rules():
    return fitted


@pytest.fixture(scope="session")
def with_rules():
    """with_rules(model, kind of sets) -> the model with rules of sets, acceptance and outliers."""

    def make(model: TrainedModel, name: str) -> TrainedModel:
        bundle = replace(model.bundle, output=plain(model.bundle.output), detector=None)
        expected = Gate.of(replace(model, bundle=bundle)).expected
        rows = [np.concatenate([row[each] for row in expected]) for each in ("probabilities", "embeddings")]
        output, detector = fitted(bundle.output, bundle.kind, *rows, name)
        return replace(model, bundle=replace(bundle, output=output, detector=detector))

    return make


def plain(output: OutputSpec) -> OutputSpec:
    """The output without rules."""
    return output.changed(dict.fromkeys(("sets", "acceptance", "outliers")))
