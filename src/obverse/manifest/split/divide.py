"""Division of verified samples into splits: groups are formed, stored splits are kept, and the rest is assigned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from obverse.errors import DataError
from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.manifest.verify import (
    PictureFacts,
    copy_findings,
    copy_groups,
    near_copies,
    near_ties,
    parts_findings,
    scene_findings,
)
from obverse.recipe import SplitSpec

from .grouping import group_by, group_duplicates, group_parts, group_together
from .split import assign_splits
from .split_report import split_findings
from .stored import keep_stored


def divide(
    samples: Samples,
    spec: SplitSpec,
    digest_of: Mapping[str, str],
    *,
    is_prepared: bool = False,
    multi_label: bool = False,
) -> tuple[Samples, list[Finding]]:
    """The samples, each with a split, and findings about the split.

    digest_of: path -> content digest.
    is_prepared: the samples come from a prepared manifest; a split that has no sample there stays empty.
    """
    samples, findings = tie_together(samples, spec, digest_of)
    if spec.stored is not None:
        samples = keep_stored(samples, Path(spec.stored))
    if (is_prepared or spec.stored is not None) and spec.folds is None and None not in samples.splits:
        return samples, findings  # the splits were chosen deliberately, perhaps without a test split
    findings += scene_findings(samples) if spec.group_by is None else []
    done = assign_splits(samples, spec, multi_label=multi_label)
    return done, [*findings, *split_findings(samples, done, spec, multi_label=multi_label)]


def tie_together(samples: Samples, spec: SplitSpec, digest_of: Mapping[str, str]) -> tuple[Samples, list[Finding]]:
    """The samples with their groups assigned, and findings about the groups. A split never divides a group.

    Groups are those of `data.split.group_by`, parts of one picture, and copies of one picture.
    """
    findings: list[Finding] = []
    if spec.group_by is not None:
        samples, findings = group_by(samples, spec.group_by)
    findings += parts_findings(samples)
    samples = group_parts(samples, digest_of)
    if spec.group_duplicates:
        samples = group_duplicates(samples, digest_of)
        copies = copy_groups(samples)
        findings += copy_findings(samples, copies, grouped=True)
        if copies:
            ties = ((f"copies of {copies[place]}",) if place in copies else () for place in range(len(samples)))
            samples = group_together(samples, ties)
    return samples, findings


def groups_of_other_data(samples: Samples, spec: SplitSpec, facts: PictureFacts) -> Samples:
    """The samples of an evaluation with the groups that training would give them.

    `spec.group_by` is ignored if it does not apply to these samples, because it was written for the run's own data.
    """
    if spec.group_near_duplicates:
        samples = group_together(samples, near_ties(samples, facts, near_copies(samples, facts)))
    try:
        return tie_together(samples, spec, facts.digest_of)[0]
    except DataError:
        return tie_together(samples, spec.changed({"group_by": None}), facts.digest_of)[0]
