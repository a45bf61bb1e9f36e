"""Measurements of a split in the form that its page needs, whatever the kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obverse.evaluation.estimates import Estimate
from obverse.evaluation.seen import Seen
from obverse.metrics import IntArray


@dataclass(frozen=True)
class Judged:
    """The parts of the measurements that the page is made from, for every kind of answer."""

    estimates: Mapping[str, Estimate | None]
    seen: Seen
    topics: Mapping[str, Any]

    mistakes_M: IntArray
    """Rows of wrong answers, the surest first."""

    support_K: IntArray
    """Samples of each class."""

    @property
    def headline(self) -> Estimate | None:
        """The share of right answers."""
        return self.estimates.get("accuracy") or self.estimates.get("subset_accuracy")
