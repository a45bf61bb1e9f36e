"""Findings about classes: their sizes, similar names, order, and presence in each split."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from obverse.manifest.grades import is_off_scale, parse_grade
from obverse.manifest.label_sets import class_counts, members
from obverse.manifest.names import name_key
from obverse.manifest.sample import SPLITS, Finding, Sample
from obverse.recipe import DataSpec

# One sample for each split.
LEAST_SAMPLES = 3
# Ratio of the largest to the smallest class above which imbalance is reported.
IMBALANCE = 20


def class_findings(samples: Sequence[Sample], spec: DataSpec) -> list[Finding]:
    """Findings about the classes of the samples; splits are those stated in the data."""
    multi_label = spec.labels == "multi"
    counts = class_counts((sample.label for sample in samples), multi_label=multi_label)
    may_be_ordered = spec.order == "auto" and not multi_label
    return [
        *_sizes(counts),
        *_look_alike(counts),
        *_splits(samples, multi_label=multi_label),
        *(_order(sorted(counts)) if may_be_ordered else ()),
    ]


def _sizes(counts: Counter[str]) -> Iterator[Finding]:
    for name, count in sorted(counts.items()):
        if count < LEAST_SAMPLES:
            message = f"class {name!r} has {count} sample(s); {LEAST_SAMPLES} are needed for train, val and test"
            yield Finding("warning", "small-class", message)
    if not counts:
        return
    (most, num_most), (least, num_least) = counts.most_common(1)[0], min(counts.items(), key=lambda item: item[1])
    if num_most > IMBALANCE * num_least:
        message = f"class {most!r} has {num_most} samples and {least!r} has {num_least}, more than {IMBALANCE} to 1"
        yield Finding("warning", "imbalance", message)


def _look_alike(counts: Counter[str]) -> Iterator[Finding]:
    """Findings for class names that differ only in letter case, spaces or width of letters: most likely one class."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counts):
        alike[" ".join(name_key(unicodedata.normalize("NFKC", name)).split())].append(name)
    for names in alike.values():
        if len(names) > 1:
            listed = ", ".join(f"{name!r} ({counts[name]})" for name in names)
            message = f"the classes {listed} differ only in letter case or spaces, and stay {len(names)}; rename one"
            yield Finding("warning", "classes-look-alike", message)


def _splits(samples: Sequence[Sample], *, multi_label: bool) -> Iterator[Finding]:
    classes_of: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.split:
            classes_of[sample.split].update(members(sample.label, multi_label=multi_label))
    everywhere = set().union(*classes_of.values())
    for split in (name for name in SPLITS if name in classes_of):
        missing = sorted(everywhere - classes_of[split])
        if missing:
            message = f"{split} lacks {len(missing)} class(es) that another split has: {', '.join(missing[:5])}"
            yield Finding("warning", "classes-differ", message + (" ..." if len(missing) > 5 else ""))


def _order(names: Sequence[str]) -> Iterator[Finding]:
    """Findings that explain why classes that look ordered are treated as unordered."""
    grades = {name: grade for name in names if (grade := parse_grade(name)) is not None}
    others = [name for name in names if name not in grades]
    why = ""
    if len(names) > 1 and all(name.strip().isdecimal() for name in names):
        why = "class names are bare numbers, which are not assumed to be ordered"
        yield _unordered("note", why)
    elif len(grades) > len(others) and others:
        off_scale = " (no place on the Sheldon scale)" if all(map(is_off_scale, others)) else ""
        yield _unordered("warning", f"most class names are coin grades, but not {_listed(others)}{off_scale}")
    elif grades and not others and len({grade.strike for grade in grades.values()}) > 1:
        strikes = " and ".join(sorted({grade.strike for grade in grades.values()}))
        why = f"grades of {strikes} strikes are mixed, which are judged by different rules and have no common order"
        yield _unordered("warning", why)
    elif grades and not others and len({grade.number for grade in grades.values()}) < len(grades):
        yield _unordered("warning", f"two class names are the same grade, among {_listed(names)}")


def _unordered(severity: str, why: str) -> Finding:
    return Finding(severity, "class-order", f"{why}: classes are taken as unordered; set data.order to say otherwise")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
