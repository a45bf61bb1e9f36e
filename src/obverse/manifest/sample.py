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
    """A problem that reading or verification reports. severity: error, warning or note."""

    severity: str
    code: str
    message: str
    paths: tuple[str, ...] = ()
