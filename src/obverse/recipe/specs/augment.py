"""Random changes of training pictures. A policy sets every number; a number given beside it overrides the policy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .spec import Auto, Fraction, NonNegativeFloat, Spec

Policy = Literal["auto", "generic", "no-mirror", "none", "trivial", "rand", "three"]
# Of random resized crops (Szegedy et al. 2015).
RATIO = 4 / 3


def _numbers(**given: float) -> dict[str, float]:
    off = {"mirror": 0.0, "min_scale": 1.0, "max_stretch": 1.0, "shift": 0.0, "rotation_degrees": 0.0, "jitter": 0.0}
    return {**off, "gray": 0.0, "erasing": 0.0, **given}


# Requirement A13: mirroring makes lettering that does not exist, colour jitter changes toning, and coins are round.
POLICIES: dict[str, dict[str, float]] = {
    "generic": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO, jitter=0.3),
    "no-mirror": _numbers(min_scale=0.85, rotation_degrees=10.0),
    "none": _numbers(),
    # The papers' crops go down to 8 % of the area; here they are as large as in `generic`.
    "trivial": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO),
    "rand": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO),
    "three": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO, jitter=0.3),
}


VIEW_DROPOUT = 0.1
COLUMN_DROPOUT = 0.1


class AugmentSpec(Spec):
    """`None` means: as the policy says.

    policy: `trivial` (TrivialAugment), `rand` (RandAugment) and `three` (3-Augment) also draw operations
    (`data/augmentation/operations.py`); set `mirror: 0` beside them where pictures show lettering. magnitude (of 30),
    num_ops: of `rand`.
    mirror: probability of a left-right flip. min_scale: smallest share of the area that a random crop keeps (1 = no
    crop). max_stretch: largest change of the aspect ratio of that crop. shift: largest move, as a share of the side,
    by whole pixels. rotation_degrees: largest angle either way. jitter: strength of brightness, contrast and
    saturation changes. gray: probability of losing colour. erasing: probability of blanking a rectangle (Zhong et al.
    2017). view_dropout: probability that training loses a view of a sample that has several;
    `auto` is 0.1 when there are several, so that a missing view still predicts. column_dropout: the same for values of
    `data.columns`: each is lost with this probability, and all of a sample's with it once more. margin: how much
    larger than the input the working picture is from which crops are cut; more than 1 only where the pictures have the
    pixels.
    """

    policy: Policy = "auto"
    mirror: float | None = Field(default=None, ge=0, le=1)
    min_scale: float | None = Field(default=None, gt=0, le=1)
    max_stretch: float | None = Field(default=None, ge=1, le=100)
    shift: float | None = Field(default=None, ge=0, le=0.5)
    rotation_degrees: float | None = Field(default=None, ge=0, le=180)
    jitter: float | None = Field(default=None, ge=0, lt=1)
    gray: float | None = Field(default=None, ge=0, le=1)
    erasing: float | None = Field(default=None, ge=0, le=1)
    view_dropout: Auto | Fraction = "auto"
    column_dropout: Auto | Fraction = "auto"
    margin: float | None = Field(default=None, ge=1, le=2)
    magnitude: float = Field(default=9.0, ge=0, le=30)
    num_ops: int = Field(default=2, ge=1, le=8)

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        for name in ("magnitude", "num_ops"):
            if self.policy != "rand" and getattr(self, name) != AugmentSpec.model_fields[name].default:
                raise ValueError(f"{name} has no effect with `policy: {self.policy}`; say rand")
        return self

    @property
    def num_operations(self) -> int:
        """How many operations each picture goes through."""
        return {"trivial": 1, "three": 1, "rand": self.num_ops}.get(self.policy, 0)

    def filled(self, *, num_views: int = 1, num_columns: int = 0) -> AugmentSpec:
        """The same spec with every number written out; the policy must not be `auto` any more."""
        numbers = {k: v for k, v in POLICIES[self.policy].items() if getattr(self, k) is None}
        if self.view_dropout == "auto":
            numbers["view_dropout"] = VIEW_DROPOUT if num_views > 1 else 0.0
        if self.column_dropout == "auto":
            numbers["column_dropout"] = COLUMN_DROPOUT if num_columns else 0.0
        if self.margin is None:
            numbers["margin"] = 1.0
        return self.model_copy(update=numbers)


class MixingSpec(Spec):
    """Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019): the Beta parameters, 0 = off.

    With both on, each sample takes one of them with probability 1/2. Neighbours of a batch are mixed, so
    training.batch_size and training.micro_batch_size must be even.
    """

    mixup: NonNegativeFloat = 0.0
    cutmix: NonNegativeFloat = 0.0

    @property
    def is_on(self) -> bool:
        """Whether training mixes samples at all."""
        return self.mixup > 0 or self.cutmix > 0
