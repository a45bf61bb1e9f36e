"""Extra columns of a batch as numeric codes, and column dropout for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from obverse.manifest import Column, encode, missing_code
from obverse.recipe import ResolvedAugment
from obverse.runtime import named_uniforms

Row = tuple[str, Mapping[str, str]]


def column_codes(columns: Sequence[Column], rows: Sequence[Row]) -> torch.Tensor | None:
    """Codes of extra columns, float32 (B, E), from rows (sample id, cells by column); None without columns."""
    if not columns:
        return None
    return torch.tensor([[encode(column, cells.get(column.name), name) for column in columns] for name, cells in rows])


def drop_columns(
    columns: Sequence[Column],
    codes_BE: torch.Tensor,
    augment: ResolvedAugment,
    places: Sequence[tuple[int, str]],
    seed: int,
) -> torch.Tensor:
    """Codes after column dropout: single values, then all values of a sample. places: (epoch, sample id)."""
    share = augment.column_dropout
    drawn = [named_uniforms(len(columns) + 1, "column-dropout", seed, epoch, name) for epoch, name in places]
    draws_BE1 = torch.tensor([list(row) for row in drawn])
    lost_BE = (draws_BE1[:, 1:] < share) | (draws_BE1[:, :1] < share)
    return torch.where(lost_BE, torch.tensor([missing_code(column) for column in columns]), codes_BE)
