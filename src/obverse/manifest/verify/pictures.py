"""Every picture is read and decoded once before a run: an unreadable one is found now, not in the night."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from obverse.imaging import PictureError
from obverse.manifest.sample import Finding
from obverse.manifest.store import PictureStore

# A damaged JPEG shows at any scale, so verification decodes photographs small.
VERIFY_SIDE = 64


@dataclass
class PictureFacts:
    """By path: content digest and upright (height, width); findings for the unreadable ones."""

    digest_of: dict[str, str] = field(default_factory=dict)
    size_of: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def verify_pictures(
    store: PictureStore, paths: Sequence[str], progress: Callable[[int, int], None] = lambda done, total: None
) -> PictureFacts:
    """Read, digest and decode `paths` (locators) in threads; the order of results is that of `paths`."""
    facts = PictureFacts()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(lambda path: _inspect(store, path), paths)
        for done, (path, result) in enumerate(zip(paths, results, strict=True), 1):
            if isinstance(result, str):
                facts.findings.append(Finding("error", "unreadable", result, (path,)))
            else:
                facts.digest_of[path], facts.size_of[path] = result
            progress(done, len(paths))
    return facts


def _inspect(store: PictureStore, path: str) -> tuple[str, tuple[int, int]] | str:
    try:
        picture = store.read(path)
        size = picture.upright_size()
        picture.decode(min_height=VERIFY_SIDE, min_width=VERIFY_SIDE)
    except PictureError as error:
        return str(error)
    return picture.digest(), size
