"""Learning from a teacher: another model's probabilities as soft targets (Hinton et al. 2015)."""

from __future__ import annotations

from pydantic import Field

from .spec import Auto, Spec


class DistillSpec(Spec):
    """Distillation: another model's probabilities as soft targets (Hinton et al. 2015).

    The teacher sees each training picture once, without augmentation and in its own input size. Mixed pictures have
    mixed targets.
    """

    teacher: str
    """Run folder or bundle of the teacher, for example an ensemble. It must have the same classes and views."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the teacher's probabilities in a target; the rest is the label."""

    digest: Auto | str = "auto"
    """SHA-256 of the teacher's weights. `auto` fills it in, so that a repeated or resumed run has the same teacher."""
