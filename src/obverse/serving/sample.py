"""One sample as a client sent it, whatever the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from obverse.imaging import Pixels


@dataclass(frozen=True)
class Sample:
    """Pictures and values of one sample; never a path or an address."""

    id: str
    """Name that the client gave it."""

    pictures: Mapping[str, bytes | Pixels]
    """View -> picture file, or upright RGB pixels, uint8 (height, width, 3)."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Extra column -> value."""
