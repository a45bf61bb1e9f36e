"""A check as files: `check.json` for programs, `check.html` for people, one page with its pictures inside.

A file of another origin under one of these names is never replaced.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from PIL import Image

from obverse.errors import OutputError, printable
from obverse.files import open_regular
from obverse.imaging import PictureError, Pixels, Sandbox
from obverse.manifest.sample import Finding
from obverse.manifest.store import PictureStore, StoredPicture

from .check import Check

JSON_NAME, HTML_NAME = "check.json", "check.html"
MARKS = {JSON_NAME: '"made_by": "obverse check"', HTML_NAME: 'content="obverse check"'}
THUMBNAIL_SIDE = 96
# Per finding, per kind of finding, and in all: a page stays small however much is wrong.
MAX_THUMBNAILS, MAX_SHOWN, MAX_PICTURES = 8, 20, 300


@dataclass(frozen=True)
class Kind:
    """Findings of one code, the same severity. shown: the first of them, each with its thumbnails by path."""

    severity: str
    code: str
    findings: Sequence[Finding]
    shown: Sequence[tuple[Finding, Sequence[tuple[str, str]]]] = ()


def kinds_of(findings: Sequence[Finding]) -> list[Kind]:
    """Findings grouped by severity and code, in their order."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.code), []).append(finding)
    return [Kind(severity, code, tuple(found)) for (severity, code), found in groups.items()]


def require_free(folder: Path) -> None:
    """OutputError when a report in `folder` would replace a file that is none of ours."""
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
    """Write both files, each complete or absent; the paths of the JSON and the HTML file."""
    require_free(folder)
    texts = {JSON_NAME: check_json(check), HTML_NAME: check_html(check)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            aside = folder / f".{name}.{os.getpid()}"
            try:
                aside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
                aside.replace(folder / name)
            finally:
                aside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{str(folder)!r} cannot be written: {error.strerror or error}; choose another --out"
        ) from None
    return folder / JSON_NAME, folder / HTML_NAME


def check_json(check: Check) -> str:
    """Everything that was found, every path named."""
    values = {
        "made_by": "obverse check",
        "data": check.data,
        "source": check.said,
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
    """The page; it fetches nothing and runs no script."""
    template = files("obverse.manifest.check").joinpath("check.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    with Sandbox(1) as sandbox:
        album = _Album(check.store, sandbox)
        kinds = [
            Kind(k.severity, k.code, k.findings, [(f, album.thumbnails(f)) for f in k.findings[:MAX_SHOWN]])
            for k in kinds_of(check.findings)
        ]
    return environment.from_string(template).render(check=check, kinds=kinds)


class _Album:
    """Thumbnails as `data:` addresses, up to a number for the whole page."""

    def __init__(self, store: PictureStore, sandbox: Sandbox) -> None:
        self.store, self.sandbox, self.left = store, sandbox, MAX_PICTURES

    def thumbnails(self, finding: Finding) -> list[tuple[str, str]]:
        """(path, address) of the first pictures; the address is empty where there is no picture to show."""
        return [(path, self._thumbnail(path)) for path in finding.paths[:MAX_THUMBNAILS]]

    def _thumbnail(self, path: str) -> str:
        if self.left <= 0:
            return ""
        with suppress(PictureError):
            pixels = self.sandbox.run(_decode_small, self.store.read(path))
            picture = Image.fromarray(pixels)
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=80)
            self.left -= 1
            return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        return ""


def _decode_small(picture: StoredPicture) -> Pixels:
    return picture.decode(min_height=THUMBNAIL_SIDE, min_width=THUMBNAIL_SIDE)
