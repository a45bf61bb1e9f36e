"""Answers for people to look at, while they are given: a gallery page, and copies of the pictures with the answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.cpus import num_allowed_cpus
from obverse.errors import OutputError
from obverse.imaging import in_order
from obverse.inference.requests import Failure, Request, RequestOrFailure
from obverse.inference.results import Answer, percent_note, require_absent
from obverse.report import Picture
from obverse.runs import explained

from .drawn import MOST_SIDE, require_empty, save_drawn
from .gallery import SIDE, PredictionGallery, gallery_path, thumbnail_of
from .pictures import pictures_of

if TYPE_CHECKING:  # for a type alone
    from obverse.inference.predictor import Predictor

ADVICE = "try fewer pictures at a time"


@dataclass(frozen=True)
class Showing:
    """Where answers are to be seen."""

    page: Path | None = None
    """The gallery: a file that ends in .html, or the folder of `gallery.html`; None for no gallery."""

    folder: Path | None = None
    """Folder of copies of the pictures with the answer; None for no copies."""

    title: str = "Predictions"
    """Title of the page."""

    notify: Callable[[str], None] = lambda line: None
    """Called with a line for the finished page, and one for the folder."""

    def require_free(self) -> None:
        """OutputError when the page exists, or the folder has anything in it."""
        if self.page is not None:
            require_absent(gallery_path(self.page))
        if self.folder is not None:
            require_empty(self.folder)


def show(
    predictor: Predictor, items: Sequence[RequestOrFailure], answers: Iterable[Answer], wanted: Showing
) -> Generator[Answer, None, None]:
    """Yield the answers as they come, and write what is to be seen of them; the page when all are there, or when the
    command is interrupted.

    The user's pictures are read again, and never changed. OutputError when something is there already.
    """
    wanted.require_free()
    gallery = PredictionGallery(percent_note(predictor))

    def looked(place: tuple[int, RequestOrFailure, Answer]) -> tuple[Answer, list[Picture]]:
        row, item, answer = place
        return answer, _thumbnails(predictor, row, item, answer, wanted=wanted, has_room=not gallery.is_full)

    with explained(wanted.folder or wanted.page or Path(), ADVICE):
        # Now, so that what cannot be written is known before the first answer.
        for folder in (wanted.folder, wanted.page and gallery_path(wanted.page).parent):
            if folder is not None:
                _require_writable(folder)
        places = ((row, item, answer) for row, (item, answer) in enumerate(zip(items, answers, strict=True)))
        num_threads = num_allowed_cpus()
        try:
            for answer, thumbnails in in_order(looked, places, num_threads=num_threads, num_ahead=2 * num_threads):
                gallery.add(answer, thumbnails)
                yield answer
            gallery.is_whole = True
        finally:
            if gallery.is_whole or gallery.items:
                _finish(gallery, wanted)


def _require_writable(folder: Path) -> None:
    """Make the folder. OSError or OutputError when nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{str(folder)!r} cannot be written; choose another folder")


def _finish(gallery: PredictionGallery, wanted: Showing) -> None:
    if wanted.folder is not None:
        wanted.notify(f"pictures: {wanted.folder}")
    if wanted.page is not None:
        path = gallery_path(wanted.page)
        require_absent(path)
        gallery.write(path, wanted.title)
        wanted.notify(f"gallery: {path}")


def _thumbnails(
    predictor: Predictor, row: int, item: RequestOrFailure, answer: Answer, *, wanted: Showing, has_room: bool
) -> list[Picture]:
    """The thumbnails of a sample, after its copy is saved."""
    is_thumbed = wanted.page is not None and has_room
    if not isinstance(item, Request) or isinstance(answer, Failure) or not (is_thumbed or wanted.folder):
        return []
    pictures = pictures_of(item, predictor.views, MOST_SIDE if wanted.folder else SIDE)
    if wanted.folder is not None and pictures:
        save_drawn(wanted.folder, row, answer, pictures)
    return [*map(thumbnail_of, pictures)] if is_thumbed else []
