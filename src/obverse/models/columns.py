"""Encoder of a sample's extra columns (year, mint): features that are concatenated to those of its pictures.

A category has an embedding per value. A number passes a small network, so that its effect need not be linear. A missing
value has a learned vector. The codes are those of `manifest/columns.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

WIDTH = 16
"""Features per column: few beside a picture's hundreds, enough to keep values apart."""


class ColumnEncoder(nn.Module):
    """Encoder of codes (B, E) to features (B, E*WIDTH). sizes: number of values of each category, None for a number."""

    missing_codes: torch.Tensor

    def __init__(self, sizes: Sequence[int | None]) -> None:
        super().__init__()
        self.num_features = WIDTH * len(sizes)
        self.encoders = nn.ModuleList(_Category(size) if size is not None else _Number() for size in sizes)
        missing_E = torch.tensor([0.0 if size is not None else float("nan") for size in sizes])
        self.register_buffer("missing_codes", missing_E, persistent=False)

    def forward(self, codes_BE: torch.Tensor) -> torch.Tensor:
        """(B, E*WIDTH)."""
        return torch.cat([encoder(codes_BE[:, e]) for e, encoder in enumerate(self.encoders)], dim=1)


class _Category(nn.Module):
    """Embedding table of a category; row 0 is for missing and unknown values."""

    def __init__(self, num_values: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num_values + 1, WIDTH)

    def forward(self, codes_B: torch.Tensor) -> torch.Tensor:
        embedded_BW: torch.Tensor = self.table(codes_B.long())
        return embedded_BW


class _Number(nn.Module):
    """Small network of a number; NaN is a missing value."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.missing_W = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, codes_B: torch.Tensor) -> torch.Tensor:
        missing_B = codes_B.isnan()
        # NaN must not enter the layers: its gradient would be NaN even where it is not chosen.
        known_BW: torch.Tensor = self.layers(torch.where(missing_B, 0.0, codes_B).unsqueeze(1))
        return torch.where(missing_B.unsqueeze(1), self.missing_W.to(known_BW.dtype), known_BW)
