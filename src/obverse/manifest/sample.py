"""Samples and findings, the records that all rooms of the manifest exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled object with one picture per view.

    id: stable, from the file's path and never from the order of listing. views: view name -> locator
    (`store/locator.py`), mostly a path below the root; a missing view has no entry. digest: of the pictures' bytes.
    """

    id: str
    label: str
    views: Mapping[str, str]
    split: str | None = None
    group: str | None = None
    digest: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem reported by reading or verification.

    severity: error (the pictures cannot be used), warning or note. digests: of the excluded files at `paths` that could
    be read. score, threshold: of an advisory finding, whose score exceeds the threshold.
    """

    severity: str
    code: str
    message: str
    paths: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    score: float | None = None
    threshold: float | None = None

    def as_json(self) -> dict[str, object]:
        """The finding as plain JSON values, without empty optional fields."""
        values = {field: getattr(self, field) for field in ("severity", "code", "message", "paths")}
        optional = {field: getattr(self, field) for field in ("digests", "score", "threshold")}
        return values | {field: value for field, value in optional.items() if value not in (None, ())}
