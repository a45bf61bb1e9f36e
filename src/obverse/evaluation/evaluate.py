"""Outputs of an engine over a split as predictions: the arrays that are measured, reported and written."""

from __future__ import annotations

from obverse.decisions import require_numbers, softmax, to_probabilities
from obverse.engines import Outputs
from obverse.manifest import Manifest
from obverse.recipe import Decode, OutputSpec

from .predictions import Predictions
from .set_predictions import SetPredictions


def to_predictions(
    outputs: Outputs, manifest: Manifest, split: str, *, decode: Decode, embeddings: bool = True
) -> Predictions:
    """Outputs as the arrays that are reported and written."""
    alone = dict(zip(manifest.views, map(softmax, outputs.alone_VNK), strict=False))
    grades = dict(zip(manifest.views, map(softmax, outputs.grades_VNK), strict=False))
    probabilities_NK = softmax(outputs.logits_NK)
    require_numbers(probabilities_NK, outputs.ids)
    return Predictions(
        split=split,
        classes=manifest.classes,
        ids=outputs.ids,
        labels_N=outputs.labels_N,
        probabilities_NK=probabilities_NK,
        embeddings_ND=outputs.embeddings_ND if embeddings else None,
        view_probabilities=alone,
        view_grades=grades,
        ordered=manifest.ordered,
        decode=decode,
        groups=_groups(outputs.ids, manifest),
    )


def to_set_predictions(
    outputs: Outputs, manifest: Manifest, split: str, *, output: OutputSpec, embeddings: bool = True
) -> SetPredictions:
    """Outputs of multi-label data as the arrays that are reported and written."""
    assert outputs.label_sets_NK is not None
    alone = {
        view: to_probabilities(rows, output) for view, rows in zip(manifest.views, outputs.alone_VNK, strict=False)
    }
    probabilities_NK = to_probabilities(outputs.logits_NK, output)
    require_numbers(probabilities_NK, outputs.ids)
    return SetPredictions(
        split=split,
        classes=manifest.classes,
        ids=outputs.ids,
        label_sets_NK=outputs.label_sets_NK,
        probabilities_NK=probabilities_NK,
        thresholds=output.thresholds,
        embeddings_ND=outputs.embeddings_ND if embeddings else None,
        view_probabilities=alone,
        groups=_groups(outputs.ids, manifest),
    )


def _groups(ids: tuple[str, ...], manifest: Manifest) -> tuple[str | None, ...]:
    """Of each row; nothing where the manifest has no groups."""
    if not any(manifest.samples.groups):
        return ()
    group_of = dict(zip(manifest.samples.ids, manifest.samples.groups, strict=True))
    return tuple(group_of[name] or None for name in ids)
