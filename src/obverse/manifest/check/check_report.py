"""Report files of a check: `check.json` for programs, and `check.html`, a single page with embedded thumbnails.

An existing file under one of these names is replaced only if an earlier check wrote it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from PIL import Image

from obverse.errors import OutputError, printable
from obverse.files import open_regular, write_whole
from obverse.imaging import PictureError, Pixels, Sandbox
from obverse.manifest.sample import Finding
from obverse.manifest.store import PictureStore, StoredPicture
from obverse.report import Block, Card, Cards, Gallery, Item, Page, Picture, Section, Table, Text, to_html

from .check import SEVERITIES, Check
from .check_table import Kind, count_sentence, kinds_of

JSON_NAME, HTML_NAME = "check.json", "check.html"
MADE_BY = "obverse check"
MARKS = {JSON_NAME: f'"made_by": "{MADE_BY}"', HTML_NAME: f'content="{MADE_BY}"'}
THUMBNAIL_SIDE = 96
MEANINGS = {
    "error": "cannot be trained on",
    "warning": "makes a model or its figures worse",
    "note": "good to know",
}
OF_ONE_SAMPLE = frozenset({"swapped-views", "duplicate-view"})
"""Findings whose paths are the views of one sample."""
# Limits that keep the page small: findings per kind and pictures per finding, and pictures in all.
MAX_EXAMPLES, MAX_PICTURES = 20, 300


def require_free(folder: Path) -> None:
    """OutputError when `folder` is a run, or has a file under a report's name that no earlier check wrote."""
    if (folder / "recipe.yaml").is_file() or (folder / "model.json").is_file():
        raise OutputError(f"{str(folder)!r} is a run or a bundle; choose another folder with --out")
    for name, mark in MARKS.items():
        path = folder / name
        try:
            with open_regular(path) as file:
                is_ours = mark.encode() in file.read(1000)
        except FileNotFoundError:
            continue
        except OSError:
            is_ours = False
        if not is_ours:
            raise OutputError(f"{str(path)!r} is not a report of an earlier check; choose another folder with --out")


def write_check(check: Check, folder: Path) -> tuple[Path, Path]:
    """Paths of the JSON and the HTML file, after writing each atomically. OutputError when one cannot be written."""
    require_free(folder)
    texts = {JSON_NAME: check_json(check), HTML_NAME: check_html(check)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(
            f"{str(folder)!r} cannot be written: {error.strerror or error}; choose another --out"
        ) from None
    return folder / JSON_NAME, folder / HTML_NAME


def check_json(check: Check) -> str:
    """The check as JSON text, with all findings and all their paths."""
    values = {
        "made_by": MADE_BY,
        "data": check.data,
        "source": check.summary,
        "layout": check.layout,
        "views": check.views,
        "labels": "multi" if check.multi_label else "single",
        "num_samples": check.num_samples,
        "num_pictures": check.num_pictures,
        "counts": check.counts,
        "classes": check.classes,
        "findings": [finding.as_json() for finding in check.findings],
    }
    return json.dumps(values, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def check_html(check: Check) -> str:
    """The check as one HTML page, without scripts and external resources."""
    with Sandbox(1) as sandbox:
        album = _Album(check.store, sandbox)
        sections = [_kind_section(kind, album) for kind in kinds_of(check.findings)]
    classes = Table(("class", "samples"), tuple((printable(name), str(num)) for name, num in check.classes.items()))
    sections.append(Section("Classes", (Text(f"{len(check.classes)} classes"), classes)))
    return to_html(Page(f"Check of {printable(check.data)}", tuple(sections), tuple(_lead(check)), MADE_BY))


def _lead(check: Check) -> Iterator[Block]:
    yield Text(f"{count_sentence(check)}.", is_lead=True)
    yield Text(printable(check.summary))
    counts = [Card(f"{severity}s", str(check.counts[severity]), "", MEANINGS[severity]) for severity in SEVERITIES]
    yield Cards((Card("samples", f"{check.num_samples:,}", "", f"{check.num_pictures:,} pictures"), *counts))
    yield Text("Findings with a score are advisory: look at the pictures. check.json names every path.", is_quiet=True)
    if not check.findings:
        yield Text("Nothing was found.")


def _kind_section(kind: Kind, album: _Album) -> Section:
    """The first findings of one kind, each with the first of its pictures."""
    num = len(kind.findings)
    blocks = [block for finding in _joined(kind.findings[:MAX_EXAMPLES]) for block in _finding_blocks(finding, album)]
    if num > MAX_EXAMPLES:
        blocks.append(Text(f"and {num - MAX_EXAMPLES} more of this kind", is_quiet=True))
    return Section(f"{kind.code} ({num})" if num > 1 else kind.code, tuple(blocks), kind.severity)


def _joined(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings; those of single pictures that say the same become one with all their paths."""
    for (_, num_paths), alike in groupby(findings, key=lambda finding: (finding.message, len(finding.paths))):
        first, *others = alike
        if num_paths == 1 and first.score is None:
            yield replace(first, paths=(*first.paths, *(other.paths[0] for other in others)))
        else:
            yield from (first, *others)


def _finding_blocks(finding: Finding, album: _Album) -> Iterator[Block]:
    score = ""
    if finding.score is not None and finding.threshold is not None:
        score = f" (score {finding.score:.3f}, threshold {finding.threshold:.3f})"
    yield Text(printable(finding.message) + score)
    if finding.code in OF_ONE_SAMPLE:
        yield Gallery((album.views(finding.paths),))
    elif finding.paths:
        items = (album.item(path) for path in finding.paths[:MAX_EXAMPLES])
        yield Gallery(tuple(items))
    if len(finding.paths) > MAX_EXAMPLES:
        yield Text(f"and {len(finding.paths) - MAX_EXAMPLES} more", is_quiet=True)


class _Album:
    """Maker of thumbnails, at most MAX_PICTURES for the whole page."""

    def __init__(self, store: PictureStore, sandbox: Sandbox) -> None:
        self.store, self.sandbox, self.left = store, sandbox, MAX_PICTURES

    def item(self, path: str) -> Item:
        """The path with its thumbnail; without one if the picture cannot be decoded or the page's limit is reached."""
        encoded = self._thumbnail(path)
        return Item(printable(path), (Picture(encoded),) if encoded else ())

    def views(self, paths: Sequence[str]) -> Item:
        """The views of one sample, side by side."""
        pictures = (Picture(self._thumbnail(path), printable(path)) for path in paths)
        return Item("  |  ".join(map(printable, paths)), tuple(picture for picture in pictures if picture.encoded))

    def _thumbnail(self, path: str) -> bytes:
        if self.left <= 0:
            return b""
        with suppress(PictureError):
            pixels = self.sandbox.run(_decode_small, self.store.read(path))
            picture = Image.fromarray(pixels)
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=75)
            self.left -= 1
            return buffer.getvalue()
        return b""


def _decode_small(picture: StoredPicture) -> Pixels:
    return picture.decode(min_height=THUMBNAIL_SIDE, min_width=THUMBNAIL_SIDE)
