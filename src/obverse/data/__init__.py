"""Manifest -> batches."""

from .batch import Batch
from .cache import MemoryCache, PixelCache
from .columns import column_codes
from .dataset import PictureDataset, working_geometry
from .disk_cache import Wanted, open_disk_cache
from .geometry import Geometry
from .loader import Loader
from .mixing import mix
from .preprocess import to_model_input

__all__ = [
    "Batch",
    "Geometry",
    "Loader",
    "MemoryCache",
    "PictureDataset",
    "PixelCache",
    "Wanted",
    "column_codes",
    "mix",
    "open_disk_cache",
    "to_model_input",
    "working_geometry",
]
