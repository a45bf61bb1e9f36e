"""Gate of exported files: a file is accepted only where its runtimes give the answers of torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from obverse.bundle import Bundle
from obverse.decisions import Rules
from obverse.engines import Session
from obverse.errors import RefusedError

from .graph import COLUMNS, PRESENT, Graph, Names
from .samples import Arrays, Samples, draw_samples
from .source import TrainedModel

MOST_PROBABILITY = 1e-4
# Largest difference of an outlier score, relative to 1 + its size: squared distances in single precision.
MOST_SCORE = 1e-3
MOST_LEVELS, MOST_VALUES = 1, 1e-4
NUM_WORST = 3


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

    num_other_rules: int
    """Samples whose set, decision or outlier score is not between the bounds of torch's."""

    num_samples: int
    worst: tuple[str, ...]
    """The samples of the largest differences, in words."""

    @property
    def is_equal(self) -> bool:
        """Whether all differences are within the limits."""
        pixels = self.levels <= MOST_LEVELS and self.values <= MOST_VALUES
        return pixels and self.probability <= MOST_PROBABILITY and self.num_other_answers == self.num_other_rules == 0

    @property
    def reason(self) -> str:
        """The differences in words."""
        return (
            f"{self.runtime} does not give this model's answers: probabilities differ by up to {self.probability:.2g}, "
            f"pixels by up to {self.levels} levels in {self.values:.3%} of values, {self.num_other_answers} of "
            f"{self.num_samples} answers differ, and of {self.num_other_rules} the set, the decision or the outlier "
            f"score; nothing was written. The worst are {', '.join(self.worst)}"
        )


@dataclass(frozen=True)
class Gate:
    """Samples with the answers of torch, which every runtime of an exported file must give."""

    graph: Graph
    names: Names
    samples: Samples
    expected: tuple[Arrays, ...]
    """Outputs and fitted pictures of torch, one dict per sample."""

    bounds: tuple[tuple[Arrays, Arrays], ...]
    """The lowest and highest set, decision and outlier score of each sample: those of prediction, in double precision,
    for inputs that are as wrong as the gate lets them be."""

    @classmethod
    def of(cls, model: TrainedModel) -> Self:
        """The gate of a model: torch's answers to samples of its data, or to generated ones."""
        graph, names = Graph(model.bundle, model.classifier).eval(), Names.of(model.bundle, model.classifier)
        samples = draw_samples(model.bundle, names, model.run)
        expected = tuple(_of_torch(graph, names, sample) for sample in samples.rows)
        return cls(graph, names, samples, expected, tuple(_bounds(model.bundle, expected)))

    def require(self, sessions: Sequence[Session]) -> str:
        """What was checked, in words. RefusedError, with the worst samples, where a runtime differs too much."""
        for session in sessions:
            parity = self.measure(session)
            if not parity.is_equal:
                raise RefusedError(parity.reason)
        runtimes = " and ".join(session.name for session in sessions)
        return f"{runtimes} gave torch's answers to {self.samples.words}"

    def measure(self, session: Session) -> Parity:
        """The largest differences of a runtime; of fitted pixels, where its file gives them."""
        probabilities, levels, num_values, num_changed, num_other = [], 0, 0, 0, 0
        are_outside = []
        for sample, wanted, (low, high) in zip(self.samples.rows, self.expected, self.bounds, strict=True):
            given = session.run(sample)
            is_inside = [((low[name] <= given[name]) & (given[name] <= high[name])).all() for name in low]
            are_outside.append(not all(is_inside))
            apart = np.abs(given["probabilities"] - wanted["probabilities"])
            probabilities.append(float(np.nan_to_num(apart, nan=np.inf).max()))
            num_other += not np.array_equal(given["answer"], wanted["answer"])
            for name in set(self.names.pixels) & given.keys():
                change = np.abs(given[name].astype(int) - wanted[name].astype(int))
                levels = max(levels, int(change.max()))
                num_values, num_changed = num_values + change.size, num_changed + int((change > 0).sum())
        worst = self._worst(probabilities, are_outside)
        share, num = num_changed / max(1, num_values), len(self.expected)
        return Parity(session.name, max(probabilities), levels, share, num_other, sum(are_outside), num, worst)

    def _worst(self, differences: Sequence[float], are_outside: Sequence[bool]) -> tuple[str, ...]:
        """The samples of the largest differences in words, those first for which the rules give something else."""
        places = map(int, np.lexsort((differences, are_outside))[::-1][:NUM_WORST])
        return tuple(f"picture {place} of {self._sizes(place)} pixels ({differences[place]:.2g})" for place in places)

    def _sizes(self, place: int) -> str:
        """The sizes of a sample's views, (height x width) each."""
        sample = self.samples.rows[place]
        return " and ".join("x".join(map(str, sample[view].shape[1:3])) for view in self.names.views)


def _of_torch(graph: Graph, names: Names, sample: Arrays) -> Arrays:
    views = tuple(torch.from_numpy(sample[view]) for view in names.views)
    more = (torch.from_numpy(sample[name]) if name in sample else None for name in (PRESENT, COLUMNS))
    with torch.no_grad():
        outputs = graph(views, *more)
    return _arrays(dict(zip((*names.outputs, *names.pixels), outputs, strict=True)))


def _bounds(bundle: Bundle, expected: Sequence[Arrays]) -> Iterator[tuple[Arrays, Arrays]]:
    """Yield the bounds of each sample."""
    rules = Rules(bundle.output, bundle.detector, torch.float64)
    for wanted in expected:
        probabilities, confidence, embeddings = (
            torch.tensor(wanted[name], dtype=torch.float64) for name in ("probabilities", "confidence", "embeddings")
        )
        low, high = rules.bounds(
            probabilities,
            torch.from_numpy(wanted["answer"]),
            confidence,
            embeddings,
            slack=MOST_PROBABILITY,
            score_slack=MOST_SCORE,
        )
        yield _arrays(low), _arrays(high)


def _arrays(tensors: dict[str, torch.Tensor]) -> Arrays:
    return {name: tensor.numpy() for name, tensor in tensors.items()}
