"""From a locator, which is what a manifest holds of a picture, to the picture."""

from .locator import add_step, name_locator, parse_locator
from .store import PictureStore, StoredPicture

__all__ = ["PictureStore", "StoredPicture", "add_step", "name_locator", "parse_locator"]
