"""Facts about a run besides its measurements, read from its JSON files and its manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml

from obverse.errors import DataError
from obverse.files import read_json_object, read_regular, read_text

MOST_MANIFEST_BYTES = 2**30


@dataclass
class Manifests:
    """Digests of the data behind manifests. Equal files, as those of one study, are parsed once."""

    _known: dict[str, tuple[str, int, bool]] = field(default_factory=dict)

    def digest(self, path: Path) -> tuple[str, int, bool]:
        """Digest of the samples' ids, labels and pictures, whatever their split and folder; their number; and whether
        any is in a split `test`.

        Raises DataError when the file is missing or is no manifest.
        """
        try:
            content = read_regular(path, max_bytes=MOST_MANIFEST_BYTES)
        except OSError as error:
            raise DataError(f"{path.name} cannot be read: {error.strerror}") from None
        key = hashlib.sha256(content).hexdigest()
        if key not in self._known:
            self._known[key] = _digest(content, path.name)
        return self._known[key]


def _digest(content: bytes, name: str) -> tuple[str, int, bool]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline=""))
        # Multi-label data has its label sets in a column `labels`.
        label = "label" if "label" in (reader.fieldnames or ()) else "labels"
        lines = list(reader)
        rows = sorted((row["id"], row[label] or "", row.get("digest") or "") for row in lines)
    except KeyError as error:
        raise DataError(f"{name} is no manifest: it has no column {error}") from None
    except (TypeError, csv.Error) as error:
        raise DataError(f"{name} is no manifest: {error}") from None
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\x1f".join((*row, "\n")).encode("utf-8", "surrogateescape"))
    return digest.hexdigest(), len(rows), any(row.get("split") == "test" for row in lines)


def recipe_flaw(path: Path) -> str:
    """What is wrong with the file of a recipe; empty where it holds one."""
    try:
        recipe = yaml.safe_load(read_text(path))
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    except (ValueError, yaml.YAMLError, RecursionError):
        return f"{path.name} is no YAML"
    return "" if isinstance(recipe, dict) and recipe else f"{path.name} is empty or no recipe"


def bundle_flaw(path: Path) -> str:
    """What is wrong with a bundle, without reading its tensors; empty where it looks whole."""
    if not path.is_dir():
        return "it has no bundle, so it cannot predict"
    try:
        values = read_json_object(path / "model.json")
    except DataError as error:
        return str(error)
    lacking = [name for name in ("format", "classes", "weights_sha256") if name not in values]
    if lacking:
        return f"bundle/model.json does not describe a model: it has no `{lacking[0]}`"
    return "" if (path / "model.safetensors").is_file() else "bundle/model.safetensors is missing"


def data_name(config: dict[str, Any]) -> str:
    """Last part of the path of a recipe's data."""
    data = config.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    return PurePath(path).name if isinstance(path, str) else ""


def model_name(config: dict[str, Any]) -> str:
    """The backbone of a recipe and where its weights are from, without folders."""
    model = config.get("model")
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if not isinstance(backbone, dict):
        return ""
    name, weights = str(backbone.get("name") or backbone.get("kind") or ""), str(backbone.get("pretrained") or "none")
    words = {"hub": "pretrained", "none": "from scratch"}.get(weights, f"weights from {PurePath(weights).name}")
    return f"{name}, {words}"


def num_parameters(log: dict[str, Any]) -> int | None:
    """Number of parameters in a training log's facts."""
    facts = log.get("facts")
    text = facts.get("parameters") if isinstance(facts, dict) else None
    match = re.match(r"[\d,]+", text) if isinstance(text, str) else None
    return int(match[0].replace(",", "")) if match and match[0].strip(",") else None


def seconds_of(log: dict[str, Any]) -> float | None:
    """Seconds of training in a training log."""
    seconds = log.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None


def chosen_by(log: dict[str, Any]) -> tuple[str, float | None]:
    """The metric by which a training chose its epoch, and its best value."""
    epochs, value = log.get("epochs"), log.get("best_value")
    first = epochs[0] if isinstance(epochs, list) and epochs and isinstance(epochs[0], dict) else {}
    return str(first.get("select") or ""), float(value) if isinstance(value, int | float) else None


def choice_note(path: Path) -> str:
    """What a run has chosen among ways of training; empty where it did not choose."""
    if not path.exists():
        return ""
    with suppress(DataError, KeyError, TypeError):
        choice = read_json_object(path)
        return f"chose {choice['chosen']} of {len(choice['ways'])} ways of training"
    return "what it chose cannot be read"


def bundle_bytes(path: Path) -> int | None:
    """Size of a bundle; None where there is none."""
    with suppress(OSError):
        sizes = [file.stat().st_size for file in path.iterdir() if file.is_file()]
        return sum(sizes) if (path / "model.json").is_file() else None
    return None


def last_change(*paths: Path) -> float | None:
    """Time at which the first of these files that exists was last changed."""
    for path in paths:
        with suppress(OSError):
            return path.stat().st_mtime
    return None
