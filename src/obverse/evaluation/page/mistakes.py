"""Galleries of a report: the surest mistakes, the least sure right answers, the most confused classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from obverse.evaluation.predictions import Predictions
from obverse.report import Block, Facet, Gallery, Item, Linked, Panel, Picture, Section, Text

from .choice import Chosen

DECISION = "decision"
"""Facet that galleries show; the script has the same name."""
Album = Mapping[int, tuple[Picture, ...]]


def gallery_sections(
    predictions: Predictions, chosen: Chosen, album: Album, *, num_wrong: int, linked: Linked | None
) -> Iterator[Section]:
    """The galleries that have items. linked: the predictions that the panel of all answers shares; None without one."""
    items = items_of(predictions, chosen.rows, album, facets=() if linked is None else linked.facets)

    def gallery(rows: Sequence[int]) -> Gallery:
        return Gallery(tuple(items[row] for row in rows))

    first = gallery(chosen.mistakes)
    look: list[Block] = [Panel("answers", (first,))] if linked else [first]
    if chosen.mistakes:
        sentence = (
            f"{len(chosen.mistakes)} of {num_wrong} mistakes, the surest first: a wrong label often hides among them."
        )
        title = "Samples with the surest mistakes" if predictions.kind.is_set else "Surest mistakes"
        yield Section(title, (Text(sentence), *look), topic="mistakes")
    elif linked:
        yield Section("All answers are right", tuple(look), topic="mistakes", needs_script=True)
    if chosen.pairs:
        blocks = [block for name, rows in chosen.pairs for block in (Text(name), gallery(rows))]
        yield Section("Most confused classes", (*blocks,), topic="mistakes")
    if chosen.unsure:
        sure = "score" if predictions.kind.is_set else "probability"
        sentence = f"Right, but with the lowest {sure}: little would be needed for another answer."
        yield Section("Least sure right answers", (Text(sentence), gallery(chosen.unsure)), topic="mistakes")


def items_of(
    predictions: Predictions, rows: Sequence[int], album: Album, *, facets: Sequence[Facet] = ()
) -> dict[int, Item]:
    """Row -> the sample with its pictures, its label, its answer and the decision on it."""
    known_N, answers, confidence_N = predictions.known_N, predictions.answers, predictions.confidence_N
    decisions = [facet for facet in facets if facet.name == DECISION]
    return {
        row: Item(
            predictions.ids[row],
            album.get(row, ()),
            label=_name(predictions, predictions.truth[row]) if known_N[row] else "unknown",
            answer=_name(predictions, answers[row]),
            confidence=float(confidence_N[row]),
            tags=tuple(facet.values[int(facet.codes_N[row])] for facet in decisions),
            row=row,
        )
        for row in rows
    }


def _name(predictions: Predictions, value: Any) -> str:
    """The name of a class, or the names of a set of classes."""
    if predictions.kind.is_set:
        return ", ".join(predictions.classes[k] for k in np.flatnonzero(value)) or "none"
    return predictions.classes[int(value)]
