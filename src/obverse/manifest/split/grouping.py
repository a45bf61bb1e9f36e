"""Which samples belong together, so that no split parts them: copies of one picture, and groups the data names.

What decides a digest split is the group's key, and it does not depend on which members are there: the name that the
data gives, or else the content digest of the pictures. So a further copy of a picture never moves anything. Only a new
sample that links what was apart before (it shares one view with one sample and another with a second, or copies a
picture into a named group) can move those it links: the least name, and where there is none the least digest, is the
key of the whole chain. A stored split (`data.split.stored`) moves nothing even then.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping

from obverse.errors import DataError
from obverse.manifest.names import composed
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Column, Samples
from obverse.manifest.store import part_of
from obverse.recipe import GroupBy, did_you_mean

# An id ends like its file when it is a path.
FILE_ENDING = re.compile(r"\.\w{1,5}$")


def group_by(samples: Samples, spec: GroupBy) -> tuple[Samples, list[Finding]]:
    """Samples with one name by a column or a pattern get one group, together with the groups they have.

    An empty cell and an id that the pattern does not match give no group.
    """
    names = _by_column(samples, spec.column) if spec.column is not None else _by_pattern(samples, spec.pattern or "")
    num_without = sum(1 for name in names if not name)
    how = f"data.split.group_by.{'pattern' if spec.column is None else 'column'}"
    if num_without == len(samples):
        raise DataError(f"{how}: no sample gets a group, for example {samples.ids[0]!r}")
    message = f"{how}: {len(samples)} samples in {len(set(names) - {None, ''})} groups"
    message += f", and {num_without} without one" if num_without else ""
    ties = ((f"{how} {name}",) if name else () for name in names)
    named = samples.with_columns(groups=(g or n or None for g, n in zip(samples.groups, names, strict=True)))
    return group_together(named, ties), [Finding("note", "groups", message)]


def _by_column(samples: Samples, column: str) -> Column:
    if column not in samples.extra:
        known = list(samples.extra)
        listed = f"the further columns are {', '.join(known)}" if known else "the data has no further columns"
        raise DataError(f"data.split.group_by.column: no column {column!r}{did_you_mean(column, known)}; {listed}")
    return samples.extra[column]


def _by_pattern(samples: Samples, pattern: str) -> Column:
    wanted = re.compile(composed(pattern))
    found = (wanted.search(FILE_ENDING.sub("", composed(name))) for name in samples.ids)
    return tuple(match and match[1] for match in found)


def group_duplicates(samples: Samples, digest_of: Mapping[str, str]) -> Samples:
    """Samples that share a picture get one group, together with the groups they have. digest_of: path -> digest."""
    return group_together(samples, (map(digest_of.__getitem__, s.views.values()) for s in samples))


def group_parts(samples: Samples, digest_of: Mapping[str, str]) -> Samples:
    """Samples that are parts of one picture get one group, together with the groups they have, and with the samples
    that are the whole picture.

    The group's name is the whole picture's digest, also for a part that is alone: its other parts may come later. A
    sample all of whose views are parts of one picture (`data.tiles`) is that picture.
    """
    if not any("::" in path and part_of(path)[1] for path in samples.paths()):
        return samples
    wholes = [[digest_of.get(whole, whole) for whole in wholes_of(sample.views.values())] for sample in samples]
    groups = [
        group or (min(held) if _is_in_parts(sample) else None)
        for group, held, sample in zip(samples.groups, wholes, samples, strict=True)
    ]
    return group_together(samples.with_columns(groups=groups), wholes)


def wholes_of(paths: Iterable[str]) -> set[str]:
    """The pictures that the views are, or are parts of."""
    return {part_of(path)[0] for path in paths}


def _is_in_parts(sample: Sample) -> bool:
    """Whether another sample may have other parts of the same pictures."""
    paths = sample.views.values()
    return any(part_of(path)[1] for path in paths) and (len(paths) == 1 or len(wholes_of(paths)) > 1)


def group_together(samples: Samples, ties: Iterable[Iterable[str]]) -> Samples:
    """Samples that share a tie or a group, directly or through others, get one group. ties: some for each sample."""
    parent = array("q", range(len(samples)))

    def find(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    holder: dict[tuple[str, str] | str, int] = {}
    for place, (tied, group) in enumerate(zip(ties, samples.groups, strict=True)):
        keys: Iterable[tuple[str, str] | str] = tied if group is None else (*tied, ("group", group))
        for key in keys:
            parent[find(place)] = find(holder.setdefault(key, place))
    del holder
    roots = array("q", map(find, range(len(samples))))
    names = _names(samples, roots)
    return samples.with_columns(
        groups=(names.get(root, group) for root, group in zip(roots, samples.groups, strict=True))
    )


def _names(samples: Samples, roots: array[int]) -> dict[int, str]:
    """Root -> name, for the groups of two and more."""
    shared = {root for place, root in enumerate(roots) if root != place}
    named: dict[int, set[str]] = defaultdict(set)
    digests: dict[int, set[str]] = defaultdict(set)
    for root, name, group, digest in zip(roots, samples.ids, samples.groups, samples.digests, strict=True):
        if root in shared:
            digests[root].add(digest or name)
            if group is not None:
                named[root].add(group)
    return {root: min(named.get(root) or found) for root, found in digests.items()}
