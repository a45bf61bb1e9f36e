"""Index: a verified manifest with splits, built from a source. Every training run reads its data through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import joint_digest
from obverse.manifest.split.divide import divide
from obverse.manifest.split.grouping import group_together
from obverse.recipe import DataSpec

from .classes import dropped_finding, smaller_classes, without_excluded
from .columns import fit_columns, require_columns, require_known
from .findings import finding_lines
from .grades import grade_order, is_off_scale
from .label_sets import class_counts
from .manifest import Manifest
from .prepared import changed_pictures
from .sample import Finding
from .samples import Samples
from .sources import Listing, read_source
from .store import PictureStore, parse_locator
from .too_few import Stages, too_few_classes
from .verify import (
    USUAL_USE,
    PictureFacts,
    class_findings,
    copies_across_splits,
    duplicate_findings,
    near_copies,
    near_ties,
    verify_pictures,
)

# Largest fraction of the samples that may be quarantined; one bad sample is always allowed.
QUARANTINE_LIMIT = 0.01
# Approximate number of samples' pictures whose thumbprints are kept to compare classes.
NUM_PRINTS = 4000


@dataclass(frozen=True)
class Index:
    """A manifest with the findings and facts of its verification."""

    manifest: Manifest

    findings: tuple[Finding, ...]
    """Findings of the source, of verification and of the split."""

    facts: PictureFacts
    """Measurements of the pictures."""

    summary: str
    """The source's layout, in one line."""

    layout: str
    """Name of the layout, as `data.layout` takes it."""

    source: Path | None = None
    """For a stored manifest, the data that it was made from."""

    stored: Path | None = None
    """For a stored manifest, its file."""

    dropped: tuple[str, ...] = ()
    """Classes that `data.largest_classes` excluded."""


def build_index(path: Path, spec: DataSpec, progress: Callable[[int, int], None] = lambda done, total: None) -> Index:
    """The index of the data at `path`. DataError when the data cannot be trained on.

    progress: called with the number of pictures verified so far and their total.
    """
    listing = read_source(path, spec)
    spec = as_stored(spec, listing)
    included, excluded = without_excluded(Samples.of(listing.samples), spec)
    samples, findings = handle_missing_views(included, listing, spec)
    stages = Stages(Samples.of(listing.samples), included, samples)
    pictures, details = list(pictures_of(listing, samples)), spec.split.group_near_duplicates or _some(samples)
    use = usual_use(spec)
    facts = verify_pictures(PictureStore(listing.root), pictures, progress, details=details, use=use)
    findings = [*with_digests(listing.findings, facts), *excluded, *findings, *facts.findings]
    samples = _without_unusable(samples, findings, spec)
    # Notes are about copies within a class, which stay in one split and do no harm; only `check` lists them.
    duplicates = duplicate_findings(samples, facts, multi_label=listing.multi_label)
    findings += [finding for finding in duplicates if finding.severity != "note"]
    require_columns(samples, spec.columns)
    if spec.labels != "multi" and len(names := set(samples.labels)) < 2:
        raise _explained(too_few_classes(names, listing, stages, spec, str(path)), listing.summary, findings)
    classes, ordered = _class_order(samples, spec, path)
    digests = [joint_digest(map(facts.digest_of.__getitem__, sample.views.values())) for sample in samples]
    samples, recorded = samples.with_columns(digests=digests), samples.digests
    changed = changed_pictures(samples, recorded)
    samples, findings = _without_unusable(samples, changed, spec), [*findings, *changed]
    findings += class_findings(samples, spec)
    if spec.split.group_near_duplicates:
        samples = group_together(samples, near_ties(samples, facts, near_copies(samples, facts)))
    if listing.multi_label and spec.largest_classes is not None:
        raise DataError("data.largest_classes is for one class per sample, and this data is multi-label; leave it out")
    undivided = samples
    options = {"is_prepared": listing.layout == "manifest", "multi_label": listing.multi_label}
    samples, about_split = divide(samples, spec.split, facts.digest_of, **options)
    dropped = smaller_classes(samples, spec.largest_classes)
    if dropped:
        # The split is computed again, so that it equals the one with these classes in data.exclude_classes.
        kept = undivided.where(label not in dropped for label in undivided.labels)
        samples, about_split = divide(kept, spec.split, facts.digest_of, **options)
        classes = tuple(name for name in classes if name not in dropped)
        findings.append(dropped_finding(dropped))
    manifest = Manifest(listing.root, samples, classes, listing.views, ordered, multi_label=listing.multi_label)
    manifest = fit_columns(manifest, spec.columns)
    _require_usable_splits(manifest, listing.summary, findings)
    require_known(manifest)
    findings += about_split
    if not spec.split.group_near_duplicates:
        can_group = undivided.splits != samples.splits
        findings += copies_across_splits(manifest.samples, facts, can_group=can_group)
    return Index(
        manifest,
        tuple(findings),
        facts,
        listing.summary,
        listing.layout,
        listing.source,
        listing.stored,
        tuple(dropped),
    )


def usual_use(spec: DataSpec) -> tuple[int, int]:
    """The minimum decoding size (height, width) that training will probably use; (0, 0) is full size.

    JPEGs are decoded at twice the input size, divided by the fraction that a centre crop keeps. 0.875 is the crop
    fraction of `data.fit=crop` where the recipe gives none.
    """
    if spec.decode == "full":
        return 0, 0
    if spec.size == "auto":
        return USUAL_USE
    kept = spec.crop_fraction if spec.crop_fraction != "auto" else 0.875 if spec.fit == "crop" else 1.0
    return math.ceil(2 * spec.size.height / kept), math.ceil(2 * spec.size.width / kept)


def _some(samples: Samples) -> frozenset[str]:
    """Pictures of every n-th sample, whose thumbprints are kept to compare classes."""
    step = 1 + len(samples) * len(samples.views) // NUM_PRINTS
    return frozenset(samples.take(range(0, len(samples), step)).paths())


def as_stored(spec: DataSpec, listing: Listing) -> DataSpec:
    """The spec completed from the source: label kind, class order, stored split.

    Excluded classes that a stored manifest no longer has are dropped.
    """
    spec = spec.changed({"labels": "multi" if listing.multi_label else "single"})
    if listing.order is not None and spec.order == "auto":
        order = tuple(name for name in listing.order if name not in spec.exclude_classes)
        spec = spec.changed({"order": order}) if order else spec
    if listing.stored is None:
        return spec
    if spec.split.stored is not None and Path(spec.split.stored).resolve() != listing.stored.resolve():
        raise DataError("DATA is a stored manifest with its own split; leave out data.split.stored")
    labels = {sample.label for sample in listing.samples}
    changes: dict[str, object] = {
        "split.stored": str(listing.stored),
        "exclude_classes": tuple(name for name in spec.exclude_classes if name in labels),
    }
    return spec.changed(changes)


def pictures_of(listing: Listing, samples: Samples) -> Iterator[str]:
    """Locators of the samples' pictures, then of those that the source has excluded by error findings."""
    yield from samples.paths()
    for finding in listing.findings:
        if finding.severity == "error":
            yield from finding.paths


def with_digests(findings: Sequence[Finding], facts: PictureFacts) -> list[Finding]:
    """The findings, with file digests added to errors, so that excluded files are recognised after renaming."""
    return [
        replace(finding, digests=tuple(facts.digest_of[path] for path in finding.paths if path in facts.digest_of))
        if finding.severity == "error"
        else finding
        for finding in findings
    ]


def handle_missing_views(samples: Samples, listing: Listing, spec: DataSpec) -> tuple[Samples, list[Finding]]:
    """The samples after `data.missing_view` is applied, and a finding for each sample that lacks a view."""
    keep = spec.missing_view == "keep" or (spec.missing_view == "auto" and listing.keeps_missing_views)
    findings, kept = [], []
    for sample in samples:
        missing = [view for view in listing.views if view not in sample.views]
        if missing and not listing.keeps_missing_views:
            message = f"No matching {' and '.join(missing)} for {_file_name(next(iter(sample.views.values())))}"
            findings.append(Finding("warning", "unpaired-view", message, tuple(sample.views.values())))
        kept.append(keep or not missing)
    return samples if all(kept) else samples.where(kept), findings


def _file_name(locator: str) -> str:
    """The file name of a picture in a folder or archive."""
    name, steps = parse_locator(locator)
    return (steps[-1][1] if steps else name).rpartition("/")[2]


def _without_unusable(samples: Samples, findings: Sequence[Finding], spec: DataSpec) -> Samples:
    """The samples without those that have a picture in an error finding.

    DataError when `data.on_bad_picture` is `stop`, or more than QUARANTINE_LIMIT of the samples are unusable.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return samples
    bad = {path for finding in errors for path in finding.paths}
    listed = "; ".join(f"{_examples(f.paths)} {f.message}" for f in errors[:5])
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    if spec.on_bad_picture == "stop":
        raise DataError(f"{len(errors)} unusable picture(s): {listed}{more}. Mend or remove them, or set "
                        "data.on_bad_picture=quarantine to train without them")  # fmt: skip
    kept = samples.where(bad.isdisjoint(sample.views.values()) for sample in samples)
    known = set(samples.paths())
    # Pictures that the source excluded itself never became samples, but count against the limit.
    never_sampled = sum(1 for finding in errors if known.isdisjoint(finding.paths))
    total, num_bad = len(samples) + never_sampled, len(samples) - len(kept) + never_sampled
    if num_bad > QUARANTINE_LIMIT * total and num_bad > 1:
        raise DataError(f"{num_bad} of {total} samples are unusable, more than quarantine allows "
                        f"({QUARANTINE_LIMIT:.0%}): {listed}{more}")  # fmt: skip
    return kept


def _examples(paths: Sequence[str]) -> str:
    return ", ".join(repr(path) for path in paths[:3]) + (" ..." if len(paths) > 3 else "")


def _explained(message: str, summary: str, findings: Sequence[Finding]) -> DataError:
    """A DataError whose details are the source's summary and the findings so far."""
    error = DataError(message)
    error.details = (summary, *finding_lines(findings, "`obverse check` lists them all"))
    return error


def _class_order(samples: Samples, spec: DataSpec, path: Path) -> tuple[tuple[str, ...], bool]:
    """Class names in label order, and whether the classes are ordered."""
    if spec.labels == "multi":
        return _classes_of_sets(samples, path), False
    names = tuple(sorted(set(samples.labels)))
    if isinstance(spec.order, tuple):
        unknown = [name for name in names if name not in spec.order]
        if unknown:
            raise DataError(f"data.order does not name the class(es) {', '.join(unknown)}")
        absent = [name for name in spec.order if name not in names]
        if absent:
            raise DataError(f"data.order names {', '.join(absent)}, and the data has no such class")
        return spec.order, True
    derived = grade_order(names) if spec.order == "auto" and not any(map(is_off_scale, names)) else None
    return (derived, True) if derived else (names, False)


def _classes_of_sets(samples: Samples, path: Path) -> tuple[str, ...]:
    """Class names of label sets. A single class is enough, because a sample may lack it."""
    names = tuple(sorted(class_counts(samples.labels, multi_label=True)))
    if not names:
        raise DataError(f"no sample in {str(path)!r} has a class: every label set is empty")
    return names


def _require_usable_splits(manifest: Manifest, summary: str, findings: Sequence[Finding]) -> None:
    counts = manifest.split_counts()
    for name in ("train", "val"):
        if counts[name] == 0:
            message = f"{len(manifest.samples)} samples leave none for `{name}`; give more pictures"
            raise _explained(message, summary, findings)
    if len(set(manifest.split("train").labels)) < 2:
        what = "different label sets" if manifest.multi_label else "classes"
        message = f"Need at least 2 {what} in train; give more pictures per class or other split fractions"
        raise _explained(message, summary, findings)
