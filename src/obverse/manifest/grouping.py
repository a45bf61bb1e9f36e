"""Which samples belong together, so that no split parts them: copies of one picture, and groups the data names.

What decides a digest split is the group's key, and it does not depend on which members are there: the name that the
data gives, or else the content digest of the pictures. So a further copy of a picture never moves anything. Only a new
sample that links what was apart before (it shares one view with one sample and another with a second, or copies a
picture into a named group) can move those it links: the least name, and where there is none the least digest, is the
key of the whole chain. A stored split (`data.split.stored`) moves nothing even then.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from .samples import Samples


def group_duplicates(samples: Samples, digest_of: Mapping[str, str]) -> Samples:
    """Samples that share a picture get one group, together with the groups they have. digest_of: path -> digest."""
    return group_together(samples, (map(digest_of.__getitem__, s.views.values()) for s in samples))


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
    sizes = Counter(roots)
    named: dict[int, set[str]] = defaultdict(set)
    digests: dict[int, set[str]] = defaultdict(set)
    for root, name, group, digest in zip(roots, samples.ids, samples.groups, samples.digests, strict=True):
        if sizes[root] > 1:
            digests[root].add(digest or name)
            if group is not None:
                named[root].add(group)
    return {root: min(named.get(root) or found) for root, found in digests.items()}
