"""What is written about a weight file: its metadata, its name, and the configuration beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.models import list_models

from obverse.models.weights.weight_files import CONFIG, read_json, read_notes
from obverse.recipe import TIMM_OPTIONS, parse_yaml

Channels = tuple[float, float, float]
# The name of a file, and of the folders that a hub's cache puts around it.
NAMED_PARTS = 4
NUMBER = r"\d*\.?\d+"
TRIPLE = rf"[\[(]\s*({NUMBER})\s*,\s*({NUMBER})\s*,\s*({NUMBER})\s*[\])]"


@dataclass(frozen=True)
class Hints:
    """What a person or a library wrote about a weight file. None of it is certain: the tensors decide."""

    text: str
    """Metadata, configuration's name and path, as one text."""

    config: dict[str, Any]
    """Content of config.json beside the file; empty where there is none."""

    names: tuple[str, ...]
    """Models of timm that the text names, long names first."""

    options: dict[str, bool | int | float | str]
    """Options of timm that the metadata say, such as `pad_type='same'`."""

    mean: Channels | None
    """Mean that the metadata say."""

    std: Channels | None
    """Standard deviation that the metadata say."""


def read_hints(path: Path) -> Hints:
    """What is written about the weight file at `path`."""
    config, notes = read_json(path.parent / CONFIG), read_notes(path)
    written = "; ".join(f"{key}={value}" for key, value in notes.items())
    architecture = str(config.get("architecture", ""))
    tag = (config.get("pretrained_cfg") or config).get("tag")
    text = "; ".join([f"{architecture}.{tag}" if tag else architecture, written, *path.absolute().parts[-NAMED_PARTS:]])
    return Hints(text, config, _names(text, architecture), _options(written), *_statistics(written))


def _names(text: str, architecture: str) -> tuple[str, ...]:
    words = set(re.findall(r"[a-z0-9_]+", text.lower()))
    # A name may go on, as in mobilenetv2_100_imagenet1k.
    starts = {word[:end] for word in words for end in [*(m.start() for m in re.finditer("_", word)), len(word)]}
    named = sorted(starts & set(list_models()), key=lambda name: (name != architecture, -len(name), name))
    return tuple(named)


def _options(text: str) -> dict[str, bool | int | float | str]:
    pairs = re.findall(r"\b([a-z_]+)\s*=\s*['\"]?([\w.]+)", text)
    return {key: parse_yaml(value, key) for key, value in pairs if key in TIMM_OPTIONS}


def _statistics(text: str) -> tuple[Channels | None, Channels | None]:
    """(mean, std) that a text says: `mean=[0.5, 0.5, 0.5]`, `mean=0.5` or `mean=std=0.5`."""
    both = re.sub(r"\bmean\s*=\s*std\s*=\s*", "mean=std=", text)
    values = []
    for key in (r"\bmean\s*=\s*(?:std\s*=\s*)?", r"\bstd\s*=\s*"):
        triple, number = re.search(key + TRIPLE, both), re.search(rf"{key}({NUMBER})", both)
        parts = triple.groups() if triple else (number[1],) * 3 if number else None
        values.append((float(parts[0]), float(parts[1]), float(parts[2])) if parts else None)
    return values[0], values[1]
