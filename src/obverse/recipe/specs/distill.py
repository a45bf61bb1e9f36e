"""Learning from a teacher: another model's probabilities as soft targets (Hinton et al. 2015)."""

from __future__ import annotations

from pydantic import Field

from .spec import Auto, Spec


class DistillSpec(Spec):
    """teacher: a run folder or bundle, an ensemble for example, with the same classes and views.

    share: how much of a target is the teacher's; the rest is the label. The teacher looks at each training picture
    once, as it is, in its own input size; mixed pictures have mixed targets. digest: of the teacher's weights, so that
    a repeated or resumed run has the same teacher.
    """

    teacher: str
    share: float = Field(default=0.5, gt=0, le=1)
    digest: Auto | str = "auto"
