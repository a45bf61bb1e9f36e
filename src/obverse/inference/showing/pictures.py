"""Pictures of a sample for people to look at, upright, with their names."""

from __future__ import annotations

from PIL import Image

from obverse.errors import DataError
from obverse.inference.pixels import load_pixels
from obverse.inference.requests import Request

NamedPicture = tuple[str, Image.Image]


def pictures_of(request: Request, views: tuple[str, ...], side: int) -> list[NamedPicture]:
    """The views of a sample, or the picture of which all views are parts, each of at most `side` pixels.

    One that cannot be read is left out. A picture that is alone has no name.
    """
    sources = [("", request.whole)] if request.whole is not None else [*request.views.items()]
    pictures = []
    for name, source in sorted(sources, key=lambda pair: views.index(pair[0]) if pair[0] in views else 0):
        try:
            picture = Image.fromarray(load_pixels(source, (side, side)))
        except DataError:
            continue
        picture.thumbnail((side, side))
        pictures.append((name if len(views) > 1 else "", picture))
    return pictures
