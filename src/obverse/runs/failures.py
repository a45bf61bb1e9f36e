"""What the machine refuses, as sentences: a full disk, a folder that cannot be written, too little memory.

Not for faults in pictures or recipes: those are found where they are read.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obverse.errors import OutOfMemoryError, OutputError

from .rundir import DISK_FAULTS, disk_error

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT)
# A processor's memory ends in a plain RuntimeError of torch that says one of these.
MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explained(path: Path, advice: str) -> Iterator[None]:
    """Whatever is refused while the block works in `path` becomes an ObverseError; advice: what helps memory."""
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
    """Whether Python, torch on a processor or torch on an accelerator ran out of memory."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in MEMORY_WORDS)
