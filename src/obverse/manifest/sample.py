"""A sample: one labelled object with one picture per view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """views: view name -> locator (`store/locator.py`), mostly a path below the root; an absent view is missing.

    id is stable: it comes from the file's place, never from the order of listing. digest is of the pictures' bytes.
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
    """A problem that reading or verification reports. severity: error, warning or note.

    An error is what cannot be trained on. digests: of the files at `paths` that are left out, where they could be read.
    An advisory finding has a score and the threshold that it passed.
    """

    severity: str
    code: str
    message: str
    paths: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    score: float | None = None
    threshold: float | None = None

    def as_json(self) -> dict[str, object]:
        """Plain values; what does not apply is left out."""
        values = {field: getattr(self, field) for field in ("severity", "code", "message", "paths")}
        optional = {field: getattr(self, field) for field in ("digests", "score", "threshold")}
        return values | {field: value for field, value in optional.items() if value not in (None, ())}
