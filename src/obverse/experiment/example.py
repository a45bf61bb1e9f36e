"""Example pictures for the `obverse predict` command that is printed after training."""

from __future__ import annotations

import os

from obverse.manifest import SPLITS, Manifest, parse_locator, part_of, remote_url

# View -> path of the picture's file. None where there is no such file, as for a picture in an archive.
Example = dict[str, str | None]
WHOLE = "image"


def example_of(manifest: Manifest) -> Example:
    """Example pictures of the first sample with all views, from test, else val, else train."""
    names = (WHOLE,) if manifest.parts else manifest.views
    for split in reversed(SPLITS):
        for sample in manifest.split(split):
            if len(sample.views) == len(manifest.views):
                pictures = list(sample.views.values())[: len(names)]
                files = (_file(manifest, picture) for picture in pictures)
                return dict(zip(names if manifest.parts else sample.views, files, strict=True))
    return dict.fromkeys(names)


def _file(manifest: Manifest, locator: str) -> str | None:
    name, steps = parse_locator(part_of(locator)[0])
    path = os.path.relpath(os.path.join(manifest.root, name))
    file = path if not path.startswith(os.pardir) else os.path.abspath(path)
    is_plain = not steps and not remote_url(name) and file.isprintable()
    return file if is_plain and os.path.isfile(file) else None
