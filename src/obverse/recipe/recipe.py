"""The recipe: everything that decides a run, in one frozen object.

Not the data and not the result. `auto` values are replaced by `experiment.resolve` and the resolved recipe is saved in
the run folder; re-running that file repeats the run.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from obverse.recipe.choice import ChoiceSpec
from obverse.recipe.specs.augment import AugmentSpec, MixingSpec
from obverse.recipe.specs.data import DataSpec
from obverse.recipe.specs.distill import DistillSpec
from obverse.recipe.specs.evaluation import EvaluationSpec
from obverse.recipe.specs.finetune import FinetuneSpec
from obverse.recipe.specs.loss import ADJUSTED, OTHER_HEADS, LossSpec
from obverse.recipe.specs.model import ModelSpec
from obverse.recipe.specs.parent import ParentSpec
from obverse.recipe.specs.spec import Spec
from obverse.recipe.specs.training import OptimSpec, RuntimeSpec, ScheduleSpec, TrainingSpec


class Recipe(Spec):
    """Everything that decides a run, in sections.

    Defaults are those of a recipe that leaves the field out. The recipe `auto`, which `obverse train DATA` takes, sets
    two fields besides: `loss.label_smoothing: auto` and `training.ema_decay: 0.999`.
    """

    name: str = "auto"
    """Name of the recipe, shown in reports. It decides nothing."""

    data: DataSpec = DataSpec()
    """What is read: place, layout, labels, views, input size, split."""

    augment: AugmentSpec = AugmentSpec()
    """Random changes of training pictures."""

    mixing: MixingSpec = MixingSpec()
    """Mixup and CutMix."""

    model: ModelSpec = ModelSpec()
    """Backbone, fusion of views, head."""

    finetune: FinetuneSpec = FinetuneSpec()
    """Which parts of a pretrained model train, when, and at what rate."""

    loss: LossSpec = LossSpec()
    """The loss, and how it treats uneven or ordered classes."""

    distill: DistillSpec | None = None
    """A teacher whose probabilities are soft targets. `null`: only the labels teach."""

    parent: ParentSpec | None = None
    """The run whose weights this one begins with, written by `--more-epochs`. `null`: the run begins by itself."""

    optim: OptimSpec = OptimSpec()
    """The optimizer and its learning rate."""

    schedule: ScheduleSpec = ScheduleSpec()
    """How the learning rate moves."""

    training: TrainingSpec = TrainingSpec()
    """Length, batches, sampling, and how the best epoch is chosen."""

    runtime: RuntimeSpec = RuntimeSpec()
    """Device, number format, threads, processes."""

    evaluation: EvaluationSpec = EvaluationSpec()
    """What the report contains, and the batches of evaluation."""

    choice: ChoiceSpec | None = None
    """Ways of training from which the run first chooses by cross-validation. `null`: the recipe is trained as it is."""

    @model_validator(mode="after")
    def _one_remedy_for_imbalance(self) -> Self:
        if self.loss.class_weights != "none" and self.training.sampler != "natural":
            raise ValueError("loss.class_weights and training.sampler both correct imbalance: choose one")
        if self.loss.kind in ADJUSTED and self.training.sampler != "natural":
            raise ValueError(f"{self.loss.kind} and training.sampler both correct imbalance: choose one")
        return self

    @model_validator(mode="after")
    def _teacher_corrects_once(self) -> Self:
        if self.distill is not None and self.loss.kind in ADJUSTED:
            raise ValueError(f"distill does not go with loss.kind: {self.loss.kind}: a teacher's probabilities are for "
                             "the class frequencies that it is meant for, and would be corrected a second time; say "
                             "cross-entropy")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _pos_weight_takes_effect(self) -> Self:
        implied = self.loss.kind != "auto" or self.data.labels == "multi" or self.data.label_columns
        if self.loss.pos_weight != "none" and not implied:
            raise ValueError("loss.pos_weight has no effect without multi-label data (data.labels: multi) or "
                             "`kind: binary-cross-entropy`")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _refit_needs_no_val(self) -> Self:
        if self.training.refit and self.schedule.kind == "plateau":
            raise ValueError("training.refit trains without val, and `schedule.kind: plateau` lowers the rate by val: "
                             "choose another schedule")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _mixed_pairs_stay_together(self) -> Self:
        for name in ("batch_size", "micro_batch_size") if self.mixing.is_on else ():
            size = getattr(self.training, name)
            if size != "auto" and size % 2:
                raise ValueError(f"mixing mixes pairs, so training.{name} must be even, not {size}")
        return self

    @model_validator(mode="after")
    def _frozen_weights_are_learned_ones(self) -> Self:
        self.require_weights()
        return self

    @model_validator(mode="after")
    def _prior_is_what_the_head_sees(self) -> Self:
        self.require_head_bias()
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        if self.augment.column_dropout not in ("auto", 0) and not self.data.columns:
            raise ValueError("augment.column_dropout has no effect without data.columns")
        if self.mixing.is_on and self.data.columns:
            raise ValueError("mixing mixes pictures and labels, and values of data.columns cannot be mixed: choose one")
        return self

    @model_validator(mode="after")
    def _choice_divides_by_itself(self) -> Self:
        if self.choice is not None and self.data.split.folds is not None:
            raise ValueError("choice makes its own folds of train and val; leave out data.split.folds, or choice")
        return self

    def require_head_bias(self) -> None:
        """ValueError when the loss leaves no place for the bias that finetune.head_bias would set."""
        kind, bias = self.loss.kind, self.finetune.head_bias
        weighted = self.loss.class_weights != "none" or self.loss.pos_weight != "none"
        balanced = weighted or self.training.sampler != "natural" or kind in ADJUSTED
        if bias == "prior" and balanced:
            raise ValueError("finetune.head_bias: prior is wrong here, because the loss, its weights or the sampler "
                             "already account for how frequent classes are; say zero")  # fmt: skip
        if bias != "default" and kind in OTHER_HEADS:
            raise ValueError(f"finetune.head_bias has no effect with loss.kind: {kind}, whose head has no such bias")

    def require_weights(self) -> None:
        """ValueError when the recipe would freeze the random weights of a backbone that starts from scratch."""
        senseless = self.finetune.needs_weights()
        if senseless and self.model.backbone.is_scratch:
            raise ValueError(f"finetune: {', '.join(senseless)} would freeze random weights, because this backbone "
                             "starts from scratch; set model.backbone.pretrained")  # fmt: skip
