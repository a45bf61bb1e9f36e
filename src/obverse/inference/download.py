"""Download of pictures from the web, with limits of size and time.

Only http and https are spoken, also after redirects: a server must not lead to a file of this machine.
"""

from __future__ import annotations

import http.client
import time
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from obverse.imaging import PictureError

SCHEMES = ("http", "https")
MAX_BYTES = 32 * 2**20
# Of connecting and of each read; of all together.
SILENCE_SECONDS, TOTAL_SECONDS = 10.0, 30.0
_PART_BYTES = 2**16


def download(url: str, *, max_bytes: int = MAX_BYTES, total_seconds: float = TOTAL_SECONDS) -> bytes:
    """The content at a URL. PictureError when it cannot be had within the limits."""
    try:
        return _content(url, max_bytes, time.monotonic() + total_seconds)
    except HTTPError as error:
        error.close()
        raise PictureError(f"it cannot be fetched: the server answers {error.code} ({error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise PictureError(f"it cannot be fetched: {reason or type(error).__name__}") from None


def _content(url: str, max_bytes: int, deadline: float) -> bytes:
    request = Request(url, headers={"User-Agent": "obverse", "Accept": "image/*"})
    parts, size = [], 0
    with _opener().open(request, timeout=SILENCE_SECONDS) as response:
        # `read1` returns what has come: a slow sender is noticed after every packet.
        while part := response.read1(_PART_BYTES):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise OSError(f"it has more than {max_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError("it takes too long")
    return b"".join(parts)


def _opener() -> OpenerDirector:
    """An opener without the handlers of file:, ftp: and data:, which urllib adds to its usual ones."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
        _WebRedirects(),
    ):
        opener.add_handler(handler)
    return opener


class _WebRedirects(HTTPRedirectHandler):
    """Redirects to http and https alone; urllib would follow one to ftp."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """The next request. URLError for another scheme."""
        if urlsplit(newurl).scheme.lower() not in SCHEMES:
            raise URLError(f"it redirects to {newurl!r}, and only {' and '.join(SCHEMES)} are followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
