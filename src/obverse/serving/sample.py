"""One sample as a client sent it, and its answer, whatever the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from obverse.explain import Overlay
from obverse.imaging import Pixels
from obverse.inference import Prediction


@dataclass(frozen=True)
class Sample:
    """Pictures and values of one sample; never a path or an address."""

    id: str
    """Name that the client gave it."""

    pictures: Mapping[str, bytes | Pixels]
    """View -> picture file, or upright RGB pixels, uint8 (height, width, 3)."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Extra column -> value."""


@dataclass(frozen=True)
class Answered:
    """Answer to one sample."""

    prediction: Prediction
    """`top` has all classes."""

    maps: Mapping[str, Overlay] = field(default_factory=dict)
    """Name of a picture -> map over it; empty unless asked for."""
