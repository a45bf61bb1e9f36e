"""Report of the predictions of several models as one, with slices, filters and pictures as a single run's has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from obverse.data import PictureDataset
from obverse.evaluation import EARLIER, OUT_OF_FOLD, Extras, Measurements, Predictions, Seen, write_evaluation
from obverse.experiment import describe, read_inputs
from obverse.explain import thumbnails_of
from obverse.manifest import Manifest
from obverse.report import Section
from obverse.runs import RunFolder
from obverse.staging import staged
from obverse.trust import pooled_suspects, slice_facets, slices_topic, suspects_topic


def write_pooled(
    folder: Path,
    predictions: Predictions,
    folds: Sequence[RunFolder],
    *,
    facts: Mapping[str, str],
    seen: Seen,
    more: Sequence[Section] = (),
) -> Measurements:
    """Measurements of the predictions, after writing their evaluation into `folder`.

    folds: runs whose manifests have the samples. Raises DataError when their data's folder no longer exists.
    """
    recipe, manifest = read_inputs(folds[0])
    geometry, listed = describe(recipe, manifest).geometry, None
    if predictions.split == OUT_OF_FOLD:
        parts = [Predictions.read(run.evaluation("val")) for run in folds]
        manifest = _by_fold(manifest, parts)
        listed = pooled_suspects(predictions, manifest, parts)
    suspects = suspects_topic(listed, predictions, manifest, geometry)
    place = {name: row for row, name in enumerate(manifest.samples.ids)}
    dataset = PictureDataset(manifest, manifest.samples.take([place[name] for name in predictions.ids]), geometry)
    with staged(folder, earlier=EARLIER) as stage:
        return write_evaluation(
            stage,
            predictions,
            facts=facts,
            extras=Extras(thumbnails=thumbnails_of(dataset, {}), facets=slice_facets(predictions, manifest)),
            more=[slices_topic(predictions, manifest, select=recipe.training.select), suspects, *more],
            seen=seen,
        )


def _by_fold(manifest: Manifest, parts: Sequence[Predictions]) -> Manifest:
    """The manifest with the fold that held a sample out as its split, because it has the splits of one fold."""
    fold_of = {name: f"fold {fold + 1}" for fold, part in enumerate(parts) for name in part.ids}
    splits = (fold_of.get(name, "test") for name in manifest.samples.ids)
    return manifest.with_samples(manifest.samples.with_columns(splits=splits))
