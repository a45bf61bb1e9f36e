"""Facts of a run in words, as its report shows them."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version

import torch

from obverse.decisions import LEAST_UNITS, promise
from obverse.manifest import Manifest
from obverse.metrics import Units
from obverse.models import Classifier, weights_licence
from obverse.recipe import LossSpec, OutputSpec, Recipe, SetsSpec, Size, licence_words
from obverse.runtime import peak_memory
from obverse.training import Progress, Repeat


def run_facts(
    recipe: Recipe, manifest: Manifest, model: Classifier, progress: Progress, *, num_trained: int, output: OutputSpec
) -> dict[str, str]:
    """Facts about the run: name -> value, as the report shows them.

    num_trained: number of parameters in the optimizer. output: the output spec of the shipped bundle.
    """
    size = recipe.data.size
    assert isinstance(size, Size)
    best = progress.best_row
    counts = manifest.split_counts()
    peak = peak_memory(torch.device(recipe.runtime.device))
    parameters = f"{model.num_parameters():,}"
    if num_trained != model.num_parameters():
        parameters += f", {num_trained:,} trained"
    return {
        "data": str(recipe.data.path),
        "samples": ", ".join(f"{count} {split}" for split, count in counts.items()),
        "views": ", ".join(manifest.views)
        + (f"; {recipe.model.fusion.kind} fusion, {recipe.model.sharing} backbone" if len(manifest.views) > 1 else ""),
        "input": f"{size.width}x{size.height} (width x height), {recipe.data.fit}",
        "model": model_words(recipe),
        "trained": f"on {_today()} with Obverse {version('obverse')}",
        **_licence(recipe),
        "parameters": parameters,
        **({"columns": ", ".join(recipe.data.columns)} if recipe.data.columns else {}),
        "loss": _loss(recipe.loss, output),
        "calibration": calibration_words(output, manifest),
        **({"sets": sets_words(output.sets, refit=recipe.training.refit)} if output.sets else {}),
        **({"goes on from": recipe.parent.run} if recipe.parent else {}),
        **({"teacher": f"{recipe.distill.teacher}, {recipe.distill.share:g} of a target"} if recipe.distill else {}),
        **_start(progress),
        "epochs": f"{len(progress.epochs)}, {progress.step} steps of {recipe.training.batch_size} samples",
        "best epoch": f"{best['epoch']}, by val {best['select']} {best['select_value']:.4f}"
        + (f" in {recipe.runtime.precision}" if recipe.runtime.precision != "fp32" else ""),
        "micro-batches": f"of {progress.micro_batch_size or recipe.training.micro_batch_size} samples",
        "stopped early": progress.stop_reason or "no",
        "training time": f"{progress.seconds / 60:.1f} minutes on {recipe.runtime.device}",
        "pictures per second": f"{_mean(progress, 'pictures_per_second'):,.0f} in training",
        "peak memory": f"{peak / 1e9:.2f} GB" if peak else "not known",
        "data wait": f"{100 * _mean(progress, 'data_wait'):.1f} % of the training time",
        "precision": f"{_precision(recipe)}, {recipe.runtime.num_threads} threads, seed {recipe.training.seed}",
        "recipe": recipe.name,
    }


def _today() -> str:
    """The date, as people write it."""
    now = datetime.now()
    return f"{now.day} {now:%B %Y}"


def _licence(recipe: Recipe) -> dict[str, str]:
    """The fact about the licence of the pretrained weights; empty where nothing says it."""
    backbone = recipe.model.backbone
    if backbone.is_scratch:
        return {"licence of the weights": "none needed: trained from scratch"}
    licence = weights_licence(backbone)
    return {"licence of the weights": licence_words(licence)} if licence else {}


def _start(progress: Progress) -> dict[str, str]:
    """The fact about epoch 0; empty where the start was not validated."""
    row = progress.history[0]
    if row["epoch"]:
        return {}
    value = f"val {row['select']} {row['select_value']:.4f}"
    return {"epoch 0": f"the frozen features with a fitted head, {value}"}


def refit_fact(repeat: Repeat, progress: Progress, manifest: Manifest, *, has_folds: bool) -> str:
    """The fact about a second training, whose weights ship.

    manifest: that of the second training. has_folds: whether val's figures are those of folds.
    """
    of_val = "out-of-fold, of other models" if has_folds else "of the first training"
    what = f"{len(progress.history)} epochs, {progress.step} steps" if repeat.num_epochs else "the head alone"
    return (
        f"trained once more on train and val ({len(manifest.split('train')):,} samples; {what}, as val chose), and "
        f"these weights ship; val figures are {of_val}"
    )


def model_words(recipe: Recipe) -> str:
    """The backbone's name and the source of its initial weights, as text."""
    backbone = recipe.model.backbone
    pretrained = getattr(backbone, "pretrained", "none")
    weights = {"hub": "pretrained (hub)", "none": "from scratch"}.get(pretrained, f"weights from {pretrained}")
    mirrored = getattr(backbone, "mirrored", False) is True
    return ", ".join(
        [getattr(backbone, "name", backbone.kind), weights, *["answers for both mirror images"] * mirrored]
    )


def _precision(recipe: Recipe) -> str:
    if recipe.runtime.precision == "fp32":
        return "fp32"
    return f"{recipe.runtime.precision} in training, fp32 in this report and in what ships"


def _loss(spec: LossSpec, output: OutputSpec) -> str:
    """The loss as text: its kind, class weights, prior and decoding, with the ratio of a prior tuned on val."""
    parts: list[str] = [spec.kind]
    if spec.class_weights != "none":
        late = f" from {100 * spec.defer_fraction:.0f} % of the run on" if spec.defer_fraction else ""
        parts.append(f"class weights {spec.class_weights}{late}")
    if spec.pos_weight != "none":
        parts.append(f"pos_weight {spec.pos_weight}")
    if spec.prior is not None:
        given = spec.prior if isinstance(spec.prior, str) else ", ".join(f"{number:g}" for number in spec.prior)
        shares = [1.0] if output.prior is None else output.prior
        ratio = f" on val, the largest {max(shares) / min(shares):.3g} times the smallest" if given == "tuned" else ""
        parts.append(f"meant for class frequencies: {given}{ratio}")
    if spec.decode != "mode":
        parts.append(f"answer is the {spec.decode}")
    return "; ".join(parts)


def calibration_words(output: OutputSpec, manifest: Manifest) -> str:
    """What maps the logits to probabilities that state how often answers are right, or why nothing does, as text."""
    spec = output.calibration
    if spec is None:
        num = Units.of_groups(sample.group for sample in manifest.split("val")).num
        if num < LEAST_UNITS:
            return f"none: val has too few samples ({num} independent ones; {LEAST_UNITS} are needed)"
        return "none: it would make the answers on val worse"
    size = f"temperature {1 / spec.scale[0]:.3g}" if spec.kind == "temperature" else f"{spec.kind} scaling"
    return f"{size}, fitted on {spec.num_samples} samples of val"


def sets_words(rule: SetsSpec, *, refit: bool) -> str:
    """What prediction sets promise, and what their rule was fitted on, as text."""
    if refit and rule.fitted_on == "val":
        return f"{promise(rule)}; fitted on the first training, before val was trained on, too"
    if refit:
        return f"{promise(rule)}; fitted on models of folds, before the training that ships"
    return promise(rule)


def _mean(progress: Progress, key: str) -> float:
    values = [float(row[key]) for row in progress.epochs]
    return sum(values) / len(values)
