"""Assignment of samples to train, val and test, by one of two strategies.

- `stratified` gives every class the requested fractions, up to rounding; for multi-label data nearly
  (`split_sets.py`). It needs the whole data set.
- `digest` places each group by a hash of its key, so that no sample moves when files are added.

Both strategies keep existing splits and never divide a group. Hashes are those of `obverse.imaging`, never Python's
`hash`, which is salted per process.

With folds, test is taken first and is the same for every fold. The rest is divided into folds by the same strategy.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain

from obverse.errors import DataError
from obverse.imaging import unit_interval, unit_intervals
from obverse.manifest.sample import SPLITS, Sample
from obverse.manifest.samples import Samples
from obverse.recipe import SplitSpec

from .split_sets import by_label_set, strata

Fractions = Mapping[str, float]


def assign_splits(given: Iterable[Sample], spec: SplitSpec, *, multi_label: bool = False) -> Samples:
    """The samples, each with a split; existing splits are kept.

    If all samples have a split and val or test is empty, the empty one is taken out of train.

    multi_label: labels are label sets.

    DataError when `spec.folds` is set and the data already has val, or has fewer groups than folds.
    """
    samples = Samples.of(given)
    spec = spec.for_samples(len(samples))
    if spec.folds is None:
        return _fill(samples, spec, {name: getattr(spec, name) for name in SPLITS}, multi_label=multi_label)
    if "val" in samples.splits:
        raise DataError("data.split.folds makes its own val, and the data or the stored split gives one already; "
                        "leave out folds, or give train and test only")  # fmt: skip
    apart = _fill(samples, spec, {"train": 1 - spec.test, "val": 0.0, "test": spec.test}, multi_label=multi_label)
    is_pool = [split == "train" for split in apart.splits]
    folds = _folds(apart.where(is_pool), spec, spec.folds, multi_label=multi_label)
    return _put(apart, is_pool, ("val" if fold == str(spec.fold) else "train" for fold in folds))


def fold_of_each(pool: Samples, spec: SplitSpec, folds: int, *, multi_label: bool = False) -> tuple[int, ...]:
    """The fold of each sample, from 0, stratified by class; no group is divided.

    DataError when there are fewer groups than folds.
    """
    spec = spec.for_samples(len(pool))
    return tuple(map(int, _folds(pool, spec, folds, multi_label=multi_label)))


def _folds(pool: Samples, spec: SplitSpec, folds: int, *, multi_label: bool) -> Iterator[str]:
    """The fold number of each sample, as text. It does not depend on `spec.fold`, the fold that becomes val."""
    keys = split_keys(pool, spec)
    if len(set(keys)) < folds:
        raise DataError(f"data.split.folds is {folds}, and there are only {len(set(keys))} groups of samples to divide")
    shares = {str(fold): 1 / folds for fold in range(folds)}
    if spec.strategy == "digest":
        return by_digest(keys, shares, "fold", spec.seed)
    stratify = by_sets if multi_label else by_class
    return stratify(keys, pool.labels, {}, shares, spec.seed)


def _fill(samples: Samples, spec: SplitSpec, fractions: Fractions, *, multi_label: bool) -> Samples:
    """The samples with a split for each that has none; if none lacks one, empty splits are taken out of train."""
    present = set(samples.splits)
    if None in present:
        return _assign(samples, spec, fractions, multi_label=multi_label)
    shares = {name: share if name == "train" or name not in present else 0.0 for name, share in fractions.items()}
    if sum(shares.values()) == shares["train"]:  # no split is empty, or those that are have the fraction 0
        return samples
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    is_train = [split == "train" for split in samples.splits]
    pool = samples.where(is_train)
    open_pool = pool.with_columns(splits=(None,) * len(pool))
    return _put(samples, is_train, _assign(open_pool, spec, shares, multi_label=multi_label).splits)


def _put(samples: Samples, is_open: Iterable[bool], splits: Iterable[str | None]) -> Samples:
    """The samples with new splits where `is_open` is true. splits: one value for each true value, in order."""
    new = iter(splits)
    pairs = zip(is_open, samples.splits, strict=True)
    return samples.with_columns(splits=(next(new) if is_here else split for is_here, split in pairs))


def split_keys(samples: Samples, spec: SplitSpec) -> list[str]:
    """Key of each sample for hashing: its group, else its content digest (equal for copies), else its id."""
    if not spec.group_duplicates:
        return [group or name for group, name in zip(samples.groups, samples.ids, strict=True)]
    rows = zip(samples.groups, samples.digests, samples.ids, strict=True)
    return [group or digest or name for group, digest, name in rows]


def _assign(samples: Samples, spec: SplitSpec, fractions: Fractions, *, multi_label: bool) -> Samples:
    keys = split_keys(samples, spec)
    fixed = _fixed(keys, samples.splits)
    if spec.strategy == "digest":
        chosen = by_digest(keys, fractions, "split", spec.seed)
    else:
        stratify = by_sets if multi_label else by_class
        chosen = stratify(keys, samples.labels, fixed, fractions, spec.seed)
    rows = zip(samples.splits, keys, chosen, strict=True)
    return samples.with_columns(splits=(split or fixed.get(key) or place for split, key, place in rows))


def _fixed(keys: Sequence[str], splits: Sequence[str | None]) -> dict[str, str]:
    """Key -> existing split of its group; the first in SPLITS when the data itself divides the group."""
    held: dict[str, str] = {}
    for key, split in zip(keys, splits, strict=True):
        if split is not None:
            held[key] = min(held.get(key, split), split, key=SPLITS.index)
    return held


def by_digest(keys: Iterable[str], fractions: Fractions, *salt: object) -> Iterator[str]:
    """A split for each key, by the hash of the key. fractions: split -> fraction. salt: further values to hash."""
    bounds = list(accumulate(fractions.values()))
    # Rounding may leave the last bound below 1: values above it go to the last split with a fraction above 0.
    names = [*fractions, [name for name in fractions if fractions[name] > 0][-1]]
    return (names[bisect(bounds, place)] for place in unit_intervals(keys, *salt))


def by_class(
    keys: Sequence[str], labels: Sequence[str], fixed: Mapping[str, str], fractions: Fractions, seed: int
) -> Iterator[str]:
    """A split for each key, stratified by class.

    Greedy: groups are placed by falling size, then single samples, each in the split that is furthest below its target
    number of samples of the group's classes. Equal sizes are ordered by hash.

    fixed: key -> existing split.
    """
    lacking = _targets(Counter(labels), fractions, alone=_of_one_key(keys, labels))
    taken = dict.fromkeys(fractions, 0)
    wanted = [name for name in fractions if fractions[name] > 0]
    groups, alone = _groups_and_alone(keys, labels)
    chosen = dict(fixed)

    def put(key: str, name: str, held: Mapping[str, int]) -> None:
        chosen[key] = name
        for label, count in held.items():
            lacking[label][name] -= count
            taken[name] += count

    def neediest(held: Mapping[str, int]) -> str:
        lack = {name: sum(count * lacking[label][name] for label, count in held.items()) for name in wanted}
        return max(wanted, key=lambda name: (lack[name], fractions[name], -taken[name]))

    singles = ((key, {label: 1}) for label, members in alone.items() for key in members)
    for key, held in chain(groups.items(), singles) if fixed else ():
        if key in fixed:
            put(key, fixed[key], held)
    sizes = {key: (-held.total(), unit_interval("split", seed, key), key) for key, held in groups.items()}
    for key in sorted(groups, key=sizes.__getitem__):
        if key not in chosen:
            put(key, neediest(groups[key]), groups[key])
    for label in sorted(alone):
        one = {label: 1}
        for _, key in sorted(zip(unit_intervals(alone[label], "split", seed), alone[label], strict=True)):
            if key not in chosen:
                put(key, neediest(one), one)
    return map(chosen.__getitem__, keys)


def by_sets(
    keys: Sequence[str], labels: Sequence[str], fixed: Mapping[str, str], fractions: Fractions, seed: int
) -> Iterator[str]:
    """A split for each key, stratified by label set."""
    counts = strata(labels, min(fraction for fraction in fractions.values() if fraction > 0))
    targets = _targets(counts, fractions, alone={name for name, count in counts.items() if count == 1})
    return by_label_set(keys, labels, fixed, targets, seed)


def _groups_and_alone(
    keys: Sequence[str], labels: Sequence[str]
) -> tuple[dict[str, Counter[str]], dict[str, list[str]]]:
    """Key -> class -> number of samples, for keys of several samples; class -> keys, for keys of a single sample."""
    repeated = {key for key, count in Counter(keys).items() if count > 1}
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    alone: dict[str, list[str]] = defaultdict(list)
    for key, label in zip(keys, labels, strict=True):
        if key in repeated:
            groups[key][label] += 1
        else:
            alone[label].append(key)
    return groups, alone


def _of_one_key(keys: Sequence[str], labels: Sequence[str]) -> set[str]:
    """Classes whose samples all have one key, so that they cannot be divided."""
    first: dict[str, str] = {}
    several = {label for key, label in zip(keys, labels, strict=True) if first.setdefault(label, key) != key}
    return first.keys() - several


def _targets(
    counts: Mapping[str, int], fractions: Fractions, *, alone: Collection[str] = ()
) -> dict[str, dict[str, int]]:
    """Class -> split -> target number of samples, by largest-remainder rounding.

    The rounding error of one class is carried to the next, so that many small classes do not shift the total fractions.
    A class of 3 or more samples gets at least one in every split where possible.

    alone: classes that cannot be divided. They go to train, because a class that is never trained cannot be tested.
    """
    owed = dict.fromkeys(fractions, 0.0)
    wanted = [name for name in fractions if fractions[name] > 0]
    targets = {}
    for label in sorted(counts):
        exact = {name: counts[label] * fraction for name, fraction in fractions.items()}
        if label in alone and "train" in wanted:
            targets[label] = {name: counts[label] * (name == "train") for name in fractions}
            continue
        # 1e-9 absorbs the rounding of floats: 10 * 0.7 may be just below 7.
        target = {name: int(exact[name] + 1e-9) for name in fractions}
        rest = {name: exact[name] - target[name] for name in wanted if exact[name] - target[name] > 1e-9}
        # Rounded, so that equal remainders are ties, which keep the order of `fractions`.
        ranked = sorted(rest, key=lambda name: -round(owed[name] + rest[name], 9))
        for name in ranked[: counts[label] - sum(target.values())]:
            target[name] += 1
        for name in wanted:
            fullest = max(target, key=target.__getitem__)
            if counts[label] >= 3 and target[name] == 0 and target[fullest] > 1:
                target[fullest] -= 1
                target[name] += 1
        for name in fractions:
            owed[name] += exact[name] - target[name]
        targets[label] = target
    return targets
