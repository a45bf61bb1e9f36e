"""Groups of samples that no split divides: copies of one picture, and groups named in the data.

A digest split depends only on the group's key: its name in the data, else the content digest of its pictures. The key
does not depend on which members exist, so a further copy of a picture never moves a sample.

Only a new sample that links two groups can move samples: one that shares a view with each group, or copies a picture
into a named group. The key of the joined group is the least name, or the least digest if no group has a name. With a
stored split (`data.split.stored`) no sample moves even then.
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

# The ending of an id that is a path.
FILE_ENDING = re.compile(r"\.\w{1,5}$")


def group_by(samples: Samples, spec: GroupBy) -> tuple[Samples, list[Finding]]:
    """Samples grouped by the values of a column or by a pattern over ids, joined with their existing groups.

    An empty cell, or an id that the pattern does not match, gives no group. DataError when no sample gets a group.
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
    matches = (wanted.search(FILE_ENDING.sub("", composed(name))) for name in samples.ids)
    return tuple(match and match[1] for match in matches)


def group_duplicates(samples: Samples, digest_of: Mapping[str, str]) -> Samples:
    """Samples grouped by shared pictures, joined with their existing groups. digest_of: path -> digest."""
    return group_together(samples, (map(digest_of.__getitem__, s.views.values()) for s in samples))


def group_parts(samples: Samples, digest_of: Mapping[str, str]) -> Samples:
    """Samples grouped by the picture that they are, or are parts of, joined with their existing groups.

    The group's name is the digest of the whole picture, also for a single part, because other parts may be added later.
    A sample all of whose views are parts of one picture (`data.tiles`) counts as that picture.
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
    """Locators of the whole pictures of these views."""
    return {part_of(path)[0] for path in paths}


def _is_in_parts(sample: Sample) -> bool:
    """Whether other samples may be other parts of the same picture."""
    paths = sample.views.values()
    return any(part_of(path)[1] for path in paths) and (len(paths) == 1 or len(wholes_of(paths)) > 1)


def group_together(samples: Samples, ties: Iterable[Iterable[str]]) -> Samples:
    """The samples grouped by connected components: samples that share a key or an existing group are connected.

    ties: the keys of each sample, in the order of the samples.
    """
    parent = array("q", range(len(samples)))

    def find(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    # Union-find: `holder` is the first sample of each key, `parent` the forest.
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
    """Root of a component -> name of its group, for components of at least two samples."""
    shared = {root for place, root in enumerate(roots) if root != place}
    named: dict[int, set[str]] = defaultdict(set)
    digests: dict[int, set[str]] = defaultdict(set)
    for root, name, group, digest in zip(roots, samples.ids, samples.groups, samples.digests, strict=True):
        if root in shared:
            digests[root].add(digest or name)
            if group is not None:
                named[root].add(group)
    return {root: min(named.get(root) or least) for root, least in digests.items()}
