"""Findings about exact and near duplicates; `manifest.split.grouping` keeps them together in a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from obverse.manifest.sample import Finding, Sample
from obverse.manifest.verify.facts import PictureFacts

from .near import NearDuplicates
from .turned import near_copies, samples_of_pictures

# Approximate number of pictures that are searched for copies in other splits.
MOST_SELECTED = 1500
# Least number of divided pairs, and least share of pictures with a copy in another split, that are reported.
LEAST_PARTED, LEAST_PARTED_SHARE = 5, 0.02

Holders = Sequence[tuple[Sample, str]]


def duplicate_findings(samples: Sequence[Sample], facts: PictureFacts, *, multi_label: bool = False) -> list[Finding]:
    """Findings about pictures with equal bytes.

    A warning if they have several labels, are in several stated splits or are two views of one sample; else a note.
    """
    what = "label sets" if multi_label else "labels"
    _, group_of = np.unique(facts.digests_N16, axis=0, return_inverse=True)
    findings = []
    for holders in _shared(samples, facts, group_of.ravel()):
        paths = tuple(path for _, path in holders)
        labels, splits = _labels(holders), _splits(holders)
        if len(labels) > 1:
            message = f"the same picture carries {len(labels)} {what} ({', '.join(map(_named, labels))})"
            findings.append(Finding("warning", "duplicate-across-labels", message, paths))
        if len(splits) > 1:
            message = f"the same picture is in {' and '.join(splits)}: the figures for these will look too good"
            findings.append(Finding("warning", "duplicate-across-splits", message, paths))
        ids = {sample.id for sample, _ in holders}
        if len(ids) < len(holders):
            findings.append(Finding("warning", "duplicate-view", "the same picture is two views of one sample", paths))
        if len(ids) > 1 and len(labels) == 1 and len(splits) < 2:
            message = f"the same picture is {len(ids)} samples of {_named(labels[0])}"
            findings.append(Finding("note", "duplicate-within-class", message, paths))
    return findings


def near_duplicate_findings(samples: Sequence[Sample], facts: PictureFacts, near: NearDuplicates) -> list[Finding]:
    """One advisory finding per group of near duplicates, with the score of its least similar pair."""
    group_of = near.groups(len(facts.paths))
    worst: dict[int, float] = defaultdict(float)
    for place, score in zip(near.pairs_M2[:, 0].tolist(), near.scores_M.tolist(), strict=True):
        worst[int(group_of[place])] = max(worst[int(group_of[place])], score)
    findings = []
    for holders in _shared(samples, facts, group_of, only=set(worst)):
        ids = {sample.id for sample, _ in holders}
        if len(ids) < 2:
            continue  # the views of one object may look alike
        labels, splits = _labels(holders), _splits(holders)
        severity, code, where = "note", "near-duplicate", f"{len(ids)} samples of {_named(labels[0])}"
        if len(splits) > 1:
            severity, code, where = "warning", f"{code}-across-splits", " and ".join(splits)
        elif len(labels) > 1:
            severity, code, where = (
                "warning",
                f"{code}-across-labels",
                f"{len(labels)} labels ({', '.join(map(_named, labels))})",
            )
        message = f"pictures that look the same are in {where}"
        score = worst[int(group_of[facts.place_of[holders[0][1]]])]
        paths = tuple(path for _, path in holders)
        findings.append(Finding(severity, code, message, paths, score=score, threshold=near.threshold))
    return findings


def near_ties(samples: Sequence[Sample], facts: PictureFacts, near: NearDuplicates) -> Iterator[Iterable[str]]:
    """Keys of each sample that its near duplicates have as well, for `grouping.group_together`."""
    group_of = near.groups(len(facts.paths))
    return ((f"near {group_of[facts.place_of[path]]}" for path in sample.views.values()) for sample in samples)


def copies_across_splits(samples: Sequence[Sample], facts: PictureFacts, *, can_group: bool) -> list[Finding]:
    """A warning when many pictures have a copy in another split.

    can_group: whether to recommend `data.split.group_near_duplicates`.
    """
    selected = np.flatnonzero(facts.printed_N)
    selected = selected[:: 1 + len(selected) // MOST_SELECTED]
    is_selected_N = np.zeros_like(facts.printed_N)
    is_selected_N[selected] = True
    pairs_M2 = near_copies(samples, replace(facts, printed_N=is_selected_N)).pairs_M2
    holder = samples_of_pictures(samples, facts, pairs_M2)
    held = [(holder[i], holder[j], i, j) for i, j in pairs_M2.tolist() if i in holder and j in holder]
    parted = [(i, j) for first, second, i, j in held if first.split != second.split]
    # A selection of a fraction of the pictures contains the square of that fraction of the pairs.
    share = 2 * len(parted) * len(facts.paths) / max(1, len(selected)) ** 2
    if len(parted) < LEAST_PARTED or share < LEAST_PARTED_SHARE:
        return []
    message = (
        f"{len(parted)} pairs among {len(selected)} pictures look like copies (resized, mirrored, turned, brightened) "
        "and are in two splits: the figures will look too good"
    )
    message += "; data.split.group_near_duplicates=true keeps copies in one split" if can_group else ""
    return [Finding("warning", "copies-across-splits", message, tuple(facts.paths[place] for place in parted[0]))]


def _shared(
    samples: Sequence[Sample], facts: PictureFacts, group_of: np.ndarray, only: set[int] | None = None
) -> Iterator[Holders]:
    """Yield the (sample, path) pairs of each group that has at least two of them.

    group_of: group number of each picture, by its index in the facts.
    only: groups to consider; None for all.
    """
    times = np.zeros(int(group_of.max(initial=0)) + 1, np.int64)
    places = (facts.place_of[path] for sample in samples for path in sample.views.values())
    held_N = np.fromiter(places, np.int64)
    held_N = held_N[facts.usable_N[held_N]]
    np.add.at(times, group_of[held_N], 1)
    wanted = set(np.flatnonzero(times > 1).tolist())
    wanted = wanted if only is None else wanted & only
    holders: dict[int, list[tuple[Sample, str]]] = defaultdict(list)
    for sample in samples if wanted else ():
        for path in sample.views.values():
            place = facts.place_of[path]
            group = int(group_of[place])
            if group in wanted and facts.usable_N[place]:
                holders[group].append((sample, path))
    yield from holders.values()


def _labels(holders: Holders) -> list[str]:
    return sorted({sample.label for sample, _ in holders})


def _splits(holders: Holders) -> list[str]:
    return sorted({sample.split for sample, _ in holders if sample.split})


def _named(label: str) -> str:
    """The label for messages; an empty label set has no name of its own."""
    return label or "no class"
