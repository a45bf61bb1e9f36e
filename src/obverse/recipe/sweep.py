"""A study as one file: which recipes are trained, with which seeds, and what they must reach.

`variants` are named changes of the base recipe, `grid` all combinations of values, `search` leaves the choice of values
to Optuna. Every seed of every condition is a run. Class subsets are a field like any other: `data.largest_classes`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from obverse.errors import RecipeError
from obverse.recipe.specs.spec import PositiveInt, Seed, Spec

from .choice import Settings, setting_lines
from .criteria import Criterion, load_criteria
from .files import build_spec, load_recipe, shipped_recipes
from .recipe import Recipe
from .yaml_text import read_yaml

LONGEST_LABEL = 60
# Each is a recipe that is looked at before anything is trained.
MAX_CONDITIONS = 1000


class SearchValues(Spec):
    """What a search may choose from for one field: a range of numbers, or a list."""

    low: int | float | None = None
    """Lowest number. Numbers are whole when both ends are whole."""

    high: int | float | None = None
    """Highest number."""

    log: bool = False
    """Whether numbers are drawn evenly over orders of magnitude, as learning rates should be."""

    choices: tuple[JsonValue, ...] | None = None
    """List to choose from, at least two, in place of a range."""

    @model_validator(mode="after")
    def _is_a_range_or_a_list(self) -> Self:
        if self.choices is not None:
            if (self.low, self.high, self.log) != (None, None, False):
                raise ValueError("give low and high, or choices, not both")
            if len(self.choices) < 2:
                raise ValueError("give at least two choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("log needs low above 0")
        return self

    @property
    def first(self) -> JsonValue:
        """One of them."""
        return self.choices[0] if self.choices is not None else self.low


class SearchSpec(Spec):
    """An Optuna search for the best `training.select` on val."""

    trials: PositiveInt
    """Number of conditions that are tried in all. The same study with more trials goes on."""

    space: Mapping[str, SearchValues] = Field(min_length=1)
    """Field -> what may be chosen. Example: `{optim.lr: {low: 1e-5, high: 1e-2, log: true}}`."""

    sampler: Literal["tpe", "random"] = "tpe"
    """`tpe` learns from the trials before; `random` does not."""

    seed: Seed = 0
    """Seed of the sampler; a search by one process is repeatable."""


class SweepSpec(Spec):
    """A study as one file, in which the fields stand without `sweep.`. Every seed of every condition is a run."""

    data: str | None = None
    """The data, relative to the study's file. `null`: it is given on the command line."""

    recipe: str = "auto"
    """Recipe to start from: a shipped one's name, or a file relative to the study's."""

    settings: Settings = Field(default_factory=dict)
    """Changes of the recipe in every run, field -> value. Example: `{training.epochs: 20}`."""

    variants: Mapping[str, Settings] = Field(default_factory=dict)
    """Named conditions, each with its changes on top of `settings`; the first is the one that the others are compared
    with."""

    grid: Mapping[str, tuple[JsonValue, ...]] = Field(default_factory=dict)
    """Field -> values; every combination of values is a condition. Example: `{optim.lr: [1e-4, 1e-3]}`."""

    search: SearchSpec | None = None
    """Optuna search in place of `variants` and `grid`. `null`: no search."""

    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1, max_length=MAX_CONDITIONS)
    """Seeds of every condition (`training.seed`); intervals are over them."""

    criteria: tuple[Criterion, ...] | str = ()
    """What the study must reach: criteria as in a criteria file, or the name of such a file, relative to the study's.
    """

    @model_validator(mode="after")
    def _is_a_study(self) -> Self:
        if self.search and (self.variants or self.grid):
            raise ValueError("search chooses the values itself; leave out variants and grid")
        if not (self.search or self.variants or self.grid or len(self.seeds) > 1):
            raise ValueError("nothing varies: give variants, grid, search, or several seeds")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice")
        if any(not values for values in self.grid.values()):
            raise ValueError("grid: a field without values")
        num_conditions = math.prod(map(len, self.grid.values())) * max(1, len(self.variants))
        if num_conditions > MAX_CONDITIONS:
            raise ValueError(f"variants and grid come to {num_conditions:,} conditions, more than {MAX_CONDITIONS:,}; "
                             "leave some out, or let `search` choose")  # fmt: skip
        space: Mapping[str, object] = self.search.space if self.search else {}
        for keys in (self.settings, self.grid, space, *self.variants.values()):
            if "training.seed" in keys:
                raise ValueError("training.seed: list the seeds under `seeds`, so that intervals are over them")
        for clash in (set(self.grid) | set(space)) & set(self.settings):
            raise ValueError(f"{clash} stands under settings, and varies too")
        return self

    def conditions(self) -> list[Condition]:
        """What the grid and the variants come to, in the order of the file; the first is what others are held
        against."""
        variants: Mapping[str, Settings] = self.variants or {"": {}}
        points = []
        for name, changes in variants.items():
            for values in itertools.product(*self.grid.values()):
                point = dict(zip(self.grid, values, strict=True))
                words = [name, *(f"{key.rpartition('.')[2]}={_word(value)}" for key, value in point.items())]
                points.append(Condition(", ".join(filter(None, words)) or "base", {**changes, **point}))
        labels = [condition.label for condition in points]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise RecipeError(f"two conditions would have the folder {twice!r}; give the variants other names")
        return points

    def recipe_of(self, condition: Condition, seed: int, folder: Path) -> Recipe:
        """The recipe of one run. folder: where the sweep file lies."""
        is_shipped = self.recipe in shipped_recipes()
        base = self.recipe if is_shipped else str(folder / self.recipe)
        changes = {**self.settings, **condition.settings, "training.seed": seed}
        try:
            return load_recipe(base, setting_lines(changes))
        except RecipeError as error:
            raise RecipeError(f"sweep, condition {condition.name!r}: {error}") from None


@dataclass(frozen=True)
class Condition:
    """One recipe of a study, to be trained with every seed."""

    name: str
    settings: Settings

    @property
    def label(self) -> str:
        """A folder's name that says what it is; long ones end in a digest."""
        plain = re.sub(r"[^A-Za-z0-9._=+-]+", "-", self.name).strip("-.") or "condition"
        if len(plain) <= LONGEST_LABEL and plain == self.name.replace(", ", "-"):
            return plain
        return f"{plain[: LONGEST_LABEL - 10]}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"


def load_sweep(path: Path) -> SweepSpec:
    """Read a sweep file; RecipeError says what is wrong with it."""
    values = read_yaml(path, f"sweep {str(path)!r}")
    spec = build_spec(SweepSpec, values, f"sweep {path}")
    for condition in _samples_of(spec):
        spec.recipe_of(condition, spec.seeds[0], path.parent)
    if isinstance(spec.criteria, str):
        spec = spec.changed({"criteria": load_criteria(path.parent / spec.criteria)})
    return spec


def _samples_of(spec: SweepSpec) -> Iterator[Condition]:
    """Conditions whose recipes must be possible before anything is trained; of a search, its first corner."""
    yield from spec.conditions()
    if spec.search:
        corner = {key: values.first for key, values in spec.search.space.items()}
        yield Condition("the search's first values", corner)


def _word(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
