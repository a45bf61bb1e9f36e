"""Arrays of a bundle that are too large for its description: the Gaussians of the outlier score.

bundle/outliers.safetensors   means (K, D), directions (R, D), variances (R), residual (1)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from obverse.decisions import OutlierDetector
from obverse.errors import DataError

from .sealed import read_sealed

OUTLIERS = "outliers.safetensors"
# Far above what is written; a larger file was not.
MAX_BYTES = 256_000_000
DTYPES = {"means": np.float16, "directions": np.float16, "variances": np.float32, "residual": np.float64}


def detector_bytes(detector: OutlierDetector) -> bytes:
    """The content of the file."""
    values = {"means": detector.means_KD, "directions": detector.directions_RD, "variances": detector.variances_R}
    arrays = {**values, "residual": np.array([detector.residual])}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def read_detector(path: Path, *, sha256: str) -> OutlierDetector:
    """The Gaussians in a file; DataError when it is missing, damaged, or not the one that was written."""
    data = read_sealed(path, sha256=sha256, max_bytes=MAX_BYTES)
    try:
        arrays = load(data)
        is_whole = {name: array.dtype for name, array in arrays.items()} == DTYPES
        means_KD, directions_RD, variances_R, residual_1 = (arrays[name] for name in DTYPES)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(path)!r} is no file of arrays that can be read: {str(error)[:200]}") from None
    is_whole = is_whole and means_KD.ndim == directions_RD.ndim == 2 and len(means_KD) > 0
    is_whole = is_whole and means_KD.shape[1:] == directions_RD.shape[1:] and residual_1.shape == (1,)
    is_whole = is_whole and variances_R.shape == directions_RD.shape[:1]
    if not is_whole or not all(np.isfinite(array).all() for array in arrays.values()):
        raise DataError(f"{str(path)!r} holds other arrays than the score of outliers needs")
    if not (residual_1[0] > 0 and (variances_R > 0).all()):
        raise DataError(f"{str(path)!r} holds a variance that is not above 0")
    return OutlierDetector(means_KD, directions_RD, variances_R, float(residual_1[0]))
