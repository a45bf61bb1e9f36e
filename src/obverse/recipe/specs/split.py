"""How samples are divided into train, val and test."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from .spec import MAX_COUNT, Fraction, NonNegativeInt, Seed, Spec

DEFAULT_TEST = 0.15
LARGE_SET = 20_000


class GroupBy(Spec):
    """What samples have in common that no split may part; either a column or a pattern."""

    column: str | None = None
    """Column of the data that names the group. Example: `coin`."""

    pattern: str | None = None
    """Regular expression that is searched in the sample's id (its path without the file ending); its one capture names
    the group. Example: `^(.*)_\\d+$` keeps `coin7_1.jpg` and `coin7_2.jpg` together."""

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
    """How samples are divided into train, val and test.

    A split that the data already gives (folders, a CSV column, a stored manifest) is kept; only what is missing is
    carved from train. With `folds`, val is one fold of what is not test, so `train` and `val` follow from `folds` and
    `test`.
    """

    strategy: Literal["auto", "stratified", "digest"] = "auto"
    """`stratified` gives every class its exact share of each split, but further files can move samples; `digest`
    decides each sample by its content, so that nothing ever moves. `auto` is `digest` from 20,000 samples on."""

    train: Fraction = 0.7
    """Share of the samples for training."""

    val: Fraction = 0.15
    """Share of the samples on which epochs and settings are chosen."""

    test: Fraction = DEFAULT_TEST
    """Share of the samples that is measured once, after training. 0 is allowed: then there is no test report."""

    seed: Seed = 0
    """Seed of the split. It is apart from `training.seed`, so that runs with several seeds share one split."""

    group_duplicates: bool = True
    """Whether samples that share a picture, byte for byte, or whose names say augmented copies (`X_aug3` beside `X`)
    stay in one split."""

    group_near_duplicates: bool = False
    """Whether pictures that look the same stay in one split, as `obverse check` finds them. Off, because objects of one
    kind may look alike and be different samples."""

    group_by: GroupBy | None = None
    """What else ties samples together that must stay in one split. `null`: nothing."""

    folds: int | None = Field(default=None, ge=2, le=MAX_COUNT)
    """Number of folds for cross-validation. `null`: one fixed val."""

    fold: NonNegativeInt = 0
    """Which fold is val, counted from 0."""

    stored: str | None = None
    """Run folder or manifest whose split is kept; samples that it does not know are fitted around it. Example:
    `runs/first`."""

    def for_samples(self, num_samples: int) -> SplitSpec:
        """With the strategy that `auto` means for so many samples."""
        if self.strategy != "auto":
            return self
        return self.changed({"strategy": "digest" if num_samples >= LARGE_SET else "stratified"})

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
