"""The data pipeline: from a manifest to batches."""

from .augmentation.mixing import mix
from .batch import Batch
from .caches.disk import CacheContent, open_disk_cache
from .caches.memory import MemoryCache, PixelCache
from .caches.pixel_file import PixelFile, PixelWriter
from .columns import column_codes
from .dataset import PictureDataset, working_geometry
from .geometry import Geometry
from .loader import DeadWorker, Loader
from .preprocess import to_model_input

__all__ = [
    "Batch",
    "CacheContent",
    "DeadWorker",
    "Geometry",
    "Loader",
    "MemoryCache",
    "PictureDataset",
    "PixelCache",
    "PixelFile",
    "PixelWriter",
    "column_codes",
    "mix",
    "open_disk_cache",
    "to_model_input",
    "working_geometry",
]
