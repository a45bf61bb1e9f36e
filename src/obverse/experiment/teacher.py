"""Soft targets of distillation: the teacher's probabilities for every training sample, computed once before training.

One class per sample: the teacher's softmax (Hinton et al. 2015, arXiv:1503.02531, at temperature 1). Label sets: each
class's sigmoid, every class being a binary distillation of its own (Yang et al. 2023, arXiv:2308.06453).

The teacher sees each picture once and without augmentation, so an epoch costs no more than without a teacher. Mixup and
cutmix mix soft targets as they mix labels, which is exact for losses that are linear in the target, as all losses are.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from obverse.bundle import Bundle, read_bundle, read_description
from obverse.data import Batch, Loader, PictureDataset
from obverse.decisions import label_targets, to_probabilities
from obverse.engines import TorchEngine, run_engine
from obverse.errors import DataError, RecipeError
from obverse.manifest import Manifest
from obverse.recipe import DistillSpec, Recipe, ResolvedRecipe
from obverse.runtime import resolve_device


@dataclass(frozen=True)
class SoftTargets:
    """Soft targets of all training samples."""

    targets_NK: torch.Tensor
    """Weighted mean of teacher probabilities and labels, float (N, K), on the CPU."""

    place: dict[str, int]
    """Sample id -> row of `targets_NK`."""

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its soft targets. The batch must still be on the CPU."""
        rows = [self.place[name] for name in batch.ids]
        return replace(batch, targets_BK=self.targets_NK[rows])


def soft_targets(recipe: ResolvedRecipe, manifest: Manifest) -> SoftTargets | None:
    """Soft targets of the training samples; None without a teacher.

    Raises DataError when the teacher does not fit the data or is not the model that the recipe names by its digest.
    """
    spec = recipe.distill
    if spec is None:
        return None
    bundle, model = read_bundle(Path(spec.teacher))
    _require_fit(spec, bundle, manifest)
    _, digest = read_description(Path(spec.teacher))
    if spec.digest != digest:
        raise DataError(f"distill.teacher {spec.teacher!r} is not the model that the run began with; "
                        "put that back, or start a new run")  # fmt: skip
    samples = manifest.split("train")
    seen = replace(manifest, views=bundle.views, columns=bundle.columns)
    dataset = PictureDataset(seen, samples, bundle.geometry)
    device = resolve_device(recipe.runtime.device)
    with closing(TorchEngine.from_bundle(bundle, model, device=device)) as engine:
        outputs = run_engine(engine, Loader(dataset, recipe.evaluation.batch_size).epoch(), embeddings=False)
    column = {name: k for k, name in enumerate(bundle.classes)}
    probabilities_NK = to_probabilities(outputs.logits_NK, bundle.kind)
    teacher_NK = torch.from_numpy(probabilities_NK[:, [column[name] for name in manifest.classes]])
    truth = torch.from_numpy(outputs.truth)
    labels_NK = label_targets(truth, truth if bundle.kind.is_set else None, len(manifest.classes))
    targets_NK = spec.share * teacher_NK + (1 - spec.share) * labels_NK
    return SoftTargets(targets_NK, {name: row for row, name in enumerate(outputs.ids)})


def with_digest(recipe: Recipe) -> Recipe:
    """The recipe with the teacher's absolute path and digest, so that a changed teacher is noticed.

    Raises RecipeError when the recipe gives another digest.
    """
    if recipe.distill is None:
        return recipe
    teacher = Path(recipe.distill.teacher).resolve()
    _, digest = read_description(teacher)
    if recipe.distill.digest not in ("auto", digest):
        raise RecipeError(f"distill.digest is not that of {str(teacher)!r}; leave it out to take the teacher as it is")
    return recipe.changed({"distill.teacher": str(teacher), "distill.digest": digest})


def require_teacher(recipe: Recipe, manifest: Manifest) -> None:
    """Raise DataError when the teacher's classes, views or label kind are not those of the data."""
    if recipe.distill is not None:
        bundle, _ = read_description(Path(recipe.distill.teacher))
        _require_fit(recipe.distill, bundle, manifest)


def _require_fit(spec: DistillSpec, bundle: Bundle, manifest: Manifest) -> None:
    if bundle.multi_label != manifest.multi_label:
        kinds = ("label sets", "one class") if bundle.multi_label else ("one class", "label sets")
        raise DataError(f"distill.teacher {spec.teacher!r} predicts {kinds[0]}, and the data has {kinds[1]} per "
                        "sample; choose a teacher of the same kind")  # fmt: skip
    odd = sorted(set(bundle.classes) ^ set(manifest.classes))
    if odd:
        raise DataError(f"distill.teacher {spec.teacher!r} has other classes than the data: {', '.join(odd[:5])}")
    if set(bundle.views) != set(manifest.views):
        raise DataError(f"distill.teacher {spec.teacher!r} looks at {', '.join(bundle.views)}, and the data has "
                        f"{', '.join(manifest.views)}")  # fmt: skip
