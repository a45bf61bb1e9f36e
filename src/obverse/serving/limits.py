"""Limits of a server: sizes, numbers and times, so that no client can take what others need."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 2**20
# Before a request's head is complete, and for the first bytes of its body.
HEAD_SECONDS = 10.0
# A body may take longer when it arrives at this rate (bytes per second), about that of a bad mobile connection.
MIN_BODY_RATE = 64 * 1024
# A client that goes on to send a body that was refused as too large is disconnected, after it could read why.
LINGER_SECONDS = 2.0
# A client that reads no further byte of its answer for so long is disconnected.
WRITE_SECONDS = 20.0
# From SIGTERM to the end of the process; the signal that cannot be handled follows after 30 seconds in Kubernetes.
DRAIN_SECONDS = 25.0
# Of that time, requests that still arrive are refused for so long, then the socket is closed.
REFUSE_SECONDS = 1.0
# The parser of JSON holds up every other request: 24 MiB of it hold a picture of 18 MiB in base64.
MAX_JSON_BYTES = 24 * MEBIBYTE
MAX_PARTS = 256
MAX_TEXT_BYTES = 1024
# The model waits so long for pictures that are being decoded, to answer them together.
BATCH_WAIT_SECONDS = 0.002


@dataclass(frozen=True)
class Limits:
    """Limits that whoever starts a server may choose."""

    max_body_bytes: int = 64 * MEBIBYTE
    """Size of one request."""

    max_samples: int = 64
    """Samples in one request."""

    max_maps: int = 8
    """Samples in one request that asks for maps, which each take at least twice as long as an answer; 0: no maps."""

    max_batch: int = 32
    """Samples in one forward pass."""

    max_queue: int = 64
    """Requests of one model that are worked on or wait; further ones are refused at once."""

    deadline_seconds: float = 10.0
    """Time in which a request is answered, from when it is complete; one that would take longer is refused."""

    @property
    def max_map_requests(self) -> int:
        """Requests of one model that ask for maps and are worked on or wait: a quarter, so that others get in."""
        return max(1, self.max_queue // 4)

    @property
    def max_body_total(self) -> int:
        """Bytes of all requests that are being received or worked on."""
        return 4 * self.max_body_bytes
