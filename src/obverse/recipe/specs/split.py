"""How samples are divided into train, val and test."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from .spec import MAX_COUNT, Fraction, NonNegativeInt, Seed, Spec

DEFAULT_TEST = 0.15
LARGE_SET = 20_000


class GroupBy(Spec):
    """What samples have in common that must not be parted: a column of the data, or a part of the sample's id.

    pattern is searched in the id without its file ending; its one capture names the group.
    """

    column: str | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is None) == (self.pattern is None):
            raise ValueError("give either column or pattern")
        if self.pattern is not None:
            try:
                captures = re.compile(self.pattern).groups
            except re.error as error:
                raise ValueError(f"the pattern is no regular expression: {error}") from None
            if captures != 1:
                raise ValueError(f"the pattern must have one capture, the group's name, and has {captures}: "
                                 r"for example '^(.*)_\d+$'")  # fmt: skip
        return self


class SplitSpec(Spec):
    """Fractions are always named, because documents disagree on their order.

    A split that the data already gives (folders, a CSV column, a stored manifest) is kept; only what is missing is
    carved from train. With `folds`, val is one fold of what is not test, so train and val follow from folds and test.
    stored: a run folder or manifest whose assignment is kept; samples that it does not know are fitted around it.
    group_duplicates: samples that share a picture, byte for byte, or whose names say augmented copies.
    """

    strategy: Literal["auto", "stratified", "digest"] = "auto"
    train: Fraction = 0.7
    val: Fraction = 0.15
    test: Fraction = DEFAULT_TEST
    seed: Seed = 0
    group_duplicates: bool = True
    group_near_duplicates: bool = False
    group_by: GroupBy | None = None
    folds: int | None = Field(default=None, ge=2, le=MAX_COUNT)
    fold: NonNegativeInt = 0
    stored: str | None = None

    def for_samples(self, num_samples: int) -> SplitSpec:
        """With the strategy that `auto` means for so many samples."""
        if self.strategy != "auto":
            return self
        return self.model_copy(update={"strategy": "digest" if num_samples >= LARGE_SET else "stratified"})

    @model_validator(mode="before")
    @classmethod
    def _fractions_of_folds(cls, values: Any) -> Any:
        if not isinstance(values, dict) or {"train", "val"} & values.keys():
            return values
        folds, test = values.get("folds"), values.get("test", DEFAULT_TEST)
        if isinstance(folds, int) and folds >= 2 and isinstance(test, int | float):
            val = (1 - test) / folds
            return {**values, "train": 1 - test - val, "val": val}
        return values

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, not {total:g}")
        if min(self.train, self.val) <= 0:
            raise ValueError("train and val must be above 0: a model is always chosen on val, never on test")
        return self

    @model_validator(mode="after")
    def _folds_fit(self) -> Self:
        if self.folds is None:
            if self.fold:
                raise ValueError("fold needs folds: how many folds are there?")
            return self
        if self.fold >= self.folds:
            raise ValueError(f"fold counts from 0 to {self.folds - 1}, and is {self.fold}")
        val = (1 - self.test) / self.folds
        if abs(self.val - val) > 1e-6:
            raise ValueError(f"folds: {self.folds} and test {self.test:g} make val {val:.4g}, not {self.val:g}; "
                             "leave out train and val")  # fmt: skip
        return self
