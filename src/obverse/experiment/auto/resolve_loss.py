"""Resolution of the loss, from the order of the classes and their imbalance."""

from __future__ import annotations

from obverse import metrics
from obverse.errors import RecipeError
from obverse.manifest import Manifest
from obverse.recipe import BINARY, LABEL_SETS, ORDINAL, Recipe, ResolvedLoss
from obverse.registry import LOSSES, Decode

# Ratio of the largest to the smallest class, in training samples, above which classes count as imbalanced.
IMBALANCED = 10
# Label smoothing where it is `auto` and the loss takes it.
SMOOTHING = 0.1
# Losses without smoothing: ordinal targets are spread already, and smoothing moves a binary target towards 1/2.
UNSMOOTHED = ORDINAL | LABEL_SETS
DECODES: dict[Decode, str] = {
    "mode": "the most probable class (mode), which is most often right",
    "median": "the median class, which has the least expected absolute error",
    "mean": "the rounded mean class, which has the least expected squared error",
}
"""Which class of a distribution over ordered classes is the answer, and why one would want it."""


def imbalance(manifest: Manifest) -> float:
    """Ratio of training samples in the largest class to those in the smallest class that has any."""
    counts = [count for count in manifest.counts("train").values() if count]
    return max(counts) / min(counts)


def resolve_loss(recipe: Recipe, manifest: Manifest, *, select: str, reasons: list[str]) -> ResolvedLoss:
    """The loss spec without `auto`.

    select: the resolved metric of selection, which the answers to ordered classes follow.

    Raises RecipeError for a loss or decoding that does not fit the labels (ordered, one class, label sets).
    """
    values = recipe.loss.model_dump()
    if manifest.multi_label:
        values |= _of_sets(recipe, reasons)
    elif recipe.loss.kind in LABEL_SETS:
        raise RecipeError(
            f"loss.kind: {recipe.loss.kind} is for multi-label data (data.labels), and each sample has one class"
        )
    elif recipe.loss.kind == "auto":
        values |= _choose(recipe, manifest, reasons)
    kind = values["kind"]
    if values["decode"] == "auto":
        values["decode"] = _decode(kind, select, reasons) if manifest.ordered else "mode"
    if values["label_smoothing"] == "auto":
        values["label_smoothing"] = 0.0 if kind in UNSMOOTHED else SMOOTHING
    if not manifest.ordered and kind in ORDINAL:
        raise RecipeError(f"loss.kind: {kind} needs classes with an order; give data.order")
    if not manifest.ordered and values["decode"] != "mode":
        raise RecipeError(f"loss.decode: {values['decode']} needs classes with an order; give data.order")
    try:
        return ResolvedLoss.model_validate(values)
    except ValueError as error:
        raise RecipeError(f"loss.kind: {kind} was chosen because the classes are ordered: {error}; "
                          "say loss.kind=cross-entropy if they should not be") from None  # fmt: skip


def _decode(kind: str, select: str, reasons: list[str]) -> Decode:
    """The decision rule for ordered classes: the loss's own, else the one that the metric of selection asks for."""
    own = LOSSES[kind].decode
    decode = own or metrics.metric_of(select).decode
    cause = f"loss.kind is {kind}" if own else f"training.select is {select}"
    reasons.append(f"answer: {DECODES[decode]}, because {cause}; loss.decode sets another")
    return decode


def _of_sets(recipe: Recipe, reasons: list[str]) -> dict[str, str]:
    """Resolved loss kind of multi-label data. Raises RecipeError for settings that need one class per sample."""
    if recipe.loss.kind != "auto" and recipe.loss.kind not in LABEL_SETS:
        raise RecipeError(f"loss.kind: {recipe.loss.kind} is for one class per sample, and the data is multi-label; "
                          f"choose {BINARY}, with loss.pos_weight or loss.class_weights for rare classes")  # fmt: skip
    if recipe.training.sampler != "natural":
        raise RecipeError(f"training.sampler: {recipe.training.sampler} shows classes more or less often, and a sample "
                          "of multi-label data has several; choose natural, and loss.pos_weight")  # fmt: skip
    if recipe.loss.decode not in ("auto", "mode"):
        raise RecipeError(f"loss.decode: {recipe.loss.decode} is for one class per sample, and the data is multi-label")
    if recipe.model.view_heads is not None:
        raise RecipeError("model.view_heads grade one class per view, and the data is multi-label; leave them out")
    if recipe.loss.kind == "auto":
        reasons.append(f"loss: {BINARY}, because a sample may have several classes (multi-label)")
        return {"kind": BINARY}
    return {"kind": recipe.loss.kind}


def _choose(recipe: Recipe, manifest: Manifest, reasons: list[str]) -> dict[str, str]:
    ratio = imbalance(manifest)
    corrected = recipe.loss.class_weights != "none" or recipe.training.sampler != "natural"
    if manifest.ordered:
        reasons.append("loss: sord (targets that spread to neighbouring classes), because the classes are ordered")
        return {"kind": "sord"}
    if ratio > IMBALANCED and not corrected and recipe.distill is not None:
        reasons.append("loss: cross-entropy, although the classes are uneven, because the teacher corrects for that")
    elif ratio > IMBALANCED and not corrected:
        reasons.append(
            f"loss: logit-adjustment, because the largest class has {ratio:.0f} times the training samples of the "
            "smallest; how frequent classes are in use is tuned on val; to decide it, say "
            "loss.kind=logit-adjustment and loss.prior=balanced (or train)"
        )
        return {"kind": "logit-adjustment", "prior": "tuned"}
    return {"kind": "cross-entropy"}
