"""All findings about a data set, in one list, for `obverse check`.

No finding stops the check. Training runs some of the same detectors in `index.py`, and stops at errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from obverse.cpus import num_allowed_cpus
from obverse.imaging import Sandbox, joint_digest
from obverse.manifest.classes import without_excluded
from obverse.manifest.index import as_stored, handle_missing_views, pictures_of, usual_use, with_digests
from obverse.manifest.label_sets import class_counts
from obverse.manifest.prepared import changed_pictures
from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.manifest.sources import Listing, read_source
from obverse.manifest.store import PictureStore
from obverse.manifest.too_few import Stages, too_few_classes
from obverse.manifest.verify import (
    PictureFacts,
    class_findings,
    copy_findings,
    copy_groups,
    duplicate_findings,
    format_findings,
    name_findings,
    near_copies,
    near_duplicate_findings,
    parts_findings,
    scene_findings,
    shortcut_findings,
    swapped_findings,
    tree_findings,
    verify_pictures,
)
from obverse.recipe import DataSpec

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Check:
    """Result of checking a data set."""

    data: str
    """The path as it was given."""

    summary: str
    """The source's layout, in one line."""

    layout: str
    """Name of the layout, as `--layout` takes it."""

    views: tuple[str, ...]
    """Names of the views of a sample."""

    num_samples: int

    num_pictures: int

    classes: dict[str, int] = field(hash=False)
    """Class -> number of samples that have it; a sample of multi-label data counts once for each of its classes."""

    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""

    store: PictureStore
    """Where the pictures are read from."""

    multi_label: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Severity -> number of findings."""
        counted = Counter(finding.severity for finding in self.findings)
        return {severity: counted[severity] for severity in SEVERITIES}

    def _repr_html_(self) -> str:
        """HTML of the findings for a notebook."""
        from .check_table import check_fragment  # which imports this module

        return check_fragment(self)


def check_data(
    path: Path,
    spec: DataSpec,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    advisory: bool = True,
    sandbox: Sandbox | None = None,
) -> Check:
    """Result of all detectors on the data at `path`. Raises DataError only when the source cannot be read at all.

    progress: called with the number of pictures verified so far and their total.
    advisory: also report near duplicates, exchanged views and shortcuts, which are found by a score.
    sandbox: a running sandbox to decode in; None starts one and closes it afterwards.
    """
    listing = read_source(path, spec)
    store = PictureStore(listing.root)
    spec = as_stored(spec, listing)
    everything, excluded = without_excluded(Samples.of(listing.samples), spec)
    samples, unpaired = handle_missing_views(everything, listing, spec)
    stages = Stages(Samples.of(listing.samples), everything, samples)
    pictures = list(pictures_of(listing, everything))
    with nullcontext(sandbox) if sandbox else Sandbox(num_allowed_cpus()) as running:
        facts = verify_pictures(store, pictures, progress, details=True, use=usual_use(spec), sandbox=running)
    classes = class_counts(samples.labels, multi_label=listing.multi_label)
    findings = [
        *with_digests(listing.findings, facts),
        *excluded,
        *facts.findings,
        *_changed(samples, facts),
        *unpaired,
        *(tree_findings(path) if path.is_dir() else ()),
        *name_findings(everything.paths()),
        *format_findings(facts),
        *duplicate_findings(samples, facts, multi_label=listing.multi_label),
        *_too_few_classes(classes, listing, stages, spec, str(path)),
        *class_findings(samples, spec),
        *copy_findings(samples, copy_groups(samples), grouped=spec.split.group_duplicates),
        *parts_findings(samples),
        *(scene_findings(samples) if spec.split.group_by is None else ()),
        *(_advisory(samples, facts, listing) if advisory else ()),
    ]
    return Check(
        str(path),
        listing.summary,
        listing.layout,
        listing.views,
        len(samples),
        len(facts.paths),
        dict(sorted(classes.items())),
        tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        store,
        listing.multi_label,
    )


def _changed(samples: Samples, facts: PictureFacts) -> list[Finding]:
    """Findings for samples that differ from the digest in their prepared manifest; none where it has no digests."""
    digest_of = facts.digest_of
    known = (s.digest is not None and all(path in digest_of for path in s.views.values()) for s in samples)
    samples = samples.where(known) if any(samples.digests) else samples.take(())
    digests = [joint_digest(digest_of[path] for path in sample.views.values()) for sample in samples]
    return changed_pictures(samples.with_columns(digests=digests), samples.digests)


def _too_few_classes(
    classes: Collection[str], listing: Listing, stages: Stages, spec: DataSpec, title: str
) -> list[Finding]:
    if listing.multi_label:
        message = "every label set is empty: give the samples that have a class their classes"
        return [] if classes else [Finding("error", "too-few-classes", message)]
    if len(classes) >= 2:
        return []
    return [Finding("error", "too-few-classes", too_few_classes(classes, listing, stages, spec, title))]


def _advisory(samples: Samples, facts: PictureFacts, listing: Listing) -> list[Finding]:
    return [
        *near_duplicate_findings(samples, facts, near_copies(samples, facts)),
        *swapped_findings(samples, facts, listing.views),
        # Shortcuts are searched with one class per sample; multi-label samples have no single class.
        *(() if listing.multi_label else shortcut_findings(samples, facts)),
    ]
