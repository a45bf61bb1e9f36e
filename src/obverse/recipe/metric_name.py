"""Names of metrics in recipes and criteria, as the table of metrics has them.

The table is imported when a name is checked and not before: it needs numpy, which `obverse --help` does not wait for.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field


def _require_metric(name: str) -> str:
    if name not in _names():
        raise ValueError(_listed(_names()))
    return name


def _require_metric_or_auto(name: str) -> str:
    names = ("auto", *_names())
    if name not in names:
        raise ValueError(_listed(names))
    return name


def _names() -> tuple[str, ...]:
    from obverse.metrics import NAMES

    return NAMES


def _listed(names: tuple[str, ...]) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}"


def _enumerate(schema: dict[str, Any]) -> None:
    schema["enum"] = list(_names())


def _enumerate_with_auto(schema: dict[str, Any]) -> None:
    schema["enum"] = ["auto", *_names()]


MetricName = Annotated[str, AfterValidator(_require_metric), Field(json_schema_extra=_enumerate)]
MetricOrAuto = Annotated[str, AfterValidator(_require_metric_or_auto), Field(json_schema_extra=_enumerate_with_auto)]
