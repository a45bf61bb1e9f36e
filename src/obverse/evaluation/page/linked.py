"""Predictions of a report in the form that its panels share, and the panels themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from obverse.evaluation.embedding_map import map_embeddings
from obverse.evaluation.predictions import Predictions
from obverse.report import Facet, Linked, Panel, Picture, Section, Text

from .choice import coded_answers

MOST_CLASSES = 1500
"""Classes up to which a page has the confusion matrix in its memory, a number per pair of classes."""
MOST_SAMPLES = 200_000
MOST_SETS = 60_000
"""Distinct label sets up to which a page numbers them."""
MOST_FACET_VALUES = 60
LEAST_MAPPED = 10


def linked_of(
    predictions: Predictions,
    album: Mapping[int, tuple[Picture, ...]],
    galleried: Sequence[int],
    facets: Sequence[Facet],
) -> Linked | None:
    """The predictions for the page; None where they would be too many.

    galleried: rows whose pictures are in galleries.
    """
    num, coded = len(predictions.ids), coded_answers(predictions)
    if num > MOST_SAMPLES or len(predictions.classes) > MOST_CLASSES or len(coded.sets or ()) > MOST_SETS:
        return None
    embeddings_ND, in_galleries = predictions.embeddings_ND, set(galleried)
    return Linked(
        classes=predictions.classes,
        ids=predictions.ids,
        truth_N=coded.truth_N,
        answers_N=coded.answers_N,
        confidence_N=predictions.confidence_N.astype(np.float32),
        sets=coded.sets,
        facets=(*(facet for facet in facets if 1 < len(facet.values) <= MOST_FACET_VALUES), *_own_facets(predictions)),
        positions_N2=map_embeddings(embeddings_ND) if embeddings_ND is not None and num >= LEAST_MAPPED else None,
        is_grouped=predictions.units.are_groups,
        album={row: pictures for row, pictures in album.items() if row not in in_galleries},
    )  # fmt: skip


def _own_facets(predictions: Predictions) -> list[Facet]:
    """Facets that follow from the predictions: whether the views agree."""
    answers = [predictions.view_answers(view) for view in predictions.view_probabilities]
    if len(answers) < 2:
        return []
    is_other_N = np.any([answer != answers[0] for answer in answers], axis=0)
    is_other_N = is_other_N.any(axis=1) if is_other_N.ndim == 2 else is_other_N
    is_whole_N = np.all([np.isfinite(alone_NK[:, 0]) for alone_NK in predictions.view_probabilities.values()], axis=0)
    codes_N = np.where(~is_whole_N, 2, is_other_N).astype(np.int64)
    return [Facet("views", ("agree", "disagree", "one is missing"), codes_N)]


def map_section(linked: Linked | None) -> Iterator[Section]:
    """The section of the map, where there is one."""
    if linked is not None and linked.positions_N2 is not None:
        sentence = (
            "Each point is a sample; samples that the model holds alike lie near each other. Only neighbourhoods mean "
            "something: distances between groups and the axes do not."
        )
        yield Section(
            "Map of the samples", (Text(sentence, is_quiet=True), Panel("map")), topic="map", needs_script=True
        )
