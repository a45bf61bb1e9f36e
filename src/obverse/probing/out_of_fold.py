"""Out-of-fold class probabilities of every sample, by a head on the frozen features of pretrained weights.

No feature and no probability depends on the sample's own label: the backbone never saw the data, and each fold is
answered by a head that was fitted on the other folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle
from obverse.experiment import prepare_process
from obverse.manifest import Manifest, fold_of_each
from obverse.recipe import ResolvedRecipe
from obverse.runtime import cache_folder

from .features import Features, Progress, frozen_features
from .heads import heads_for
from .measure import targets_of
from .validation import Folds, out_of_fold
from .views import filled


@dataclass(frozen=True, eq=False)
class FrozenAnswers:
    """Out-of-fold probabilities of all samples of a manifest, with the features that they come from."""

    probabilities_NK: npt.NDArray[np.float64]

    features_ND: npt.NDArray[np.float32]
    """Features of all views side by side; the view's mean where a view is missing."""

    head: str
    """Name of the head, as the comparison of backbones has it."""

    complaint: str
    """Why features could not be kept on disk; empty where they were."""


def frozen_answers(
    bundle: Bundle, recipe: ResolvedRecipe, manifest: Manifest, *, folds: int, progress: Progress
) -> FrozenAnswers:
    """The answers for every sample of `manifest`, by the pretrained weights that `bundle` names.

    Raises DataError for fewer groups of samples than folds, and for features that are not finite.
    """
    device = prepare_process(recipe)
    features = frozen_features(
        bundle,
        manifest,
        manifest.samples,
        device=device,
        root=cache_folder(),
        num_workers=recipe.runtime.num_workers,
        progress=progress,
    )
    features.require_finite("the pretrained weights")
    spec = recipe.data.split.changed({"strategy": "stratified", "folds": None})
    places = fold_of_each(manifest.samples, spec, folds, multi_label=manifest.multi_label)
    return _answers(features, bundle, manifest, torch.tensor(places))


def _answers(features: Features, bundle: Bundle, manifest: Manifest, folds_N: torch.Tensor) -> FrozenAnswers:
    ordered, is_set = bundle.kind.ordered, bundle.kind.is_set
    targets_NK = targets_of(manifest, manifest.samples)
    features_ND = filled(features.features_NVD.double(), features.present_NV).flatten(1)
    # One strength, in the middle: the ranking hardly depends on it, and to choose one takes many times as long.
    head = heads_for(ordered=ordered, is_set=is_set)[0]
    head = replace(head, options=(head.options[len(head.options) // 2],))
    probabilities_NK = out_of_fold(head, Folds(features_ND, targets_NK, folds_N), ordered=ordered, is_set=is_set)
    return FrozenAnswers(probabilities_NK.numpy(), features_ND.float().numpy(), head.name, features.complaint)
