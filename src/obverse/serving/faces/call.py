"""A request and its answer, as all protocols see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from obverse.serving.limits import MAX_JSON_BYTES
from obverse.serving.refusals import Refusal
from obverse.serving.service import Service


@dataclass(frozen=True)
class Call:
    """One request whose head was accepted and whose body has arrived."""

    service: Service

    model: str | None
    """Name of the model in the path; None where there is none."""

    body: bytes

    query: Mapping[str, str]

    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def content_type(self) -> str:
        """Media type of the body, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        """A value as JSON."""
        return cls(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), status, headers=headers or {})


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Refusal: too-large, bad-json."""
    if len(body) > MAX_JSON_BYTES:
        raise Refusal("too-large", f"JSON may have {MAX_JSON_BYTES >> 20} MiB; send pictures in binary form")
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refusal("bad-json", "the body is no JSON text") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def read_top_k(value: Any, default: int) -> int:
    """A number of classes. None: the default. Refusal: bad-parameter."""
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refusal("bad-parameter", "top_k must be a whole number of at least 1")
    return value


def read_flag(name: str, value: str | None) -> bool:
    """A flag of a form; None: false. Refusal: bad-parameter."""
    if value not in (None, "true", "false"):
        raise Refusal("bad-parameter", f"{name} must be true or false")
    return value == "true"
