"""Data sources, from which a manifest is read; one file for each kind."""

from .detect import read_source
from .folders.tree import data_root, full_path
from .listing import Listing

__all__ = ["Listing", "data_root", "full_path", "read_source"]
