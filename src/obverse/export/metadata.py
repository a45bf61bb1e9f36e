"""Metadata of exported files: what a program needs besides the graph."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from obverse.bundle import Bundle
from obverse.decisions import VERDICTS
from obverse.recipe import AcceptanceSpec, OutlierSpec, SetsSpec

from .graph import Names


def metadata(bundle: Bundle, names: Names) -> dict[str, Any]:
    """What a program needs besides the graph, by key; all but text is JSON in the file."""
    least = bundle.geometry.least_decode
    return {
        "obverse": version("obverse"),
        "classes": bundle.classes,
        "views": dict(zip(bundle.views, names.views, strict=True)),
        "geometry": asdict(bundle.geometry),
        # Of a picture file, which holds all parts where views are parts of one picture.
        "least_decode": bundle.parts[0].enlarged(*least) if bundle.parts else least,
        **{name: value and value.model_dump(mode="json") for name, value in _rules(bundle).items()},
        # The output `decision` is a place in it.
        "decisions": VERDICTS,
        "mean": bundle.mean,
        "std": bundle.std,
        "columns": [asdict(column) for column in bundle.columns],
        "parts": [asdict(part) for part in bundle.parts],
    }


def _rules(bundle: Bundle) -> dict[str, SetsSpec | AcceptanceSpec | OutlierSpec | None]:
    """The rules on answers, which the graph applies, for readers."""
    output = bundle.output
    return {"sets": output.sets, "acceptance": output.acceptance, "outliers": output.outliers}
