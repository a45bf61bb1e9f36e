"""Construction of the objective from a resolved loss, for one label per sample or for label sets."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from obverse.decisions import build_output
from obverse.recipe import ADJUSTED, LABEL_SETS, ModelSpec, OutputSpec, ResolvedLoss
from obverse.registry import LOSSES, load_file

from . import nominal, ordinal
from .binary import BinaryObjective, presence_weights
from .objective import LabelLosses, Objective
from .weights import class_weights

DEFAULT = ModelSpec()


def build_objective(
    spec: ResolvedLoss,
    *,
    counts: Sequence[int],
    num_samples: int | None = None,
    model: ModelSpec = DEFAULT,
) -> Objective:
    """The objective of a resolved loss.

    counts: training samples that have each class, in class order.
    num_samples: number of training samples; None is the sum of `counts`, which is wrong for label sets.
    model: spec of the model, for its views' own heads.
    """
    label_losses: LabelLosses = load_file("losses", LOSSES[spec.kind].file).build(spec, counts)
    output = build_output(spec, counts=counts, per_view=model.fusion.kind == "average")
    if spec.kind in LABEL_SETS:
        num_samples = sum(counts) if num_samples is None else num_samples
        return _of_sets(spec, label_losses, counts, num_samples, output=output)
    weights_K = torch.tensor(class_weights(counts, spec.class_weights, beta=spec.effective_beta), dtype=torch.float32)
    terms_K = ordinal.corn_num_questions(len(counts)) if spec.kind == "corn" else torch.ones_like(weights_K)
    return Objective(
        label_losses,
        weights_K,
        terms_K,
        output=output,
        label_smoothing=spec.label_smoothing,
        defer_fraction=spec.defer_fraction,
        view_weight=model.view_heads.weight if model.view_heads else 0.0,
        spread_K=_spread(spec, counts) if spec.kind in ADJUSTED else None,
        tuned_counts=tuple(counts) if spec.prior == "tuned" else None,
    )


def _of_sets(
    spec: ResolvedLoss, label_losses: LabelLosses, counts: Sequence[int], num_samples: int, *, output: OutputSpec
) -> BinaryObjective:
    """The objective of label sets. A class without training samples counts as having one, and is learned as absent."""
    weights = class_weights([max(1, count) for count in counts], spec.class_weights, beta=spec.effective_beta)
    weights_K = torch.tensor(weights, dtype=torch.float32)
    return BinaryObjective(
        label_losses,
        weights_K,
        torch.ones_like(weights_K),
        output=output,
        label_smoothing=spec.label_smoothing,
        defer_fraction=spec.defer_fraction,
        pos_weights_K=presence_weights(counts, num_samples, spec.pos_weight),
    )


def _spread(spec: ResolvedLoss, counts: Sequence[int]) -> torch.Tensor:
    """Distribution (K) that label smoothing of an adjusted loss mixes in: the prior that the loss adds to the logits.

    With it, an uninformed network has equal logits, as without adjustment. The uniform distribution would make the
    network raise the logits of rare classes.
    """
    return (spec.tau * nominal.log_shares(counts)).softmax(0)
