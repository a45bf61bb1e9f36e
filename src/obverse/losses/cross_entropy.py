"""Cross entropy as (sum, weight), so that division happens once, over micro-batches and ranks."""

from __future__ import annotations

import torch
from torch.nn import functional


def cross_entropy(
    logits_BK: torch.Tensor, labels_B: torch.Tensor, valid_B: torch.Tensor, *, label_smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed loss of the valid samples and their number, both scalars in fp32.

    Label smoothing mixes the target with the uniform distribution (Szegedy et al. 2016, section 7).
    """
    losses_B = functional.cross_entropy(logits_BK.float(), labels_B, reduction="none", label_smoothing=label_smoothing)
    return torch.where(valid_B, losses_B, 0.0).sum(), valid_B.sum().float()
