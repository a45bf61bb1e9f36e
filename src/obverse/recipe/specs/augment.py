"""Random changes of training pictures. A policy sets every number; a number given beside it overrides the policy."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .spec import Auto, Fraction, NonNegativeFloat, Spec

KnownPolicy = Literal["generic", "no-mirror", "round", "none", "trivial", "rand", "three"]
Policy = Literal[Auto, KnownPolicy]
# Of random resized crops (Szegedy et al. 2015).
RATIO = 4 / 3


def _numbers(**given: float) -> dict[str, float]:
    off = {"mirror": 0.0, "min_scale": 1.0, "max_stretch": 1.0, "shift": 0.0, "rotation_degrees": 0.0, "jitter": 0.0}
    return {**off, "gray": 0.0, "erasing": 0.0, **given}


POLICIES: dict[str, dict[str, float]] = {
    "generic": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO, jitter=0.3),
    # Mirroring makes lettering that does not exist, and jitter changes colours that may matter.
    "no-mirror": _numbers(min_scale=0.85, rotation_degrees=10.0),
    # An object in the middle keeps its rim within crops of 90 % of the area, or 95 % of the side. A mirrored coin keeps
    # its grade and its value, although its lettering does not exist.
    "round": _numbers(mirror=0.5, min_scale=0.9, rotation_degrees=180.0, jitter=0.1),
    "none": _numbers(),
    # The papers' crops go down to 8 % of the area; here they are as large as in `generic`.
    "trivial": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO),
    "rand": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO),
    "three": _numbers(mirror=0.5, min_scale=0.4, max_stretch=RATIO, jitter=0.3),
}


VIEW_DROPOUT = 0.1
COLUMN_DROPOUT = 0.1


class AugmentSpec(Spec):
    """Random changes of training pictures.

    A field that is `null` takes the policy's number; a number given beside the policy overrides it.
    """

    policy: Policy = "auto"
    """Named set of augmentations that gives all numbers below. `auto` is `generic`, and for coins (Sheldon grades, or
    views called obverse and reverse) `round` with pretrained weights and `no-mirror` from scratch. `generic`: random
    resized crop, mirror, colour jitter. `round`, for coins and other round things in the middle of the picture that may
    lie at any angle: mirror, any rotation, what it uncovers filled with the colour of the picture's own corners, crop
    of 90 % or more in the same proportions and slight jitter. `no-mirror`, where lettering or direction decides: crop
    of 85 % or more in the same proportions and rotation up to 10 degrees. `none`: nothing. `trivial` (TrivialAugment,
    Müller & Hutter 2021): crop, mirror and one of 14 operations of any strength. `rand` (RandAugment, Cubuk et al.
    2020): crop, mirror and `num_ops` operations of strength `magnitude`. `three` (3-Augment, Touvron et al. 2022):
    crop, mirror, jitter and one of grey, solarise and blur."""

    mirror: float | None = Field(default=None, ge=0, le=1)
    """Probability of a left-right flip. Set 0 where pictures show lettering, or where two classes are each other's
    mirror image."""

    min_scale: float | None = Field(default=None, gt=0, le=1)
    """Smallest share of the picture's area that a random crop keeps. 1 means no crop."""

    max_stretch: float | None = Field(default=None, ge=1, le=100)
    """Largest change of the aspect ratio of a random crop, as a factor from 1. 1 keeps the proportions; `generic` takes
    4/3, as the usual random resized crop does (Szegedy et al. 2015)."""

    shift: float | None = Field(default=None, ge=0, le=0.5)
    """Largest move of the picture, as a share of its side. It is a whole number of pixels, so that nothing is blurred.
    `auto` policies take 0.125 for pictures of up to 64 pixels, in place of a crop."""

    rotation_degrees: float | None = Field(default=None, ge=0, le=180)
    """Largest angle of a random rotation either way, in degrees. 180 is any rotation."""

    jitter: float | None = Field(default=None, ge=0, lt=1)
    """Strength of random brightness, contrast and saturation changes: each is multiplied by a factor between 1 - jitter
    and 1 + jitter."""

    gray: float | None = Field(default=None, ge=0, le=1)
    """Probability that a picture loses its colour."""

    erasing: float | None = Field(default=None, ge=0, le=1)
    """Probability that a random rectangle of the picture is blanked (random erasing, Zhong et al. 2017)."""

    view_dropout: Auto | Fraction = "auto"
    """Probability that training drops a view of a sample that has several, never the last one. `auto` is 0.1 with
    several views, so that the model also predicts when a view is missing, and 0 with one or with `average` fusion,
    whose views are classified by themselves."""

    column_dropout: Auto | Fraction = "auto"
    """Probability that training drops a value of `data.columns`; all values of a sample are dropped with the same
    probability once more. `auto` is 0.1 with columns and 0 without, so that the model also predicts without them."""

    margin: float | None = Field(default=None, ge=1, le=2)
    """Size of the working picture from which crops are cut, as a factor of the input size. `auto` policies take 1.25
    where the originals have the pixels for it, and 1 otherwise, because an enlarged picture is a blurred one."""

    magnitude: float = Field(default=9.0, ge=0, le=30)
    """Strength of the operations of `policy: rand`, of 30. 9 is RandAugment's own number for ImageNet."""

    num_ops: int = Field(default=2, ge=1, le=8)
    """Operations per picture of `policy: rand`. 2 is RandAugment's own number for ImageNet."""

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

    @property
    def fills_from_corners(self) -> bool:
        """Whether a rotation uncovers the colour of the picture's own corners, not that of padding."""
        return self.policy == "round"

    def filled(self, *, num_views: int = 1, num_columns: int = 0) -> ResolvedAugment:
        """The same spec with every number written out; the policy must not be `auto` any more."""
        numbers = {k: v for k, v in POLICIES[self.policy].items() if getattr(self, k) is None}
        if self.view_dropout == "auto":
            numbers["view_dropout"] = VIEW_DROPOUT if num_views > 1 else 0.0
        if self.column_dropout == "auto":
            numbers["column_dropout"] = COLUMN_DROPOUT if num_columns else 0.0
        if self.margin is None:
            numbers["margin"] = 1.0
        return ResolvedAugment.model_validate(self.changed(numbers).model_dump())


class ResolvedAugment(AugmentSpec):
    """A known policy with every number written out."""

    policy: KnownPolicy
    mirror: float
    min_scale: float
    max_stretch: float
    shift: float
    rotation_degrees: float
    jitter: float
    gray: float
    erasing: float
    view_dropout: float
    column_dropout: float
    margin: float


class MixingSpec(Spec):
    """Mixup and CutMix: two neighbours of a batch and their labels are mixed.

    With both on, each sample takes one of them with probability 1/2. Neighbours are mixed, so `training.batch_size` and
    `training.micro_batch_size` must be even.
    """

    mixup: NonNegativeFloat = 0.0
    """Parameter of the symmetric Beta distribution from which the share of each picture is drawn (mixup, Zhang et al.
    2017). 0 is off; 0.2 mixes little, 0.8 much."""

    cutmix: NonNegativeFloat = 0.0
    """Parameter of the symmetric Beta distribution from which the area of a pasted rectangle is drawn (CutMix, Yun et
    al. 2019). 0 is off; 1 makes every area equally likely."""

    @property
    def is_on(self) -> bool:
        """Whether training mixes samples at all."""
        return self.mixup > 0 or self.cutmix > 0
