"""The loss, and what the head's numbers then mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.registry import LOSSES, Decode, Head

from .evaluation import AcceptanceSpec, OutlierSpec
from .spec import MAX_FLOAT, Auto, Fraction, Level, NonNegativeFloat, NonNegativeInt, PositiveFloat, Spec

CalibrationForm = Literal["temperature", "platt", "vector"]
Shift = Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)]
SetsKind = Literal["lac", "raps", "range", "rps", "labels"]
Quantile = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
Prior = Literal["balanced", "train", "tuned"] | tuple[PositiveFloat, ...]
ORDINAL = frozenset(name for name, loss in LOSSES.items() if loss.is_ordinal)
ADJUSTED = frozenset(name for name, loss in LOSSES.items() if loss.adjusts)
LABEL_SETS = frozenset(name for name, loss in LOSSES.items() if loss.head == "binary")
STEP_HEADS = frozenset({"corn", "coral"})
OTHER_HEADS = frozenset(name for name, loss in LOSSES.items() if loss.head not in ("classes", "binary"))
BINARY = "binary-cross-entropy"
if TYPE_CHECKING:
    LossKind = str
    LossName = str
else:
    LossKind = Literal[*LOSSES]
    LossName = Literal["auto", LossKind]
# Fields of the output that are fitted on calibrated probabilities and answers.
FITTED_ON_PROBABILITIES = ("sets", "acceptance", "outliers")
COSINE_SCALE = 30.0
"""Logits of a cosine head lie within this, as in the published LDAM code (Cao et al. 2019)."""


class CalibrationSpec(Spec):
    """A map of class logits, fitted on val, after which probabilities state how often answers are right."""

    kind: CalibrationForm
    """`temperature`: one scale for all logits. `platt`: a scale and shifts for two classes, or a scale and a shift for
    every class of label sets. `vector`: a scale and a shift for every class."""

    scale: tuple[PositiveFloat, ...]
    """Factor of the logits: one for all, or one per class in class order."""

    shift: tuple[Shift, ...] = ()
    """Number added to each logit after scaling, in class order; empty with `temperature`."""

    num_samples: NonNegativeInt = 0
    """Number of val samples that it was fitted on."""

    def fits(self, num_classes: int) -> bool:
        """Whether it has as many numbers as its kind asks for."""
        return len(self.scale) in (1, num_classes) and len(self.shift) in (0, num_classes)


class SetsSpec(Spec):
    """A rule, fitted on val, after which the prediction set holds the true class as often as `level` says."""

    kind: SetsKind
    """Score of a class, of which a set has all that do not exceed `quantile`. `lac`: 1 - probability. `raps`: the
    probability of this and all likelier classes, and a penalty for every place after `rank`. For ordered classes, whose
    sets are ranges: `range` (1 - probability, of probabilities that fall on both sides of the answer) and `rps` (ranked
    probability score). `labels`: 1 - probability of each class of a label set."""

    level: Level
    """Share of samples whose set holds the true class; for label sets, share of the true classes that a set holds."""

    confidence: Level | None = None
    """Probability, over draws of val, with which this very model reaches `level`. `null`: it is reached on average."""

    quantile: tuple[Quantile | None, ...]
    """Largest score of a class of the set: one for all classes, or one per class in class order. `null`: val is too
    small for the promise, and the set has every class."""

    num_units: NonNegativeInt
    """Independent samples of val, groups counted once; with a quantile per class, those of the smallest class."""

    fitted_on: Literal["val", "folds"] = "val"
    """Samples that the rule was fitted on. `folds`: out-of-fold predictions of train and val."""

    penalty: NonNegativeFloat = 0.0
    """Penalty of `raps` for every place after `rank`."""

    rank: NonNegativeInt = 0
    """Number of likeliest classes without a penalty, with `raps`."""

    @property
    def is_per_class(self) -> bool:
        """Whether the promise holds for each class by itself."""
        return len(self.quantile) > 1

    @property
    def is_unlimited(self) -> bool:
        """Whether the set has every class, because val is too small for the promise."""
        return self.quantile == (None,)

    def fits(self, num_classes: int) -> bool:
        """Whether it has as many quantiles as there are classes, or one."""
        return len(self.quantile) in (1, num_classes)


class OutputSpec(Spec):
    """What turns the head's numbers into probabilities and an answer.

    It follows from the loss and travels in the bundle.
    """

    kind: Head = "classes"
    """Meaning of the head's numbers. `classes`: one logit per class; `cosine`: the same from normalised features;
    `corn` and `coral`: one number per step between neighbouring classes; `binary`: one logit per class, each a yes or
    no of its own."""

    prior: tuple[PositiveFloat, ...] | None = None
    """Class frequencies whose logarithm is added to the logits, in class order. `null`: no prior is added."""

    decode: Decode = "mode"
    """Which class of a distribution over ordered classes is the answer: its mode, median or rounded mean."""

    thresholds: tuple[float, ...] | None = None
    """Probability from which on each class belongs to the answer, in class order, for `kind: binary`. `null`: 1/2 for
    all."""

    calibration: CalibrationSpec | None = None
    """Map of the class logits, after the prior. `null`: probabilities are not calibrated."""

    sets: SetsSpec | None = None
    """Rule of prediction sets, after the calibration. `null`: there are none."""

    per_view: bool = False
    """Whether the head gives these numbers for every view by itself, and the views' probabilities are averaged."""

    acceptance: AcceptanceSpec | None = None
    """Confidence from which on answers are accepted. `null`: there is no decision on answers."""

    outliers: OutlierSpec | None = None
    """Score of samples that are unlike the training pictures. `null`: none is rejected."""

    def changed(self, changes: Mapping[str, object]) -> Self:
        """A copy with other values. What was fitted after a changed value is dropped, unless it is given, too."""
        stale: dict[str, object] = {}
        if changes.keys() & {"kind", "prior", "per_view"}:
            stale["calibration"] = None
        if changes.keys() & {"kind", "prior", "per_view", "decode", "calibration", "thresholds"}:
            stale |= dict.fromkeys(FITTED_ON_PROBABILITIES)
        return super().changed({**stale, **changes})

    def num_outputs(self, num_classes: int) -> int:
        """Numbers that the head gives."""
        return num_classes - 1 if self.kind in STEP_HEADS else num_classes


class LossSpec(Spec):
    """What training minimises."""

    kind: LossName = "auto"
    """Kind of loss. `auto` is `binary-cross-entropy` for multi-label data, `sord` for ordered classes,
    `logit-adjustment` (with `prior: tuned`) where the largest class has more than ten times the training samples of the
    smallest and nothing else corrects that, and `cross-entropy` otherwise. `focal`: easy samples count less (Lin et al.
    2017). `balanced-softmax`: logit adjustment with tau 1 (Ren et al. 2020). `ldam`: wider margins for rarer classes,
    on a cosine head (Cao et al. 2019). For ordered classes: `sord` (targets spread to neighbours, Diaz & Marathe 2019),
    `emd` (squared distance of cumulative distributions, Hou et al. 2016), `corn` (Shi et al. 2021) and `coral` (Cao et
    al. 2020)."""

    label_smoothing: Auto | Fraction = 0.0
    """Share of the uniform distribution in each target; with `logit-adjustment` and `balanced-softmax`, of the
    distribution that they add to the logits. `auto` is 0.1, and 0 for ordinal losses and `binary-cross-entropy`, whose
    targets already spread or would move towards 1/2. The recipe `auto` says `auto`."""

    class_weights: Literal["none", "inverse", "sqrt", "effective"] = "none"
    """Weight of a sample by the size n of its class, against imbalance: `inverse` 1/n, `sqrt` 1/sqrt(n), `effective` (1
    - b) / (1 - b^n) with b = `effective_beta` (Cui et al. 2019). Weights are scaled to a mean of 1 over the training
    samples. In multi-label data it is the weight of a class."""

    effective_beta: Fraction = 0.999
    """Parameter b of `class_weights: effective`. Classes that are much larger than 1 / (1 - b) weigh the same: with
    0.999 those above some 1,000 samples."""

    defer_fraction: Fraction = 0.0
    """Share of the run before `class_weights` begin; until then all weights are 1. Cao et al. 2019 take 0.8."""

    gamma: NonNegativeFloat = 2.0
    """Strength of `focal`: a sample of probability p counts (1 - p)^gamma. 2 is the paper's number; 0 is cross entropy.
    """

    tau: PositiveFloat = 1.0
    """Strength of `logit-adjustment`: the log training frequencies are multiplied by it. 1 is what theory says."""

    prior: Prior | None = None
    """Class frequencies that the model is meant for, with `logit-adjustment` and `balanced-softmax`, which need it.
    `balanced`: all classes alike; `train`: as in training; positive numbers in class order: as you say; `tuned`: after
    training, the power of the training frequencies (0 to 1) by which `training.select` is best on val."""

    max_margin: PositiveFloat = 0.5
    """Margin of the smallest class with `ldam`; that of a class of n samples is proportional to n^(-1/4)."""

    pos_weight: Literal["none", "balanced", "sqrt"] = "none"
    """Weight of a class's presence against its absence, with `binary-cross-entropy`: `balanced` is the ratio of samples
    without the class to samples with it, `sqrt` the root of that, for rare classes."""

    decode: Auto | Decode = "auto"
    """Which class of a distribution over ordered classes is the answer: `mode` is most often right, `median` has the
    least expected absolute error, `mean` (rounded) the least expected squared error. `auto` is the one that
    `training.select` asks for: the median for `mae` and `quadratic_kappa`, and the mode otherwise. With `coral` it is
    always the median."""

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        self._belongs("effective_beta", self.class_weights == "effective", "`class_weights: effective`")
        self._belongs("defer_fraction", self.class_weights != "none", "class_weights")
        for field in dict.fromkeys(field for loss in LOSSES.values() for field in loss.fields):
            owners = sorted(name for name, loss in LOSSES.items() if field in loss.fields)
            is_implied = self.kind == "auto" and LABEL_SETS.issuperset(owners)  # by the data: see Recipe
            self._belongs(field, is_implied or self.kind in owners, f"`kind: {' or '.join(owners)}`")
        if self.kind in ADJUSTED and self.prior is None:
            raise ValueError(f"{self.kind} needs prior, the class frequencies that the model is meant for: "
                             "balanced, train, tuned (on val), or a list in class order")  # fmt: skip
        if self.kind in ADJUSTED and self.class_weights != "none":
            raise ValueError(f"{self.kind} and class_weights both correct imbalance: choose one")
        if self.pos_weight != "none" and self.class_weights != "none":
            raise ValueError("pos_weight and class_weights both correct imbalance: choose one")
        if self.kind in ORDINAL and self.label_smoothing not in (0, "auto"):
            raise ValueError(f"label_smoothing has no place in {self.kind}, whose targets already spread to neighbours")
        return self

    def _belongs(self, name: str, has_effect: bool, needed: str) -> None:
        if not has_effect and getattr(self, name) != type(self).model_fields[name].default:
            raise ValueError(f"{name} has no effect without {needed}")
