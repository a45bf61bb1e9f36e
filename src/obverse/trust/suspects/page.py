"""The page of suspects: every sample with its views, its nearest pictures, its label and the suggested one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from obverse.evaluation import Thumbnails
from obverse.report import MOST_ITEMS, Gallery, Item, Page, Picture, Row, Section, Table, Text

from .ranking import Ranking, Suspect

MADE_BY = "obverse suspects"
NUM_NEAREST = 3
MOST_PAIRS = 15
"""Rows of the table of pairs of labels."""


def suspects_page(ranking: Ranking, title: str, *, used: Sequence[str], thumbnails: Thumbnails) -> Page:
    """The page. used: sentences on what the labels were judged by. thumbnails: row of the evidence -> its views."""
    sections = (_gallery_section(ranking, thumbnails), _pairs_section(ranking), Section("How", tuple(map(Text, used))))
    blocks = tuple(map(Text, summary(ranking)))
    return Page(f"Suspect labels of {title}", tuple(s for s in sections if s.blocks), blocks, MADE_BY)


def summary(ranking: Ranking) -> Iterator[str]:
    """Yield sentences on how many labels look wrong, and what to do."""
    num = len(ranking.evidence.ids)
    if not ranking.suspects:
        yield f"No label of {num:,} samples looks wrong."
        return
    yield (
        f"Up to about {max(1, round(ranking.num_errors)):,} of {num:,} samples seem to have a wrong label. The models "
        f"that judge them agree with {100 * ranking.agreement:.0f} % of the labels; the weaker they are, the more this "
        "estimate is too high."
    )
    yield (
        f"{len(ranking.suspects):,} suspects are listed, the most suspect first, of {ranking.num_suspects:,} to which "
        "another label fits better."
    )
    yield (
        "A suspect is no verdict: rare and difficult samples look alike. Look at the pictures, write change or drop "
        "into the column action of suspects.csv, and train with --fixes suspects.csv."
    )


def _gallery_section(ranking: Ranking, thumbnails: Thumbnails) -> Section:
    first = ranking.suspects[:MOST_ITEMS]
    items = tuple(_item(suspect, ranking, thumbnails) for suspect in first)
    more = len(ranking.suspects) - len(first)
    rest = (Text(f"{more:,} more are in suspects.csv.", is_quiet=True),) if more else ()
    legend = Text(
        "Each sample with all its views, then the nearest others with their labels. Below: the suggested label, the "
        "given one, the score (the expected cost of the given label, 1 at most) and what speaks against it.",
        is_quiet=True,
    )
    return Section("Suspects", (legend, Gallery(items, has_names=True), *rest) if items else ())


def _item(suspect: Suspect, ranking: Ranking, thumbnails: Thumbnails) -> Item:
    evidence = ranking.evidence
    pictures = list(thumbnails(suspect.place))
    for place in suspect.neighbours[:NUM_NEAREST]:
        names = [evidence.classes[k] for k in evidence.given_NK[place].nonzero()[0]]
        near: tuple[Picture, ...] = thumbnails(place)[:1]
        pictures += [replace(picture, name=f"near: {_label(names)}") for picture in near]
    return Item(
        evidence.ids[suspect.place],
        tuple(pictures),
        label=_label(suspect.given),
        answer=_label(suspect.suggested),
        tags=(f"score {suspect.score:.2f}",),
        note=suspect.why,
    )


def _pairs_section(ranking: Ranking) -> Section:
    """How often each pair of labels occurs among the suspects: one pair that stands out is a mix-up of two classes."""
    pairs = Counter((_label(s.given), _label(s.suggested)) for s in ranking.suspects)
    rows: tuple[Row, ...] = tuple((*pair, str(count)) for pair, count in pairs.most_common(MOST_PAIRS))
    return Section("Most frequent pairs", (Table(("label", "suggested", "suspects"), rows),) if rows else ())


def _label(names: Sequence[str]) -> str:
    return ", ".join(names) or "no class"
