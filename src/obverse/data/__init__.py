"""Manifest -> batches."""

from .batch import Batch
from .cache import PixelCache
from .dataset import PictureDataset, working_geometry
from .geometry import Geometry
from .loader import Loader
from .mixing import mix
from .preprocess import to_model_input

__all__ = ["Batch", "Geometry", "Loader", "PictureDataset", "PixelCache", "mix", "to_model_input", "working_geometry"]
