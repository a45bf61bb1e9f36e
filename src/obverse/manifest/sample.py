"""Samples and findings, the records that all parts of the manifest package exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled object with one picture per view."""

    id: str
    """Stable name: derived from the file's path, never from the order of listing."""

    label: str
    """Class name, or a label set as text (`label_sets.py`)."""

    views: Mapping[str, str]
    """View name -> locator (`store/locator.py`), mostly a path below the root. A missing view has no entry."""

    split: str | None = None
    """train, val or test; None before the split."""

    group: str | None = None
    """Samples of one group stay in one split."""

    digest: str | None = None
    """Joint digest of the pictures' bytes."""

    extra: Mapping[str, str] = field(default_factory=dict)
    """Extra column -> cell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem reported by reading or verification."""

    severity: str
    """error (the pictures cannot be used), warning or note."""

    code: str
    """Kind of problem, such as `near-duplicate`."""

    message: str

    paths: tuple[str, ...] = ()
    """Locators of the pictures concerned."""

    digests: tuple[str, ...] = ()
    """For an error: digests of the files at `paths` that could be read."""

    score: float | None = None
    """For an advisory finding: the score that gave rise to it."""

    threshold: float | None = None
    """For an advisory finding: the threshold that its score exceeds."""

    def as_json(self) -> dict[str, object]:
        """The finding as plain JSON values, without empty optional fields."""
        values = {field: getattr(self, field) for field in ("severity", "code", "message", "paths")}
        optional = {field: getattr(self, field) for field in ("digests", "score", "threshold")}
        return values | {field: value for field, value in optional.items() if value not in (None, ())}
