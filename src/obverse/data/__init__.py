"""Manifest -> batches."""

from .batch import Batch
from .dataset import PictureDataset, collate
from .geometry import Geometry
from .loader import Loader
from .preprocess import to_model_input

__all__ = ["Batch", "Geometry", "Loader", "PictureDataset", "collate", "to_model_input"]
