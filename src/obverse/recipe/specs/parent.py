"""A run that goes on from another one's weights."""

from __future__ import annotations

from .spec import Spec


class ParentSpec(Spec):
    """The run whose weights this run begins with; `obverse train RUN --more-epochs` writes it."""

    run: str
    """Folder of the finished run whose shipped weights training begins with."""

    digest: str
    """SHA-256 of these weights, so that a resumed or repeated run begins with the same."""
