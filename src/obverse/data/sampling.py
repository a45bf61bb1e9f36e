"""How often an epoch shows each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from obverse.recipe import SamplerKind

# Number that decides how a sample is changed, usually the epoch's; and the sample's index.
Draw = tuple[int, int]

# A sample that an epoch shows again is changed as in an epoch that no run reaches, so that it is not the same picture.
ROUNDS_APART = 2**32
SHARE_POWER: dict[SamplerKind, float] = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}


class ClassSampling:
    """Classes by a power of their size: 1 as they are, 1/2 by the square root, 0 all alike (Kang et al. 2020).

    An epoch keeps its length. Within a class no sample comes once more before all have come as often; how many samples
    a class gets is rounded up or down at random, so that over epochs even the smallest gets its share.
    """

    def __init__(self, labels: Sequence[str], kind: SamplerKind) -> None:
        self.kind = kind
        _, class_N = np.unique(np.asarray(labels), return_inverse=True)
        places_N = np.argsort(class_N, kind="stable")
        self._members = np.split(places_N, np.cumsum(np.bincount(class_N))[:-1])

    def order(self, epoch: int, generator: np.random.Generator) -> list[Draw]:
        """As many turns as there are samples, shuffled."""
        num_samples = sum(map(len, self._members))
        sizes_K = np.array([len(members) for members in self._members]) ** SHARE_POWER[self.kind]
        ends_K = np.floor(num_samples * np.cumsum(sizes_K) / sizes_K.sum() + generator.random()).astype(int)
        ends_K[-1] = num_samples
        draws: list[Draw] = []
        for members, wanted in zip(self._members, np.diff(ends_K, prepend=0), strict=True):
            for repeat in range(-(-wanted // len(members))):
                num_drawn = min(len(members), wanted - repeat * len(members))
                draws += [(epoch + repeat * ROUNDS_APART, int(i)) for i in generator.permutation(members)[:num_drawn]]
        return [draws[place] for place in generator.permutation(num_samples)]
