"""Reading of a bundle's binary files, whose digests stand in `model.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from obverse.errors import DataError
from obverse.files import read_regular


def read_sealed(path: Path, *, sha256: str, max_bytes: int) -> bytes:
    """The bytes of a file; DataError when it is missing, too large, or not the one that was written."""
    try:
        data = read_regular(path, max_bytes=max_bytes)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{str(path)!r} is not the file that model.json describes: it is damaged or belongs to another "
                        "model")  # fmt: skip
    return data
