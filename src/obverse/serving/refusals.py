"""Refusals: errors that a client sees, each with a stable code and an HTTP status."""

from __future__ import annotations

STATUS = {
    "bad-request": 400,
    "bad-json": 400,
    "bad-multipart": 400,
    "bad-parameter": 400,
    "bad-tensor": 400,
    "no-token": 401,
    "foreign-host": 403,
    "foreign-origin": 403,
    "not-found": 404,
    "unknown-model": 404,
    "wrong-method": 405,
    "too-slow": 408,
    "too-large": 413,
    "too-many": 413,
    "encoded-body": 415,
    "wrong-type": 415,
    "bad-picture": 422,
    "bad-sample": 422,
    "internal": 500,
    "overloaded": 503,
    "too-late": 503,
    "stopping": 503,
}
"""Code -> status. Codes are part of the interface: they may become more, and none changes its meaning."""


class Refusal(Exception):
    """A request, or one of its samples, that gets no prediction.

    code: a key of `STATUS`. message: a sentence for the person who sent it. retry_after: seconds after which it may be
    sent again; only where that can help.
    """

    def __init__(self, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, STATUS[code]
        self.retry_after = retry_after
        if self.status == 503 and retry_after is None:
            self.retry_after = 1

    def as_json(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error": self.message, "code": self.code}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {"x-obverse-code": self.code}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.code == "no-token":
            headers["www-authenticate"] = "Bearer"
        return headers
