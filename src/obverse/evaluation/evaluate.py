"""Conversion of an engine's outputs on a split to `Predictions`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obverse.bundle import Bundle
from obverse.decisions import (
    Kind,
    PredictionSets,
    outlier_scores,
    require_numbers,
    row_blocks,
    sets_of,
    to_probabilities,
    uncalibrated,
)
from obverse.engines import Outputs
from obverse.manifest import Manifest
from obverse.recipe import CalibrationSpec, OutputSpec

from .predictions import Predictions


def to_predictions(
    outputs: Outputs, manifest: Manifest, split: str, *, bundle: Bundle, embeddings: bool = True
) -> Predictions:
    """The predictions of a split. Raises an error when a probability is not a number.

    bundle: the model's description, with how answers are read from probabilities.
    """
    kind, calibration, rule = bundle.kind, bundle.output.calibration, bundle.output.sets
    probabilities_NK = to_probabilities(outputs.logits_NK, kind)
    require_numbers(probabilities_NK, outputs.ids)
    alone, grades = (
        {view: to_probabilities(rows_NK, kind) for view, rows_NK in zip(manifest.views, of_views, strict=False)}
        for of_views in (outputs.alone_VNK, outputs.grades_VNK)
    )
    spec, detector, scores_N = bundle.output.outliers, bundle.detector, None
    if spec is not None and detector is not None and outputs.embeddings_ND.shape[1]:
        scores_N = outlier_scores(spec, detector, probabilities_NK, outputs.embeddings_ND)
    return Predictions(
        split=split,
        classes=manifest.classes,
        ids=outputs.ids,
        truth=outputs.truth,
        probabilities_NK=probabilities_NK,
        kind=kind,
        uncalibrated_NK=_before(calibration, outputs.logits_NK, kind) if calibration else None,
        sets=None if rule is None else PredictionSets(sets_of(probabilities_NK, kind, rule), (rule,)),
        embeddings_ND=outputs.embeddings_ND if embeddings else None,
        view_probabilities=alone,
        view_grades=grades,
        groups=_groups(outputs.ids, manifest),
        outlier_scores_N=scores_N,
        rule=OutputSpec(acceptance=bundle.output.acceptance, outliers=bundle.output.outliers),
    )


def _before(calibration: CalibrationSpec, logits_NK: npt.NDArray[np.float32], kind: Kind) -> npt.NDArray[np.float32]:
    """Probabilities (N, K) before calibration, block by block, because the whole logits would be one array more."""
    probabilities_NK = np.empty_like(logits_NK)
    for rows in row_blocks(*logits_NK.shape):
        probabilities_NK[rows] = to_probabilities(uncalibrated(logits_NK[rows], calibration), kind)
    return probabilities_NK


def _groups(ids: tuple[str, ...], manifest: Manifest) -> tuple[str | None, ...]:
    """The group of each row, None for a sample without one; empty where the manifest has no groups."""
    if not any(manifest.samples.groups):
        return ()
    group_of = dict(zip(manifest.samples.ids, manifest.samples.groups, strict=True))
    return tuple(group_of[name] or None for name in ids)
