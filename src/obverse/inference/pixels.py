"""Pixels of every kind of picture that a predictor takes."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from obverse.errors import DataError
from obverse.imaging import PictureError, Pixels, picture_from_image, read_picture, shared_sandbox

from .download import download
from .requests import Source, Stored, WebPicture


def load_pixels(picture: Source, least: tuple[int, int]) -> Pixels:
    """Upright RGB pixels, uint8 (height, width, 3), of any kind of picture. least: (min_height, min_width) to decode.

    Files are of unknown origin and therefore decoded in a child process: a decoder that crashes raises PictureError.

    DataError for an array of another dtype or shape.
    """
    if isinstance(picture, (str, Path)):
        return read_picture(picture, min_height=least[0], min_width=least[1], decode=shared_sandbox().decode)
    if isinstance(picture, Stored):
        sandbox = shared_sandbox()
        return picture.store.decode(picture.locator, min_height=least[0], min_width=least[1], sandbox=sandbox)
    if isinstance(picture, WebPicture):
        picture = download(picture.url)
    if isinstance(picture, bytes):
        return shared_sandbox().decode(picture, min_height=least[0], min_width=least[1])
    try:
        return picture_from_image(picture if isinstance(picture, Image.Image) else Image.fromarray(picture))
    except DataError:
        raise
    except Exception as error:  # a PIL image reads its file late, and may be closed by then
        raise PictureError(f"the image cannot be read ({error})") from None
