"""What a report of this kind does not have, and why, so that nobody looks for it in vain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from obverse.evaluation.predictions import Predictions
from obverse.report import Row, Section, Table

from .order import topic_of

OF_FOLDS = "each fold has its own; see the reports in the folders fold-0, fold-1 ..."
OF_MEMBERS = "each member has its own; see the reports of the members"
TITLE = "Not in this report"


def absent_section(predictions: Predictions, facts: Mapping[str, str], sections: Iterable[Section]) -> Section:
    """The section, empty where nothing is missing. facts: `folds` and `members` say what the model is."""
    topics = {topic_of(section) for section in sections if section.blocks}
    rows: list[Row] = [(part, why) for topic, part, why in _reasons(predictions, facts) if topic not in topics]
    return Section(TITLE, (Table(("part", "why"), tuple(rows)),) if rows else (), topic="absent")


def _reasons(predictions: Predictions, facts: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (topic, its name, why it may be missing)."""
    is_folded = "folds" in facts
    one_label = "it needs one label per sample; the table of classes and the surest wrong decisions say what goes wrong"
    yield "confusion", "confusion matrix", one_label if predictions.kind.is_set else "there are no labels"
    yield "views", "comparison of views", "the samples have one view"
    yield "acceptance", "accept, review, reject", OF_FOLDS if is_folded else "nothing was fitted for them on val"
    yield "maps", "maps of important places", OF_FOLDS if is_folded else "none were asked for (`evaluation.maps`)"
    no_map = "the models of the folds have different embeddings" if is_folded else "there are no embeddings to draw"
    yield "map", "map of the samples", no_map
    curves = OF_FOLDS if is_folded else OF_MEMBERS if "members" in facts else "nothing is known of the training"
    yield "training", "training curves", curves
