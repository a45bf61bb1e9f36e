"""What is read: where, which layout, views, class order, size, split."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .spec import Auto, Fraction, NonNegativeInt, PositiveInt, Spec


class Size(Spec):
    """Picture size in pixels."""

    height: PositiveInt
    width: PositiveInt


class SplitSpec(Spec):
    """Fractions are always named, because documents disagree on their order (requirement A7).

    A split that the data already gives (folders, a CSV column) is kept; only what is missing is carved from train.
    """

    strategy: Literal["auto", "stratified", "digest"] = "auto"
    train: Fraction = 0.7
    val: Fraction = 0.15
    test: Fraction = 0.15
    seed: NonNegativeInt = 0
    group_duplicates: bool = True

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, not {total:g}")
        if min(self.train, self.val) <= 0:
            raise ValueError("train and val must be above 0: a model is always chosen on val, never on test")
        return self


class DataSpec(Spec):
    """From a folder or table to samples of one size."""

    path: str | None = None
    layout: Literal["auto", "class-folders", "view-folders", "table"] = "auto"
    views: Auto | tuple[str, ...] = "auto"
    order: Literal["auto", "none"] | tuple[str, ...] = "auto"
    missing_view: Literal["auto", "exclude", "keep"] = "auto"
    on_bad_picture: Literal["stop", "quarantine"] = "stop"
    size: Auto | Size = "auto"
    fit: Literal["pad", "squash", "crop"] = "pad"
    round_to_multiple: Literal["up", "down"] = "up"
    cache_gigabytes: float = Field(default=2.0, ge=0)
    split: SplitSpec = SplitSpec()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        for field in ("views", "order"):
            names = getattr(self, field)
            if not isinstance(names, tuple):
                continue
            if not names or len(set(names)) != len(names) or not all(names):
                raise ValueError(f"{field} must be a list of distinct names")
        return self
