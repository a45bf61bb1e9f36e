"""Which sample is train, val or test.

Two strategies (requirement A7). `stratified`: the exact fractions per class, for sets that are looked at as a whole.
`digest`: each group decides by its own hash, so nothing ever moves when files are added. Both keep what the data gives
already, and neither ever parts a group. Python's `hash` is salted per process and is never used (trap D2).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from obverse.imaging import unit_interval
from obverse.recipe import SplitSpec

from .sample import SPLITS, Sample

LARGE_SET = 20_000


def assign_splits(samples: Sequence[Sample], spec: SplitSpec) -> tuple[Sample, ...]:
    """Every sample with a split; samples that have one keep it.

    When the data names splits, a sample of `train` may move to a split that is missing entirely (trap E2: validation
    is carved from train, never from test).
    """
    given = {sample.split for sample in samples} - {None}
    if given and all(sample.split for sample in samples):
        return _carve_missing(samples, spec, missing=[name for name in SPLITS if name not in given])
    fractions = {"train": spec.train, "val": spec.val, "test": spec.test}
    return _assign(samples, spec, fractions)


def _carve_missing(samples: Sequence[Sample], spec: SplitSpec, *, missing: list[str]) -> tuple[Sample, ...]:
    wanted = [name for name in missing if name != "train" and getattr(spec, name) > 0]
    if not wanted:
        return tuple(samples)
    open_samples = [replace(s, split=None) for s in samples if s.split == "train"]
    total = spec.train + sum(getattr(spec, name) for name in wanted)
    fractions = {name: getattr(spec, name) / total if name in (*wanted, "train") else 0.0 for name in SPLITS}
    carved = {s.id: s for s in _assign(open_samples, spec, fractions)}
    return tuple(carved[s.id] if s.split == "train" else s for s in samples)


def _assign(samples: Sequence[Sample], spec: SplitSpec, fractions: Mapping[str, float]) -> tuple[Sample, ...]:
    strategy = spec.strategy
    if strategy == "auto":
        strategy = "digest" if len(samples) >= LARGE_SET else "stratified"
    chosen = (
        _by_digest(samples, spec.seed, fractions) if strategy == "digest" else _stratified(samples, spec, fractions)
    )
    return tuple(s if s.split else replace(s, split=chosen[s.group or s.id]) for s in samples)


def _by_digest(samples: Iterable[Sample], seed: int, fractions: Mapping[str, float]) -> dict[str, str]:
    chosen = {}
    for key in {sample.group or sample.id for sample in samples}:
        place = unit_interval("split", seed, key)
        if place < fractions["train"]:
            chosen[key] = "train"
        else:
            chosen[key] = "val" if place < fractions["train"] + fractions["val"] else "test"
    return chosen | _fixed(samples)


def _fixed(samples: Iterable[Sample]) -> dict[str, str]:
    return {sample.group or sample.id: sample.split for sample in samples if sample.split}


def _stratified(samples: Sequence[Sample], spec: SplitSpec, fractions: Mapping[str, float]) -> dict[str, str]:
    """Groups, the largest first and then by hash, each to the split that lacks most samples of its class."""
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[sample.group or sample.id].append(sample)
    label_of = {key: Counter(s.label for s in group).most_common(1)[0][0] for key, group in members.items()}
    keys_of: dict[str, list[str]] = defaultdict(list)
    for key, label in label_of.items():
        keys_of[label].append(key)
    chosen = _fixed(samples)
    for keys in keys_of.values():
        keys.sort(key=lambda key: (-len(members[key]), unit_interval("split", spec.seed, key), key))
        targets = _targets(sum(len(members[key]) for key in keys), fractions)
        for key in keys:
            if key in chosen:
                targets[chosen[key]] -= len(members[key])
        for key in keys:
            if key not in chosen:
                chosen[key] = max(SPLITS, key=lambda name: (targets[name], fractions[name]))
                targets[chosen[key]] -= len(members[key])
    return chosen


def _targets(count: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Largest remainder; a class of 3 or more has at least one picture in every split that is wanted."""
    exact = {name: count * fractions[name] for name in SPLITS}
    targets = {name: int(exact[name] + 1e-9) for name in SPLITS}
    by_remainder = sorted(SPLITS, key=lambda name: targets[name] - exact[name])
    for name in by_remainder[: count - sum(targets.values())]:
        targets[name] += 1
    for name in SPLITS:
        if count >= 3 and fractions[name] > 0 and targets[name] == 0:
            targets[max(SPLITS, key=targets.__getitem__)] -= 1
            targets[name] += 1
    return targets
