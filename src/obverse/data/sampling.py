"""Class-balanced sampling: how often each class occurs in an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obverse.recipe import SamplerKind

# Rows of (epoch number that seeds the augmentation, index of the sample), int64 (N, 2).
Draws = npt.NDArray[np.int64]

# A repeated sample takes its augmentation from an epoch number that no run reaches, so that the pictures differ.
ROUNDS_APART = 2**32
SHARE_POWER: dict[SamplerKind, float] = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}


class ClassSampling:
    """Sampling of classes by a power of their size: 1 natural, 1/2 square root, 0 balanced (Kang et al. 2020).

    The length of an epoch does not change. Within a class, no sample is repeated before all others have occurred as
    often. The number of samples of a class is rounded up or down at random, so that over epochs even the smallest class
    gets its share.
    """

    def __init__(self, labels: Sequence[str], kind: SamplerKind) -> None:
        self.kind = kind
        _, class_N = np.unique(np.asarray(labels), return_inverse=True)
        places_N = np.argsort(class_N, kind="stable")
        self._members = np.split(places_N, np.cumsum(np.bincount(class_N))[:-1])

    def order(self, epoch: int, generator: np.random.Generator) -> Draws:
        """Shuffled draws of one epoch, as many as there are samples."""
        num_samples = sum(map(len, self._members))
        sizes_K = np.array([len(members) for members in self._members]) ** SHARE_POWER[self.kind]
        ends_K = np.floor(num_samples * np.cumsum(sizes_K) / sizes_K.sum() + generator.random()).astype(int)
        ends_K[-1] = num_samples
        parts: list[Draws] = []
        for members, wanted in zip(self._members, np.diff(ends_K, prepend=0), strict=True):
            for repeat in range(-(-wanted // len(members))):
                num_drawn = min(len(members), wanted - repeat * len(members))
                parts.append(draws(epoch + repeat * ROUNDS_APART, generator.permutation(members)[:num_drawn]))
        return np.concatenate(parts)[generator.permutation(num_samples)]


def draws(epoch: int, indices_N: npt.NDArray[np.int64]) -> Draws:
    """Draws of samples in one epoch."""
    return np.stack([np.full(len(indices_N), epoch, np.int64), indices_N], axis=1)
