"""The recipe: everything that decides a run, in one frozen object.

Not the data and not the result. `auto` values are replaced by `experiment.resolve` and the resolved recipe is saved in
the run folder; re-running that file repeats the run.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from .augment import AugmentSpec, MixingSpec
from .data import DataSpec
from .evaluation import EvaluationSpec
from .model import ModelSpec
from .spec import Spec
from .training import LossSpec, OptimSpec, RuntimeSpec, ScheduleSpec, TrainingSpec


class Recipe(Spec):
    """All sections, each with its defaults; `Recipe()` is the `auto` recipe."""

    name: str = "auto"
    data: DataSpec = DataSpec()
    augment: AugmentSpec = AugmentSpec()
    mixing: MixingSpec = MixingSpec()
    model: ModelSpec = ModelSpec()
    loss: LossSpec = LossSpec()
    optim: OptimSpec = OptimSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    training: TrainingSpec = TrainingSpec()
    runtime: RuntimeSpec = RuntimeSpec()
    evaluation: EvaluationSpec = EvaluationSpec()

    @model_validator(mode="after")
    def _one_remedy_for_imbalance(self) -> Self:
        if self.loss.class_weights != "none" and self.training.sampler != "natural":
            raise ValueError("loss.class_weights and training.sampler both correct imbalance: choose one (D4)")
        return self


def not_yet(recipe: Recipe) -> list[str]:
    """Dotted settings that this version understands but cannot carry out; they are refused, never ignored."""
    reserved = {
        "mixing.mixup": recipe.mixing.mixup > 0,
        "mixing.cutmix": recipe.mixing.cutmix > 0,
        f"loss.kind: {recipe.loss.kind}": recipe.loss.kind != "cross-entropy",
        f"training.sampler: {recipe.training.sampler}": recipe.training.sampler != "natural",
    }
    return [name for name, is_set in reserved.items() if is_set]
