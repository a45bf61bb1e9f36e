"""How a pretrained model is fitted: which parts train, when, and at what rate.

Not the optimizer and not the schedule. By default the head of a pretrained network is fitted first, then all
parameters train; the rest is off.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.options import MAX_NUMBER

from .spec import Auto, NonNegativeInt, PositiveFloat, PositiveInt, Spec


class LoraSpec(Spec):
    """Low-rank updates of the backbone's attention and MLP layers, everything else in it frozen (Hu et al. 2021).

    The update is scaled by alpha / rank and starts at zero; what ships is the merged, plain model.
    """

    rank: Annotated[int, Field(gt=0, le=MAX_NUMBER)] = 8
    alpha: PositiveFloat = 16.0


class HeadFirstSpec(Spec):
    """Before the run, the head alone is fitted to the frozen backbone's features (LP-FT, Kumar et al. 2022).

    The features of the pictures as they are (no augmentation) are computed once; AdamW at a constant `lr`.
    """

    epochs: PositiveInt = 20
    lr: PositiveFloat = 1e-3


class FinetuneSpec(Spec):
    """Which parts train. A stage is what the backbone says it is (timm: `group_matcher`), the stem is the first.

    freeze_stages: so many never train. unfreeze_epochs: at first the head alone trains, and after every so many epochs
    one more stage, the last one first (Howard & Ruder 2018); 0 is off. layer_decay: each layer's rate is this times
    that of the layer after it (Bao et al. 2021). freeze_norm: batch norm keeps its statistics and parameters; `auto`
    when the weights come with it folded away. head_first: `auto` when everything trains from pretrained weights and the
    features of the training set are few enough to be kept. head_bias: `prior` starts at the log share of each class in
    training.
    """

    train: Literal["all", "head"] = "all"
    freeze_stages: NonNegativeInt = 0
    unfreeze_epochs: NonNegativeInt = 0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    freeze_norm: Auto | bool = "auto"
    head_first: Auto | HeadFirstSpec | None = "auto"
    head_bias: Literal["default", "zero", "prior"] = "default"
    lora: LoraSpec | None = None

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        set_apart = {
            "freeze_stages": self.freeze_stages > 0,
            "unfreeze_epochs": self.unfreeze_epochs > 0,
            "layer_decay": self.layer_decay != 1,
            "head_first": isinstance(self.head_first, HeadFirstSpec),
            "lora": self.lora is not None,
        }
        for name in (name for name, is_set in set_apart.items() if is_set):
            if self.train == "head":
                raise ValueError(f"{name} has no effect with `train: head`")
            if self.lora and name in ("freeze_stages", "unfreeze_epochs"):
                raise ValueError(f"{name} has no effect with lora, which freezes the whole backbone")
        return self

    def needs_weights(self) -> list[str]:
        """The settings that would freeze random weights when the backbone starts from scratch."""
        wanted = {
            "train: head": self.train == "head",
            "freeze_stages": self.freeze_stages > 0,
            "unfreeze_epochs": self.unfreeze_epochs > 0,
            "freeze_norm": self.freeze_norm is True,
            "head_first": isinstance(self.head_first, HeadFirstSpec),
            "lora": self.lora is not None,
        }
        return [name for name, is_set in wanted.items() if is_set]

    def num_frozen(self, num_stages: int, *, epoch: int) -> int:
        """How many stages are frozen in an epoch, counted from 0: never fewer than `freeze_stages`."""
        if self.train == "head":
            return num_stages
        if not self.unfreeze_epochs:
            return self.freeze_stages
        return max(self.freeze_stages, num_stages - epoch // self.unfreeze_epochs)
