"""Label sets of multi-label data, in which a sample has any number of classes, or none.

In a manifest a label set is text: its class names, sorted and joined by `|`. Therefore no class name may contain `|`.
The column of label sets is `labels`; single-label data has the column `label`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from obverse.errors import DataError

from .names import composed

SEPARATOR = "|"


def joined(names: Iterable[str], where: str) -> str:
    """The label set as text; DataError, naming `where`, for a name that is empty or contains the separator."""
    stripped = {composed(name.strip()) for name in names}
    for name in sorted(stripped):
        if not name:
            raise DataError(f"{where}: one of several classes is empty; leave out what separates it")
        if SEPARATOR in name:
            raise DataError(f"{where}: the class {name!r} contains `{SEPARATOR}`, which separates classes in a "
                            "manifest; rename it")  # fmt: skip
    return SEPARATOR.join(sorted(stripped))


def members(label: str, *, multi_label: bool) -> tuple[str, ...]:
    """The classes of a sample: the members of its label set, or its single class."""
    if not multi_label:
        return (label,)
    return tuple(label.split(SEPARATOR)) if label else ()


def class_counts(labels: Iterable[str], *, multi_label: bool) -> Counter[str]:
    """Class -> number of samples that have it."""
    of_label = Counter(labels)
    if not multi_label:
        return of_label
    counts: Counter[str] = Counter()
    for label, count in of_label.items():
        counts.update(dict.fromkeys(members(label, multi_label=True), count))
    return counts


def described(labels: Iterable[str]) -> str:
    """Summary of label sets for messages: number of classes, mean size, empty sets and distinct sets."""
    of_label = Counter(labels)
    counts = class_counts(of_label.elements(), multi_label=True)
    mean = counts.total() / max(1, of_label.total())
    return (f"{len(counts)} classes, any number of them per sample ({mean:.2f} on average, {of_label['']} with none, "
            f"{len(of_label)} different sets)")  # fmt: skip
