"""What a manifest is read from. One file per kind of source."""

from .detect import read_source
from .folders.tree import data_root, full_path
from .listing import Listing

__all__ = ["Listing", "data_root", "full_path", "read_source"]
