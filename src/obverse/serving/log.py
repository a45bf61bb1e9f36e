"""Log lines without anything that a client sent: no path, header, name or message."""

from __future__ import annotations

import logging
import traceback


def log_bug(logger: logging.Logger, error: BaseException) -> None:
    """Log the kind and the place of an exception; its message may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    logger.error("bug: %s at %s", type(error).__name__, places)


def start_log() -> None:
    """Write the lines of the server to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logger = logging.getLogger("obverse.serving")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
