"""Ways of training from which a run chooses by cross-validation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from .specs.spec import Auto, Spec

# Field -> value: changes of a recipe, as `--set field=value` makes them.
Settings = Mapping[str, JsonValue]
# Every way is trained in every fold.
MAX_FOLDS, MAX_WAYS = 20, 20
# Sections that all ways share, so that they are measured on the same samples by the same metric.
COMMON = ("data.split", "training.select", "training.minutes", "training.seed", "choice", "parent", "extends")


def setting_lines(settings: Settings) -> list[str]:
    """The settings as lines `field=value`, as `load_recipe` takes them."""
    return [f"{field}={json.dumps(value)}" for field, value in settings.items()]


class ChoiceSpec(Spec):
    """A choice among ways of training: each is trained and measured by k-fold cross-validation within train and val,
    and the best one is then trained as the run. Test is set aside before.
    """

    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)] = 3
    """Number of folds. Every way is trained once per fold."""

    ways: Auto | Mapping[str, Settings] = "auto"
    """Way -> its changes of the recipe, field -> value, the preferred way first: a later one is chosen only
    when it is better by more than a standard error. Example: `{frozen: {finetune.train: head}, all: {}}`. `auto`
    compares ways to use pretrained weights: `joint`, which trains everything; `frozen`, which trains the head alone;
    `lora` (networks of patches) or `last-blocks` (others); and for several views also `shared` (one backbone, gated
    fusion) and `average` (a backbone for each view, their probabilities averaged)."""

    @model_validator(mode="after")
    def _several_ways_on_the_same_samples(self) -> Self:
        if self.ways == "auto":
            return self
        if not 2 <= len(self.ways) <= MAX_WAYS:
            raise ValueError(f"ways: give 2 to {MAX_WAYS} ways, not {len(self.ways)}")
        for name, settings in self.ways.items():
            for field in settings:
                if any(f"{field}.".startswith(f"{common}.") for common in COMMON) or field in ("data", "training"):
                    raise ValueError(f"ways: {name} changes {field}, which all ways must share; set it in the recipe")
        return self
