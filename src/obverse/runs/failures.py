"""Conversion of system errors into messages: a full disk, a folder that cannot be written, too little memory.

Faults in pictures and recipes are not handled here, but where they are read.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obverse.errors import OutOfMemoryError, OutputError

from .rundir import DISK_FAULTS, disk_error

UNWRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT),
    errno.EFBIG,
)
# On a CPU, torch reports a lack of memory as a plain RuntimeError with one of these phrases.
MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explained(path: Path, advice: str) -> Iterator[None]:
    """Context that turns system errors inside the block, which works in `path`, into ObverseErrors.

    advice: the remedy to name when memory is lacking.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise OutOfMemoryError(f"out of memory; {advice}. {error}") from error
        if error.errno not in (*DISK_FAULTS, *UNWRITABLE):
            raise
        raise disk_error(Path(error.filename) if isinstance(error.filename, str) else path, None, error) from error
    except OutputError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FAULTS:
            raise disk_error(path, None, error.__cause__) from error
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise OutOfMemoryError(f"out of memory; {advice}. {str(error)[:200]}".strip()) from error


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python or torch means a lack of memory, on a CPU or an accelerator."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in MEMORY_WORDS)
