"""Reader of the CIFAR-10 and CIFAR-100 python batches: a pickled dict with `data` (N, 3072) and labels.

Format: https://www.cs.toronto.edu/~kriz/cifar.html. A pickle can run any code; this reader allows only numpy arrays and
plain values. A picture is returned as a lossless BMP file, which the ordinary decoder reads.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from obverse.errors import DataError

from .blob import Blob, read_all

SIDE = 32
MAX_BATCH_BYTES = 2**30


def _encode(text: str, encoding: str) -> bytes:
    """Replacement of `_codecs.encode`, by which Python 3 pickles bytes; the original could also decompress."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not allowed")
    return text.encode("latin-1")


def _allowed() -> dict[tuple[str, str], Any]:
    reconstruct = np.zeros(0).__reduce__()[0]  # its module depends on numpy's version
    rebuilt = {(module, "_reconstruct"): reconstruct for module in ("numpy.core.multiarray", "numpy._core.multiarray")}
    return {**rebuilt, ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _encode}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The class for a pickled name, which must be one of those that build numpy arrays."""
        try:
            return _allowed()[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


@dataclass(frozen=True)
class CifarBatch:
    """Content of a batch file."""

    pictures_NHWC: npt.NDArray[np.uint8]
    """Pictures, N x 32 x 32 x 3."""

    labels: dict[str, list[int]]
    """Key (`labels`, or `fine_labels` and `coarse_labels`) -> labels of all pictures."""

    names: list[str]
    """File names of the pictures; empty if the batch has none."""

    def bmp(self, number: int) -> bytes:
        """One picture as the bytes of a BMP file."""
        buffer = io.BytesIO()
        Image.fromarray(self.pictures_NHWC[number]).save(buffer, "BMP")
        return buffer.getvalue()


def read_pickle(blob: Blob) -> dict[str, Any]:
    """The dict in a batch or meta file, with text keys; DataError when it would build anything but plain values."""
    data = read_all(blob, max_bytes=MAX_BATCH_BYTES)
    try:
        values = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises almost any type
        raise DataError(f"{blob.title} is not a CIFAR batch: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{blob.title} is not a CIFAR batch: it holds no dict")
    return {_text(key): value for key, value in values.items()}


@lru_cache(maxsize=8)
def open_cifar(blob: Blob) -> CifarBatch:
    """The pictures and labels of a batch; DataError when they do not follow the format."""
    values = read_pickle(blob)
    data = values.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * SIDE * SIDE,):
        raise DataError(f"{blob.title} is not a CIFAR batch: `data` is no uint8 array of (N, {3 * SIDE * SIDE})")
    labels = {key: value for key, value in values.items() if key in ("labels", "fine_labels", "coarse_labels")}
    for key, numbers in labels.items():
        if not isinstance(numbers, list) or len(numbers) != len(data) or not all(type(n) is int for n in numbers):
            raise DataError(f"{blob.title} is not a CIFAR batch: `{key}` is no list of {len(data)} integers")
    names = [_text(name) for name in values.get("filenames", [])]
    return CifarBatch(data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels, names)


def read_cifar(blob: Blob, step: str) -> bytes:
    """Picture `step` of a batch as BMP bytes."""
    batch = open_cifar(blob)
    if not step.isdecimal() or int(step) >= len(batch.pictures_NHWC):
        raise DataError(f"{blob.title} has no picture {step}")
    return batch.bmp(int(step))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
