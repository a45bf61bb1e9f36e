"""Gallery of predictions as one page: pictures, answers, decisions, and what has no answer."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obverse.files import write_whole
from obverse.inference.requests import Failure
from obverse.inference.results import Answer, answer_words, set_words_of
from obverse.report import Card, Cards, Gallery, Item, Page, Picture, Section, Text, to_html

from .pictures import NamedPicture

FILE = "gallery.html"
NO_ANSWER = "no answer"
MOST_SAMPLES = 1000
"""Samples on a page; a browser holds their pictures in memory."""
SIDE, QUALITY = 240, 75


def gallery_path(path: Path) -> Path:
    """The page's file: the path itself if it ends in .html, else a file in that folder."""
    return path if path.suffix.lower() in (".html", ".htm") else path / FILE


@dataclass
class PredictionGallery:
    """Gallery that grows sample by sample."""

    note: str
    """What percentages of the model mean."""

    items: list[Item] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Decision -> number of samples, also of those beyond `MOST_SAMPLES`."""

    is_whole: bool = False
    """Whether the last sample is there; otherwise the page says that the command ended before it."""

    @property
    def is_full(self) -> bool:
        """Whether no further sample is shown."""
        return len(self.items) >= MOST_SAMPLES

    def add(self, answer: Answer, pictures: Sequence[Picture]) -> None:
        """Add a sample's answer, or its error, with its thumbnails."""
        item = _item(answer, tuple(pictures))
        self.counts[item.group] += 1
        if not self.is_full:
            self.items.append(item)

    def write(self, path: Path, title: str) -> None:
        """Write the page. OSError where that is not possible."""
        write_whole(path, to_html(self._page(title)).encode("utf-8", "replace"))

    def _page(self, title: str) -> Page:
        total = self.counts.total()
        order = ("accept", "review", "reject", "answered", NO_ANSWER)
        cards = [Card("samples", f"{total:,}")]
        cards += [Card(name, f"{self.counts[name]:,}") for name in order if self.counts[name]]
        texts = [Text(self.note.capitalize() + ".", is_quiet=True)]
        if not self.is_whole:
            texts.append(Text("The command ended early: samples that follow have no answer here."))
        if total > len(self.items):
            count = -(-total // MOST_SAMPLES)
            texts.append(Text(f"The first {len(self.items):,} of {total:,} samples; `--shard 1/{count}` and so on give "
                              "a page for each part."))  # fmt: skip
        section = Section("Answers", (Gallery(tuple(self.items), most=MOST_SAMPLES, is_large=True, filter="decision"),))
        return Page(title, (section,), (Cards(tuple(cards)), *texts), made_by="obverse predict")


def thumbnail_of(picture: NamedPicture) -> Picture:
    """The picture as a small WebP."""
    name, image = picture
    small, buffer = image.copy(), io.BytesIO()
    small.thumbnail((SIDE, SIDE))
    small.save(buffer, "WEBP", quality=QUALITY)
    return Picture(buffer.getvalue(), name)


def _item(answer: Answer, pictures: tuple[Picture, ...]) -> Item:
    if isinstance(answer, Failure):
        return Item(answer.id, pictures, group=NO_ANSWER, note=answer.error, is_faulty=True, tags=(NO_ANSWER,))
    # The confidence of a label set is a score that only ranks, and no percentage.
    names, confidence = (answer_words(answer), None) if answer.is_set else (answer.label, answer.confidence)
    reason = answer.reason if answer.decision not in (None, "accept") else ""
    note = "; ".join(filter(None, [set_words_of(answer), reason]))
    group = str(answer.decision or "answered")
    return Item(answer.id, pictures, answer=names, confidence=confidence, tags=(group,), note=note, group=group)
