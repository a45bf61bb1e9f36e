"""Conversion of the head's logits to class logits, shared by training, evaluation, prediction and export."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from obverse.errors import RecipeError
from obverse.recipe import ADJUSTED, OutputSpec, ResolvedLoss
from obverse.registry import LOSSES

from .calibration.apply import calibrated
from .kinds import kind_of


def build_output(spec: ResolvedLoss, *, counts: Sequence[int], per_view: bool = False) -> OutputSpec:
    """The output spec that a loss needs: kind of the head's outputs, prior and decision rule.

    counts: training samples of each class, in class order. RecipeError when `loss.prior` has another length.
    per_view: whether every view has a head of its own and their probabilities are averaged.
    """
    prior = _deployment_prior(spec, counts)
    return OutputSpec.model_validate(
        {"kind": LOSSES[spec.kind].head, "prior": prior, "decode": spec.decode, "per_view": per_view}
    )


def class_logits(logits: torch.Tensor, spec: OutputSpec) -> torch.Tensor:
    """Class logits (.., K) in fp32, whose softmax (sigmoid for `binary`) is the probability of each class.

    With `per_view`, logits are (B, V, 1 + K) as of `split_views`. The prior is added after the views are averaged, and
    the calibration comes last.
    """
    logits = logits.float()
    if spec.per_view:
        present_BV, logits_BVK = split_views(logits)
        logits = kind_of(spec).mean_of_present(_before_prior(logits_BVK, spec.kind), present_BV)
    else:
        logits = _before_prior(logits, spec.kind)
    if spec.prior is not None:
        logits = logits + torch.tensor(spec.prior, device=logits.device).log()
    return calibrated(logits, spec.calibration)


def _before_prior(logits: torch.Tensor, kind: str) -> torch.Tensor:
    """Class logits (.., K) without a prior, from logits in fp32.

    CORN's logit j is that of P(y > j | y >= j), so P(y = k) is a product. CORAL's logit j is that of P(y > j), so
    P(y = k) is a difference; a running minimum makes the P(y > j) monotonic if training has not. NaN rows stay NaN.
    """
    if kind == "corn":
        yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        none = torch.zeros_like(logits[..., :1])
        return torch.cat([none, yes.cumsum(-1)], -1) + torch.cat([no, none], -1)
    if kind == "coral":
        above = [logits[..., 0].sigmoid()]
        for j in range(1, logits.shape[-1]):
            above.append(torch.minimum(above[-1], logits[..., j].sigmoid()))
        at_least = torch.stack([torch.ones_like(above[0]), *above], -1)
        at_most = torch.stack([*above, torch.zeros_like(above[0])], -1)
        return (at_least - at_most).clamp(min=torch.finfo(torch.float32).tiny).log()
    return logits


def split_views(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which views are present (B, V) and the logits of each view (B, V, K), from what a head per view gives.

    Such a head gives (B, V, 1 + K): 1 for a view that is present and 0 for a missing one, then the view's logits.
    """
    return logits[..., 0] > 0.5, logits[..., 1:]


def training_prior(counts: Sequence[int], *, power: float) -> tuple[float, ...]:
    """Prior (K), proportional to the training samples of each class raised to `power`.

    A power of 1 gives the frequencies of training, 0 equal ones. A class without samples counts as having one.
    """
    weights = [max(1, count) ** power for count in counts]
    return tuple(weight / sum(weights) for weight in weights)


def _deployment_prior(spec: ResolvedLoss, counts: Sequence[int]) -> tuple[float, ...] | None:
    """Prior added to the logits, in class order. None: no prior is added (balanced, or not tuned yet)."""
    if spec.kind not in ADJUSTED or spec.prior in ("balanced", "tuned"):
        return None
    if spec.prior == "train":
        return training_prior(counts, power=1.0)
    assert isinstance(spec.prior, tuple)
    if len(spec.prior) != len(counts):
        raise RecipeError(
            f"loss.prior: {len(spec.prior)} numbers for {len(counts)} classes; give one per class, in order"
        )
    return tuple(number / sum(spec.prior) for number in spec.prior)
