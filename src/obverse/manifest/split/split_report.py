"""Findings about a split: deviating fractions, classes missing from a split, divided groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from obverse.manifest.label_sets import class_counts, members
from obverse.manifest.sample import SPLITS, Finding
from obverse.manifest.samples import Samples
from obverse.recipe import SplitSpec

from .split import split_keys

# A deviation of fractions up to the larger of 0.01 and 2 samples is rounding: it is reported for a digest split only.
REPORTED_DEVIATION = 0.01
ROUNDED_SAMPLES = 2
MAX_EXAMPLES = 5


def split_findings(given: Samples, done: Samples, spec: SplitSpec, *, multi_label: bool = False) -> list[Finding]:
    """Findings about the result of `assign_splits`. given, done: the samples before and after it."""
    findings = list(_parted_groups(done, spec))
    spec = spec.for_samples(len(done))
    if None not in given.splits and spec.folds is None:
        findings += _taken(given, done, spec)
    if None in given.splits:
        findings += _deviation(done, {name: getattr(spec, name) for name in SPLITS}, spec)
    elif given.splits != done.splits and spec.folds is None:  # an empty split was taken out of train
        shares = {name: getattr(spec, name) for name in SPLITS if name == "train" or name not in given.splits}
        pool = done.where(split == "train" for split in given.splits)
        findings += _deviation(pool, {name: share / sum(shares.values()) for name, share in shares.items()}, spec)
    if given.splits != done.splits:
        findings += _absent_classes(done, multi_label=multi_label)
    return findings


def _taken(given: Samples, done: Samples, spec: SplitSpec) -> Iterator[Finding]:
    """Findings for splits that the data lacks and that were taken out of its train."""
    before, after = Counter(given.splits), Counter(done.splits)
    for split in SPLITS:
        if not before[split] and after[split]:
            message = (
                f"the data has no {split}: {after[split]:,} of the {before['train']:,} samples of its train are {split}"
            )
            if split == "test":
                message += f"; data.split.test=0 with data.split.train={spec.train + spec.test:g} keeps them in train"
            yield Finding("note", "split-from-train", message)


def _deviation(samples: Samples, wanted: Mapping[str, float], spec: SplitSpec) -> Iterator[Finding]:
    counted = Counter(samples.splits)
    reached = {name: counted[name] / len(samples) for name in wanted}
    rounding = max(REPORTED_DEVIATION, ROUNDED_SAMPLES / len(samples))
    if spec.strategy == "digest" or any(abs(reached[name] - wanted[name]) > rounding for name in wanted):
        listed = ", ".join(f"{name} {100 * reached[name]:.1f} % (wanted {100 * wanted[name]:.1f} %)" for name in wanted)
        of = "" if len(wanted) == len(SPLITS) else " of the given train"
        why = "each group decides by its own digest" if spec.strategy == "digest" else "groups and classes stay whole"
        yield Finding("note", "split-fractions", f"{spec.strategy} split{of}: {listed}; {why}")


def _absent_classes(samples: Samples, *, multi_label: bool) -> Iterator[Finding]:
    """Findings for classes that are large enough for every split but missing from one."""
    counts = class_counts(samples.labels, multi_label=multi_label)
    classes = {name for name, count in counts.items() if count >= len(SPLITS)}
    held: dict[str, set[str]] = defaultdict(set)
    for label, split in zip(samples.labels, samples.splits, strict=True):
        held[split or ""].update(members(label, multi_label=multi_label))
    for split in SPLITS:
        absent = sorted(classes - held[split]) if held[split] else []
        if absent:
            listed = ", ".join(absent[:MAX_EXAMPLES]) + (" ..." if len(absent) > MAX_EXAMPLES else "")
            message = (
                f"{len(absent)} class(es) have no sample in {split}: {listed}; give more samples or smaller groups"
            )
            yield Finding("warning", "class-not-in-split", message)


def _parted_groups(samples: Samples, spec: SplitSpec) -> Iterator[Finding]:
    """Findings for groups that existing splits divide; `assign_splits` itself never divides a group."""
    splits_of: dict[str, set[str]] = {}
    if not any(samples.groups):
        return
    for key, group, split in zip(split_keys(samples, spec), samples.groups, samples.splits, strict=True):
        if group:
            splits_of.setdefault(key, set()).add(split or "")
    parted = sorted(key for key, splits in splits_of.items() if len(splits) > 1)
    if parted:
        listed = ", ".join(parted[:MAX_EXAMPLES]) + (" ..." if len(parted) > MAX_EXAMPLES else "")
        message = f"{len(parted)} group(s) are in several given splits: {listed}; the figures will look too good"
        yield Finding("warning", "group-across-splits", message)
