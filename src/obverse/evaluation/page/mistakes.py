"""Galleries of a report: the surest mistakes, the least sure right answers, the most confused classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from obverse.evaluation.predictions import Predictions
from obverse.report import Block, Gallery, Item, Panel, Picture, Section, Text

from .choice import Chosen, confidences

LOOK = (
    "Choose a class, a result, a range of probabilities: the pictures, the table of classes, the confusion matrix and "
    "the curves on this page follow."
)
Album = Mapping[int, tuple[Picture, ...]]


def gallery_sections(
    predictions: Predictions, chosen: Chosen, album: Album, *, num_wrong: int, is_linked: bool
) -> Iterator[Section]:
    """The galleries that have items. is_linked: whether the page has the panel of all answers."""
    items = {row: item_of(predictions, row, album) for row in chosen.rows}

    def gallery(rows: Sequence[int]) -> Gallery:
        return Gallery(tuple(items[row] for row in rows))

    first = gallery(chosen.mistakes)
    look: list[Block] = [Text(LOOK, is_quiet=True), Panel("answers", (first,))] if is_linked else [first]
    if chosen.mistakes:
        sentence = (
            f"{len(chosen.mistakes)} of {num_wrong} mistakes, the surest first: a wrong label often hides among them."
        )
        title = "Samples with the surest mistakes" if predictions.kind.is_set else "Surest mistakes"
        yield Section(title, (Text(sentence), *look), topic="mistakes")
    elif is_linked:
        yield Section("All answers are right", tuple(look), topic="mistakes", needs_script=True)
    if chosen.pairs:
        blocks = [block for name, rows in chosen.pairs for block in (Text(name), gallery(rows))]
        yield Section("Most confused classes", (*blocks,), topic="mistakes")
    if chosen.unsure:
        sentence = "Right, but with the lowest probability: little would be needed for another answer."
        yield Section("Least sure right answers", (Text(sentence), gallery(chosen.unsure)), topic="mistakes")


def item_of(predictions: Predictions, row: int, album: Album) -> Item:
    """A sample with its pictures, its label and its answer."""
    is_known = bool(predictions.known_N[row])
    return Item(
        predictions.ids[row],
        album.get(row, ()),
        label=_name(predictions, predictions.truth[row]) if is_known else "unknown",
        answer=_name(predictions, predictions.answers[row]),
        confidence=float(confidences(predictions)[row]),
        row=row,
    )


def _name(predictions: Predictions, value: Any) -> str:
    """The name of a class, or the names of a set of classes."""
    if predictions.kind.is_set:
        return ", ".join(predictions.classes[k] for k in np.flatnonzero(value)) or "none"
    return predictions.classes[int(value)]
