"""Thumbnails of samples and of their maps, for a report."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress

from PIL import Image

from obverse.data import PictureDataset
from obverse.errors import DataError
from obverse.evaluation import Thumbnails
from obverse.imaging import PictureError, Pixels
from obverse.report import Picture

SIDE, QUALITY = 96, 75


def thumbnails_of(dataset: PictureDataset, maps: Mapping[int, tuple[Picture, ...]]) -> Thumbnails:
    """Reader of a sample's views as WebP of at most 96 pixels; a view that cannot be read any more is left out.

    maps: row -> maps of its views, which follow them.
    """

    def read(row: int) -> tuple[Picture, ...]:
        pictures = []
        views = [view for view in dataset.manifest.views if view in dataset.samples[row].views]
        for view in views:
            with suppress(PictureError, DataError):
                pixels = dataset.originals.decode(row, view, min_height=SIDE, min_width=SIDE)
                pictures.append(thumbnail(pixels, view if len(views) > 1 else ""))
        return (*pictures, *maps.get(row, ()))

    return read


def thumbnail(pixels: Pixels, name: str) -> Picture:
    """A picture of a gallery. name: of the view or map that it shows."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return Picture(buffer.getvalue(), name)
