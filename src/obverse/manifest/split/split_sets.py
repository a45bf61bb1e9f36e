"""Stratified split of multi-label samples by iterative stratification, rarest class first (Sechidis et al. 2011).

Strata are the classes and the label sets that are frequent enough for every split. Label sets alone would leave the
rare ones to chance. Target numbers are whole, as for single labels (`split.py`), and groups are never divided.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from obverse.imaging import unit_interval
from obverse.manifest.label_sets import SEPARATOR, class_counts, members

# Pseudo-class held by every sample: balances split sizes when no real class breaks the tie.
EVERYTHING = ""


def by_label_set(
    keys: Sequence[str],
    labels: Sequence[str],
    fixed: Mapping[str, str],
    targets: Mapping[str, dict[str, int]],
    seed: int,
) -> Iterator[str]:
    """A split for each key.

    fixed: key -> existing split.
    targets: stratum of `strata` -> split -> target number of samples.
    """
    lacking = {label: dict(target) for label, target in targets.items()}
    held = _held(keys, labels, targets)
    wanted = [name for name, number in targets[EVERYTHING].items() if number > 0]
    chosen: dict[str, str] = {}

    def put(key: str, name: str) -> None:
        chosen[key] = name
        for label, count in held[key].items():
            lacking[label][name] -= count

    def neediest(label: str) -> str:
        return max(wanted, key=lambda name: (lacking[label][name], lacking[EVERYTHING][name], targets[label][name]))

    for key in (key for key in held if key in fixed):
        put(key, fixed[key])
    order = {key: (-held[key][EVERYTHING], unit_interval("split", seed, key), key) for key in held if key not in fixed}
    having: dict[str, list[str]] = defaultdict(list)
    for key in sorted(order, key=order.__getitem__):
        for label in held[key]:
            having[label].append(key)
    for label in _rarest_first(having, held, chosen):
        for key in having[label]:
            if key not in chosen:
                put(key, neediest(label))
    return map(chosen.__getitem__, keys)


def strata(labels: Sequence[str], smallest_fraction: float) -> dict[str, int]:
    """Stratum -> number of samples, for classes, frequent label sets and EVERYTHING.

    A label set is frequent if the split with `smallest_fraction` would get at least one of its samples.
    """
    frequent = {label: count for label, count in Counter(labels).items() if count * smallest_fraction >= 1}
    wholes = {_whole(label): count for label, count in frequent.items()}
    return {**class_counts(labels, multi_label=True), **wholes, EVERYTHING: len(labels)}


def _whole(label: str) -> str:
    """Name of the stratum of a label set, which no class can have because it contains the separator."""
    return f"{SEPARATOR}{label}"


def _held(keys: Sequence[str], labels: Sequence[str], shared: Mapping[str, object]) -> dict[str, Counter[str]]:
    """Key -> stratum -> number of samples."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        things = (EVERYTHING, _whole(label), *members(label, multi_label=True))
        held[key].update(thing for thing in things if thing in shared)
    return held


def _rarest_first(
    having: Mapping[str, Sequence[str]], held: Mapping[str, Counter[str]], chosen: Mapping[str, str]
) -> Iterator[str]:
    """Yield the strata in order of stratification: the one with the fewest unplaced samples next, EVERYTHING last."""

    def left(label: str) -> int:
        return sum(held[key][label] for key in having[label] if key not in chosen)

    queue = [(left(label), label) for label in having if label != EVERYTHING]
    heapq.heapify(queue)
    while queue:
        count, label = heapq.heappop(queue)
        now = left(label)
        # Counts in the queue may be outdated; one that has fallen is queued again with its new value.
        if now < count:
            heapq.heappush(queue, (now, label))
        elif now:
            yield label
    if EVERYTHING in having:
        yield EVERYTHING
