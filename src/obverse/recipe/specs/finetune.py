"""How a pretrained model is fitted: which parts train, when, and at what rate.

Not the optimizer and not the schedule. By default the head of a pretrained network is fitted first, then all
parameters train; the rest is off.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.options import MAX_NUMBER

from .spec import Auto, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Spec


class LoraSpec(Spec):
    """Low-rank updates of the backbone's attention and MLP layers, everything else in it frozen (LoRA, Hu et al. 2021).

    What ships is the merged, plain model.
    """

    rank: Annotated[int, Field(gt=0, le=MAX_NUMBER)] = 8
    """Rank of each update; more ranks are more parameters to train."""

    alpha: PositiveFloat = 16.0
    """Scale of the updates: each is multiplied by alpha / rank."""


class HeadFirstSpec(Spec):
    """Fitting the head alone, to the frozen backbone's features, before the run (LP-FT, Kumar et al. 2022).

    The features of the pictures are computed once, without augmentation. L-BFGS fits the head to all of them.
    """

    strength: NonNegativeFloat | None = None
    """Strength of the L2 penalty on the head's weights, 1 / C of scikit-learn. `null`: the one with the lowest loss on
    held-out features in 5-fold cross-validation inside train."""


class FinetuneSpec(Spec):
    """Which parts of a pretrained model train, when, and at what rate.

    A stage is what the backbone says it is (the stem and each group of a ResNet, each block of a ViT); the stem is the
    first.
    """

    train: Literal["all", "head"] = "all"
    """`all` trains every parameter; `head` leaves the backbone as it is, for very few pictures or a first look."""

    freeze_stages: NonNegativeInt = 0
    """Number of stages, from the stem on, that never train."""

    train_stages: PositiveInt | None = None
    """Number of stages, from the last one back, that train beside the head; all before them never do. `null`: as
    `freeze_stages` says. Example: 2 for the last two blocks of a ViT."""

    unfreeze_epochs: NonNegativeInt = 0
    """Epochs between unfreezing one stage and the next: first the head alone trains, then one more stage each time, the
    last one first (Howard & Ruder 2018). 0 is off."""

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of each layer as a share of that of the layer after it (Bao et al. 2021). 1 is off; 0.75 is usual
    for transformers."""

    freeze_norm: Auto | bool = "auto"
    """Whether batch norm keeps its statistics and parameters, which helps with micro-batches below about 8. `auto` is
    true where the weights come with batch norm folded away (mean 0, variance 1 everywhere), because normalising by the
    batch would undo them."""

    head_first: Auto | HeadFirstSpec | None = "auto"
    """Settings of fitting the head alone before the run; null switches it off. `auto` is on where everything trains
    from pretrained weights and there are at most 100,000 training pictures, because the gradients of a random head
    spoil the backbone. The fit is left out, and a line says so, where in cross-validation the frozen features say
    nothing about the classes: the backbone would get no gradient from a head of zeros. With `train: head` it is off
    unless it is given, `{}`; then the head starts at its optimum."""

    head_bias: Literal["default", "zero", "prior"] = "default"
    """Bias of the head at the start: `prior` is the log share of each class in training, for long tails with plain
    cross entropy; `default` is the layer's usual random one."""

    lora: LoraSpec | None = None
    """Settings of low-rank updates in place of training the backbone's own weights. `null`: off."""

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        set_apart = {
            "freeze_stages": self.freeze_stages > 0,
            "train_stages": self.train_stages is not None,
            "unfreeze_epochs": self.unfreeze_epochs > 0,
            "layer_decay": self.layer_decay != 1,
            "lora": self.lora is not None,
        }
        for name in (name for name, is_set in set_apart.items() if is_set):
            if self.train == "head":
                raise ValueError(f"{name} has no effect with `train: head`")
            if self.lora and name in ("freeze_stages", "train_stages", "unfreeze_epochs"):
                raise ValueError(f"{name} has no effect with lora, which freezes the whole backbone")
        if self.freeze_stages and self.train_stages is not None:
            raise ValueError("freeze_stages and train_stages count the same stages from both ends: choose one")
        return self

    def needs_weights(self) -> list[str]:
        """The settings that would freeze random weights when the backbone starts from scratch."""
        wanted = {
            "train: head": self.train == "head",
            "freeze_stages": self.freeze_stages > 0,
            "train_stages": self.train_stages is not None,
            "unfreeze_epochs": self.unfreeze_epochs > 0,
            "freeze_norm": self.freeze_norm is True,
            "head_first": isinstance(self.head_first, HeadFirstSpec),
            "lora": self.lora is not None,
        }
        return [name for name, is_set in wanted.items() if is_set]

    def num_frozen(self, num_stages: int, *, epoch: int) -> int:
        """How many stages are frozen in an epoch, counted from 0: at least those that never train."""
        if self.train == "head":
            return num_stages
        always = self.freeze_stages if self.train_stages is None else num_stages - self.train_stages
        if not self.unfreeze_epochs:
            return always
        return max(always, num_stages - epoch // self.unfreeze_epochs)
