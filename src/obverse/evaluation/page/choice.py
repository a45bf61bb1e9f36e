"""Choice of the samples whose pictures a report shows, most telling first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from obverse.evaluation.predictions import Predictions
from obverse.metrics import IntArray
from obverse.report import Picture

Thumbnails = Callable[[int], tuple[Picture, ...]]
"""Pictures of a row of the predictions, one per view, at most 96 pixels wide and high."""

NUM_MISTAKES, NUM_UNSURE, NUM_PAIRS, NUM_PER_PAIR = 24, 12, 6, 4
MOST_PICTURES = 600
"""Thumbnails of a page, so that it stays small."""


@dataclass(frozen=True)
class Chosen:
    """Rows of the galleries; no row is in two of them."""

    mistakes: tuple[int, ...]
    """The surest wrong answers."""

    unsure: tuple[int, ...]
    """The least sure right answers."""

    pairs: tuple[tuple[str, tuple[int, ...]], ...]
    """The pairs of classes that are confused most often, in words, with further samples of each."""

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows, most telling first."""
        return (*self.mistakes, *self.unsure, *(row for _, rows in self.pairs for row in rows))


@dataclass(frozen=True, eq=False)
class Coded:
    """Truth and answers with one number per sample."""

    truth_N: IntArray
    """Class, or index of the set of classes; -1 where unknown."""

    answers_N: IntArray

    sets: tuple[tuple[int, ...], ...] | None = None
    """The classes of each index; None where each sample has one class."""


def coded_answers(predictions: Predictions) -> Coded:
    """Truth and answers; for label sets as indices of the distinct sets."""
    if not predictions.kind.is_set:
        return Coded(predictions.truth, predictions.answers)
    both_MK = np.concatenate([predictions.truth, predictions.answers])
    # Packed, because sorting rows of single bits is slow.
    _, first, codes_M = np.unique(np.packbits(both_MK, axis=1), axis=0, return_index=True, return_inverse=True)
    truth_N, answers_N = np.split(codes_M.reshape(-1).astype(np.int64), 2)
    return Coded(truth_N, answers_N, tuple(tuple(np.flatnonzero(row_K).tolist()) for row_K in both_MK[first]))


def choose_rows(predictions: Predictions, mistakes_M: IntArray) -> Chosen:
    """The rows of the galleries. mistakes_M: rows of wrong answers, the surest first."""
    right_M = np.flatnonzero(predictions.known_N & predictions.is_right_N)
    unsure_M = right_M[np.argsort(predictions.confidence_N[right_M], kind="stable")][:NUM_UNSURE]
    first = tuple(mistakes_M[:NUM_MISTAKES].tolist())
    pairs = () if predictions.kind.is_set else tuple(_confused_pairs(predictions, mistakes_M[NUM_MISTAKES:]))
    return Chosen(first, tuple(unsure_M.tolist()), pairs)


def take_album(
    predictions: Predictions, rows: Sequence[int], thumbnails: Thumbnails, *, num: int
) -> Mapping[int, tuple[Picture, ...]]:
    """Row -> pictures: those of `rows`, then some of each cell of the confusion matrix, up to the limit.

    rows: samples in galleries, the most telling first. num: pictures that the page has already.
    """
    album: dict[int, tuple[Picture, ...]] = {}
    for row in (*rows, *_spread(predictions, set(rows))):
        pictures = thumbnails(row)
        num += len(pictures)
        if num > MOST_PICTURES:
            break
        album[row] = pictures
    return album


def _spread(predictions: Predictions, taken: set[int]) -> Iterable[int]:
    """Further rows: the first of every pair of label and answer, then the second of each, and so on."""
    coded = coded_answers(predictions)
    pairs_N = coded.truth_N * (1 + coded.answers_N.max(initial=0)) + coded.answers_N
    order_N = np.argsort(pairs_N, kind="stable")
    _, starts, counts = np.unique(pairs_N[order_N], return_index=True, return_counts=True)
    number_N = np.arange(len(order_N)) - np.repeat(starts, counts)
    return [row for row in order_N[np.argsort(number_N, kind="stable")].tolist() if row not in taken]


def _confused_pairs(predictions: Predictions, mistakes_M: IntArray) -> Iterable[tuple[str, tuple[int, ...]]]:
    """The most frequent pairs among further mistakes, with their surest rows; none that occurs only once."""
    truth_M, answers_M = predictions.truth[mistakes_M], predictions.answers[mistakes_M]
    codes_M = truth_M * len(predictions.classes) + answers_M
    codes, counts = np.unique(codes_M, return_counts=True)
    often_M = np.argsort(-counts, kind="stable")[: min(NUM_PAIRS, int((counts > 1).sum()))]
    for code in codes[often_M].tolist():
        true, answer = divmod(code, len(predictions.classes))
        rows = tuple(mistakes_M[codes_M == code][:NUM_PER_PAIR].tolist())
        yield f"{predictions.classes[true]} taken for {predictions.classes[answer]}", rows
