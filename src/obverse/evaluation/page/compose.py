"""The page of an evaluation, put together from the sections of all topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.predictions import Predictions
from obverse.report import Block, Facet, Gallery, Item, Page, Picture, Section

from .absent import absent_section
from .card import model_card, reproduction_section
from .choice import Thumbnails, choose_rows, take_album
from .judged import Judged
from .linked import linked_of, map_section
from .mistakes import gallery_sections
from .opening import opening, title_of
from .order import in_order
from .risk import risk_section
from .training import History, training_section
from .trust import SURE, trust_section

OF_SETS = "Curves over epochs; accuracy is of whole label sets, read at 1/2."


@dataclass(frozen=True)
class Extras:
    """What a report shows besides predictions, facts and diagnoses."""

    history: History = field(default_factory=History)

    thumbnails: Thumbnails | None = None
    """Reader of the pictures of a row; None where the pictures are not at hand."""

    facets: tuple[Facet, ...] = ()
    """Properties of the samples by which a reader filters, in the order of the predictions."""


def compose(
    predictions: Predictions,
    judged: Judged,
    sections: Sequence[Section],
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis],
    extras: Extras,
) -> Page:
    """The page. sections: those that other rooms hand in, in any order."""
    labelled = predictions.labelled()
    num_sure = int((predictions.confidence_N[judged.mistakes_M] >= SURE).sum())
    chosen = choose_rows(predictions, judged.mistakes_M)
    items = [item for section in sections for block in section.blocks for item in _items(block)]
    bare = (item.row for item in items if item.row is not None and not item.pictures)
    rows = tuple(dict.fromkeys((*chosen.rows, *bare)))
    num = sum(len(item.pictures) for item in items)
    album = take_album(predictions, rows, extras.thumbnails, num=num) if extras.thumbnails else {}
    sections = [_with_pictures(section, album) for section in sections]
    linked = linked_of(predictions, album, rows, extras.facets)
    own = [
        trust_section(judged, diagnoses, has_groups=predictions.units.are_groups, num_sure_mistakes=num_sure),
        *map_section(linked),
        *gallery_sections(predictions, chosen, album, num_wrong=len(judged.mistakes_M), linked=linked),
        *_further(predictions, labelled, facts, extras.history),
    ]  # fmt: skip
    head = opening(
        facts, judged.estimates, judged.topics, num=len(labelled.ids), split=predictions.split, seen=judged.seen,
        num_views=max(1, len(predictions.view_probabilities)),
    )  # fmt: skip
    whole = [*own, *sections]
    whole.append(absent_section(predictions, facts, whole))
    return Page(
        title_of(facts, predictions.split),
        in_order(section for section in whole if section.blocks),
        head,
        linked=linked,
    )


def _items(block: Block) -> tuple[Item, ...]:
    return block.items if isinstance(block, Gallery) else ()


def _with_pictures(section: Section, album: Mapping[int, tuple[Picture, ...]]) -> Section:
    """The section; items of galleries that name a row without its pictures get them from the album."""

    def filled(item: Item) -> Item:
        return replace(item, pictures=album.get(item.row, ())) if item.row is not None and not item.pictures else item

    blocks = (
        replace(block, items=tuple(map(filled, block.items))) if isinstance(block, Gallery) else block
        for block in section.blocks
    )
    return replace(section, blocks=tuple(blocks))


def _further(
    predictions: Predictions, labelled: Predictions, facts: Mapping[str, str], history: History
) -> Iterator[Section]:
    yield training_section(history, OF_SETS if predictions.kind.is_set else "Curves over epochs.")
    yield risk_section(labelled)
    yield reproduction_section(facts)
    what = "any number" if predictions.kind.is_set else "one"
    yield model_card(facts, predictions.classes, num_trained=facts.get("samples", ""), what=what)
