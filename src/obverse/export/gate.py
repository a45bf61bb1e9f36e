"""Gate of exported files: a file is accepted only where its runtimes give the answers of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle
from obverse.errors import RefusedError

from .graph import Graph, Names

NUM_SAMPLES = 200
MOST_PROBABILITY = 1e-4
MOST_LEVELS, MOST_VALUES = 1, 1e-4
NUM_WORST = 3
Arrays = dict[str, npt.NDArray[Any]]


class Session(Protocol):
    """A model in a runtime: named arrays in, named arrays out."""

    name: str

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name."""


@dataclass(frozen=True)
class Parity:
    """Largest differences of a runtime from torch over all samples."""

    runtime: str
    probability: float
    levels: int
    """Largest difference of a fitted pixel."""

    values: float
    """Share of pixel values that differ."""

    num_other_answers: int
    worst: tuple[str, ...]
    """The samples of the largest differences, in words."""

    @property
    def is_equal(self) -> bool:
        """Whether all differences are within the limits."""
        pixels = self.levels <= MOST_LEVELS and self.values <= MOST_VALUES
        return pixels and self.probability <= MOST_PROBABILITY and self.num_other_answers == 0

    @property
    def reason(self) -> str:
        """The differences in words."""
        return (
            f"{self.runtime} does not give this model's answers: probabilities differ by up to {self.probability:.2g}, "
            f"pixels by up to {self.levels} levels in {self.values:.3%} of values, and {self.num_other_answers} of "
            f"{NUM_SAMPLES} answers differ; nothing was written. The worst are {', '.join(self.worst)}"
        )


def require_parity(graph: Graph, names: Names, bundle: Bundle, sessions: Sequence[Session]) -> None:
    """RefusedError, with the worst samples, where the differences of a runtime are above the limits."""
    for parity in measure_parity(graph, names, bundle, sessions):
        if not parity.is_equal:
            raise RefusedError(parity.reason)


def measure_parity(graph: Graph, names: Names, bundle: Bundle, sessions: Sequence[Session]) -> list[Parity]:
    """The differences of every runtime from torch over the same generated samples."""
    samples = [_sample(names, bundle, number) for number in range(NUM_SAMPLES)]
    expected = [_of_torch(graph, names, sample) for sample in samples]
    return [_compared(session, names, samples, expected) for session in sessions]


def _sample(names: Names, bundle: Bundle, number: int) -> Arrays:
    """A sample of smooth pictures with edges, of odd sizes, the same for each number; some views are missing."""
    rng = np.random.default_rng([2026, number])
    arrays: Arrays = {}
    for view in names.views:
        height, width = (int(side) for side in rng.integers(17, 700, 2))
        coarse = rng.integers(0, 256, (1, 3, *rng.integers(2, 24, 2)))
        mode = "nearest" if number % 3 == 0 else "bicubic"
        large = torch.nn.functional.interpolate(torch.from_numpy(coarse).float(), (height, width), mode=mode)
        noisy = large[0].permute(1, 2, 0).numpy() + rng.normal(0, 8, (height, width, 3))
        arrays[view] = noisy.clip(0, 255).astype(np.uint8)[None]
    if "present" in names.more_inputs:
        present = rng.random((1, len(names.views))) < 0.7
        present[0, int(rng.integers(len(names.views)))] = True
        arrays["present"] = present
    if "columns" in names.more_inputs:
        codes = [rng.integers(0, column.size + 1) if column.size else rng.normal() for column in bundle.columns]
        arrays["columns"] = np.array([codes], np.float32)
    return arrays


def _of_torch(graph: Graph, names: Names, sample: Arrays) -> Arrays:
    views = tuple(torch.from_numpy(sample[view]) for view in names.views)
    more = (torch.from_numpy(sample[name]) if name in sample else None for name in ("present", "columns"))
    with torch.no_grad():
        outputs = graph(views, *more)
    return {name: tensor.numpy() for name, tensor in zip((*names.outputs, *names.pixels), outputs, strict=True)}


def _compared(session: Session, names: Names, samples: Sequence[Arrays], expected: Sequence[Arrays]) -> Parity:
    probabilities, levels, num_values, num_changed, num_other = [], 0, 0, 0, 0
    for sample, wanted in zip(samples, expected, strict=True):
        given = session.run(sample)
        apart = np.abs(given["probabilities"] - wanted["probabilities"])
        probabilities.append(float(np.nan_to_num(apart, nan=np.inf).max()))
        num_other += not np.array_equal(given["answer"], wanted["answer"])
        for name in names.pixels:
            change = np.abs(given[name].astype(int) - wanted[name].astype(int))
            levels = max(levels, int(change.max()))
            num_values, num_changed = num_values + change.size, num_changed + int((change > 0).sum())
    order = np.argsort(probabilities)[::-1][:NUM_WORST]
    worst = tuple(
        f"picture {place} of {_sizes(samples[place], names)} pixels ({probabilities[place]:.2g})"
        for place in map(int, order)
    )
    return Parity(session.name, max(probabilities), levels, num_changed / num_values, num_other, worst)


def _sizes(sample: Arrays, names: Names) -> str:
    """The sizes of a sample's views, (height x width) each."""
    return " and ".join("x".join(map(str, sample[view].shape[1:3])) for view in names.views)
