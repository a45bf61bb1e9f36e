"""Remote files through fsspec: `s3://`, `gs://`, `hf://`, `memory://` ... The only module that imports fsspec.

The file system is looked up on every read. fsspec keeps one instance per process, so a forked worker never uses its
parent's connection.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obverse.errors import DataError, UnavailableError

_URL = re.compile(r"([a-z][a-z0-9+.-]+):(?:/+(.*))?", re.DOTALL)
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "az": "adlfs",
            "abfs": "adlfs", "http": "aiohttp", "https": "aiohttp"}  # fmt: skip


def remote_url(path: Path | str) -> str | None:
    """The URL in `path`, or None for a local path. (`Path` removes one slash from `s3://bucket`.)"""
    match = _URL.fullmatch(str(path))
    if not match or match[1] in ("file", "local") or os.path.lexists(f"{match[1]}:"):
        return None
    return f"{match[1]}://{match[2] or ''}"


@dataclass(frozen=True)
class RemoteBlob:
    """A remote file."""

    url: str

    size: int
    """Number of bytes."""

    version: str
    """ETag or modification time, as the protocol gives it; empty if it gives none."""

    @classmethod
    def of(cls, url: str) -> RemoteBlob:
        """The file at `url`; DataError when it cannot be reached."""
        info = _ask("info", url)
        if info.get("type") == "directory":
            raise DataError(f"{url!r} is a folder")
        version = next(
            (str(info[key]) for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in info), ""
        )
        return cls(url, int(info["size"]), version)

    @property
    def title(self) -> str:
        """The URL, for messages."""
        return repr(self.url)

    def read_at(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length)."""
        data = _ask("cat_file", self.url, start=start, end=start + length) if length else b""
        assert isinstance(data, bytes)
        return data


def is_remote_folder(url: str) -> bool:
    """Whether there is a folder at `url`; DataError when it cannot be reached."""
    return bool(_ask("info", url).get("type") == "directory")


def list_remote(url: str) -> list[str]:
    """The names of all files below a remote folder, relative to it."""
    paths = _ask("find", url)
    base = _file_system(url)[1].rstrip("/") + "/"
    return [name.removeprefix(base) for name in map(str, paths)]


def _ask(method: str, url: str, **arguments: Any) -> Any:
    file_system, path = _file_system(url)
    try:
        return getattr(file_system, method)(path, **arguments)
    except Exception as error:  # each protocol's client has exceptions of its own
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be reached: {error}"
        raise DataError(f"{url!r} {reason}") from error


def _file_system(url: str) -> tuple[Any, str]:
    import fsspec

    protocol = url.partition(":")[0]
    try:
        # Not `url_to_fs`, which interprets `::` in a name as a chain of file systems.
        file_system = fsspec.filesystem(protocol)
        path: str = file_system._strip_protocol(url)
    except ImportError as error:
        package = PACKAGES.get(protocol, f"the fsspec package for {protocol}")
        raise UnavailableError(f"{protocol}:// needs a package that is not installed ({error}): "
                               f"pip install {package}") from None  # fmt: skip
    except ValueError:
        known = ", ".join(sorted(PACKAGES))
        raise DataError(f"{url!r}: nothing is known to read {protocol}://; known are {known}") from None
    except Exception as error:
        raise DataError(f"{url!r} cannot be reached: {error}") from error
    return file_system, path
