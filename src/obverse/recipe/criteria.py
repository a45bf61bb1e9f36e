"""What a study must reach, written down before it is run: `compare` and `sweep` check it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from obverse.errors import RecipeError
from obverse.recipe.specs.spec import Spec

from .files import build_spec
from .metric_name import MetricName
from .yaml_text import read_yaml


class Criterion(Spec):
    """One statement that is true of a run or not: exactly one of `above`, `below`, `better_than` and `finished`."""

    name: str
    """The statement in words, as reports show it."""

    runs: str = "*"
    """Names of the runs it is about; `*` stands for any letters."""

    metric: MetricName | None = None
    """Metric that `above`, `below` and `better_than` are about."""

    above: float | None = None
    """Number that the metric must exceed."""

    below: float | None = None
    """Number that the metric must stay below."""

    better_than: str | None = None
    """Name of the run that must be beaten, by the paired test at 5 %."""

    finished: bool = False
    """Whether the run must come to its end, without divergence."""

    sure: bool = False
    """Whether `above` or `below` must hold for the whole 95 % interval, not only for the value."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        asked = [self.above is not None, self.below is not None, self.better_than is not None, self.finished]
        if sum(asked) != 1:
            raise ValueError("give exactly one of above, below, better_than and finished: true")
        if self.finished == (self.metric is not None):
            raise ValueError("metric says what above, below and better_than are about, and has no place in finished")
        if self.sure and self.above is None and self.below is None:
            raise ValueError("sure has no effect without above or below")
        return self


class Criteria(Spec):
    """The content of a criteria file."""

    criteria: tuple[Criterion, ...] = Field(min_length=1)
    """The statements, at least one."""


def load_criteria(path: Path) -> tuple[Criterion, ...]:
    """Read a criteria file; RecipeError says what is wrong with it."""
    values = read_yaml(path, f"criteria {str(path)!r}")
    if isinstance(values, list):
        raise RecipeError(f"criteria {path}: the key `criteria:` is missing above the list")
    return build_spec(Criteria, values, f"criteria {path}").criteria
