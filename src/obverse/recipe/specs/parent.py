"""A run that goes on from another one's weights."""

from __future__ import annotations

from .spec import Spec


class ParentSpec(Spec):
    """run: the finished run whose shipped weights training begins with. digest: of those weights, so that a resumed or
    repeated run begins with the same.
    """

    run: str
    digest: str
