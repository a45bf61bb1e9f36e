"""Facts about a run for people and for `training_log.json`."""

from __future__ import annotations

from typing import Any

from obverse.manifest import Manifest
from obverse.models import Classifier
from obverse.recipe import LossSpec, Recipe, Size
from obverse.training.progress import Progress


def run_facts(
    recipe: Recipe, manifest: Manifest, model: Classifier, progress: Progress, *, num_trained: int
) -> dict[str, str]:
    """Name -> value, as the report shows them; num_trained: parameters that the optimizer had."""
    size, backbone = recipe.data.size, recipe.model.backbone
    assert isinstance(size, Size)
    best = progress.history[progress.best_epoch]
    counts = manifest.split_counts()
    weights = {"hub": "pretrained (hub)", "none": "from scratch"}
    pretrained = getattr(backbone, "pretrained", "none")
    parameters = f"{model.num_parameters():,}"
    if num_trained != model.num_parameters():
        parameters += f", {num_trained:,} trained"
    return {
        "data": str(recipe.data.path),
        "samples": ", ".join(f"{count} {split}" for split, count in counts.items()),
        "views": ", ".join(manifest.views),
        "input": f"{size.width}x{size.height} (width x height), {recipe.data.fit}",
        "model": f"{getattr(backbone, 'name', backbone.kind)}, {weights.get(pretrained, f'weights from {pretrained}')}",
        "parameters": parameters,
        "loss": _loss(recipe.loss),
        "epochs": f"{len(progress.history)}, {progress.step} steps of {recipe.training.batch_size} samples",
        "best epoch": f"{progress.best_epoch + 1}, by val {best['select']} {best['select_value']:.4f}",
        "micro-batches": f"of {progress.micro_batch_size or recipe.training.micro_batch_size} samples",
        "stopped early": progress.stop_reason or "no",
        "training time": f"{progress.seconds / 60:.1f} minutes on {recipe.runtime.device}",
        "pictures per second": f"{_mean(progress, 'pictures_per_second'):,.0f} in training",
        "data wait": f"{_mean(progress, 'data_wait'):.1%} of the training time",
        "precision": f"{recipe.runtime.precision}, {recipe.runtime.num_threads} threads, seed {recipe.training.seed}",
        "recipe": recipe.name,
    }


def training_log(progress: Progress, facts: dict[str, str]) -> dict[str, Any]:
    """The content of training_log.json."""
    return {
        "epochs": progress.history,
        "best_epoch": progress.best_epoch + 1,
        "best_value": progress.best_value,
        "stop_reason": progress.stop_reason,
        "seconds": progress.seconds,
        "facts": facts,
    }


def _loss(spec: LossSpec) -> str:
    """The kind with what was added to it."""
    parts: list[str] = [spec.kind]
    if spec.class_weights != "none":
        late = f" from {spec.defer_fraction:.0%} of the run on" if spec.defer_fraction else ""
        parts.append(f"class weights {spec.class_weights}{late}")
    if spec.prior is not None:
        given = spec.prior if isinstance(spec.prior, str) else ", ".join(f"{number:g}" for number in spec.prior)
        parts.append(f"meant for class frequencies: {given}")
    if spec.decode != "mode":
        parts.append(f"answer is the {spec.decode}")
    return "; ".join(parts)


def _mean(progress: Progress, key: str) -> float:
    values = [float(row[key]) for row in progress.history]
    return sum(values) / len(values)
