"""From the head's logits to class logits: one way for training, evaluation, prediction and export."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from obverse.errors import RecipeError
from obverse.recipe import ADJUSTED, OutputSpec, ResolvedLoss
from obverse.registry import LOSSES


def build_output(spec: ResolvedLoss, *, counts: Sequence[int]) -> OutputSpec:
    """What the head must give for this loss, and how it is read. counts: training samples per class."""
    return OutputSpec.model_validate(
        {"kind": LOSSES[spec.kind].head, "prior": _deployment_prior(spec, counts), "decode": spec.decode}
    )


def class_logits(logits: torch.Tensor, spec: OutputSpec) -> torch.Tensor:
    """Numbers (.., K) whose softmax (of `binary` sigmoid) is the probability of each class, in fp32; NaN rows stay NaN.

    CORN's number j is the logit of P(y > j | y >= j), so P(y = k) is a product. CORAL's is the logit of P(y > j), so
    P(y = k) is a difference; where training has left the questions out of order, the running minimum puts them right.
    """
    logits = logits.float()
    if spec.kind == "corn":
        yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        none = torch.zeros_like(logits[..., :1])
        return torch.cat([none, yes.cumsum(-1)], -1) + torch.cat([no, none], -1)
    if spec.kind == "coral":
        above = [logits[..., 0].sigmoid()]
        for j in range(1, logits.shape[-1]):
            above.append(torch.minimum(above[-1], logits[..., j].sigmoid()))
        at_least = torch.stack([torch.ones_like(above[0]), *above], -1)
        at_most = torch.stack([*above, torch.zeros_like(above[0])], -1)
        return (at_least - at_most).clamp(min=torch.finfo(torch.float32).tiny).log()
    if spec.prior is not None:
        return logits + torch.tensor(spec.prior, device=logits.device).log()
    return logits


def training_prior(counts: Sequence[int], *, power: float) -> tuple[float, ...]:
    """Shares (K) that sum to 1, of training samples per class raised to `power`: 1 as in training, 0 all equal."""
    weights = [max(1, count) ** power for count in counts]
    return tuple(weight / sum(weights) for weight in weights)


def _deployment_prior(spec: ResolvedLoss, counts: Sequence[int]) -> tuple[float, ...] | None:
    """Shares in class order; None where equal frequencies leave the logits as they are, as they do until tuned."""
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
