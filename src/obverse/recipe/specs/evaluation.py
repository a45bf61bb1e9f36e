"""What is measured and reported after training, and what is fitted on val for the decision on an answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .spec import Level, NonNegativeInt, PositiveInt, Spec

# An error of 0 cannot be promised by any number of samples.
ErrorShare = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
# A squared Mahalanobis distance may be large where training pictures differ little.
Score = Annotated[float, Field(ge=-1e18, le=1e18)]
Scale = Annotated[float, Field(gt=0, le=1e18)]


class EvaluationSpec(Spec):
    """What is measured and reported after training."""

    batch_size: PositiveInt = 64
    """Samples per forward pass in evaluation. It changes speed and memory, not what is measured."""

    embeddings: bool = True
    """Whether `embeddings.npy`, the fused features of every sample, is written beside the predictions."""

    maps: NonNegativeInt = 8
    """Number of samples for which the report shows where the model looks; half of them are the most confident mistakes.
    0 is none."""

    accepted_error: Literal["tuned"] | ErrorShare = "tuned"
    """Largest share of wrong answers among those that are accepted without a person, promised with 95 % confidence from
    val. `tuned` is 0.05; it is 0.1 or 0.2 where less cannot be promised from half of val (that takes 118 independent
    samples for 0.05 and 58 for 0.1), or where the model errs more than twice as often."""

    coverage: Level | None = 0.9
    """Share of new samples whose prediction set is to hold the true class; for multi-label data, share of the true
    classes that a set is to hold. `null`: no sets. The rule is fitted on val after training and ships with the model.
    """

    coverage_confidence: Level | None = None
    """Probability, over draws of val, with which this very model is to reach `coverage`: 0.95 gives larger sets.
    `null`: `coverage` is reached on average over models."""

    val_chose: tuple[str, ...] = ()
    """What was chosen on train and val before this training, such as the backbone; the report on val warns of it.
    `obverse train` adds what it has compared itself."""


class AcceptanceSpec(Spec):
    """The confidence from which on an answer is accepted, fitted on val."""

    wanted_error: ErrorShare
    """Largest share of wrong answers among accepted ones."""

    threshold: Share | None
    """Confidence from which on answers are accepted. `null`: val cannot promise the wanted error for any."""

    num_units: NonNegativeInt
    """Independent samples of val, or groups, that it was fitted on."""

    are_groups: bool = False
    """Whether the units are groups, each with one sample drawn from it."""

    share: Share = 0.0
    """Share of these units whose answers are accepted."""

    fitted_on: Literal["val", "folds"] = "val"
    """The samples that it was fitted on: val, or the samples that folds left out."""

    num_right: NonNegativeInt | None = None
    """Right answers of the units, each by a calibration and thresholds that were fitted without it. `null`: not known,
    as in older bundles."""

    num_tested: NonNegativeInt = 0
    """Most confident answers of the first test, if it failed."""

    num_tested_wrong: NonNegativeInt = 0
    """Wrong ones of these."""


class OutlierSpec(Spec):
    """The score of how unlike the training pictures a sample is, scaled on val, and where rejection begins.

    The score has two parts, each less its centre and divided by its scale: GEN of the probabilities, which counts half,
    and the squared Mahalanobis distance of the normalised embedding from its nearest class.
    """

    gen_centre: Score
    """Median of GEN on val."""

    gen_scale: Scale
    """Spread of GEN on val."""

    distance_centre: Score
    """Median of the squared distance on val."""

    distance_scale: Scale
    """Spread of the squared distance on val."""

    reject_above: Score
    """Score above which a sample is rejected."""

    share_below: Share
    """Share of val samples that are not rejected."""

    num_samples: PositiveInt
    """Samples of val that it was fitted on."""
