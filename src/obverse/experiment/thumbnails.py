"""Thumbnails of a data set's samples, for its report."""

from __future__ import annotations

import io
from contextlib import suppress

from PIL import Image

from obverse.data import PictureDataset
from obverse.errors import DataError
from obverse.evaluation import Thumbnails
from obverse.imaging import PictureError, Pixels
from obverse.report import Picture

SIDE, QUALITY = 96, 75


def thumbnails_of(dataset: PictureDataset) -> Thumbnails:
    """Reader of a sample's views as WebP of at most 96 pixels; a view that cannot be read any more is left out."""

    def read(row: int) -> tuple[Picture, ...]:
        pictures = []
        views = [view for view in dataset.manifest.views if view in dataset.samples[row].views]
        for view in views:
            with suppress(PictureError, DataError):
                pixels = dataset.originals.decode(row, view, min_height=SIDE, min_width=SIDE)
                pictures.append(Picture(_encoded(pixels), view if len(views) > 1 else ""))
        return tuple(pictures)

    return read


def _encoded(pixels: Pixels) -> bytes:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()
