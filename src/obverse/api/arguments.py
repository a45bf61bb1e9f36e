"""Arguments of the Python API, refused in one sentence when they are of the wrong kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from obverse.errors import RecipeError


def path_of(name: str, value: object) -> Path:
    """The argument `name` as a path; RecipeError when it is none or empty."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise RecipeError(f"{name} must be a path, not {value!r}")
    if not text:
        raise RecipeError(f"{name}: the path is empty")
    if "\0" in text:
        raise RecipeError(f"{name} {text!r}: a path cannot hold a null character")
    return Path(text)


def optional_path(name: str, value: object) -> Path | None:
    """The same, where None stands for the default."""
    return None if value is None else path_of(name, value)


def require_text(name: str, value: object) -> None:
    """RecipeError when the argument `name` is no text."""
    if not isinstance(value, str):
        raise RecipeError(f"{name} must be text, not {value!r}")


def several(value: object) -> tuple[Any, ...]:
    """One value or a list of them as a tuple; paths as text. None is no value, and a tuple is one (height, width)."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(os.fspath(one) if isinstance(one, os.PathLike) else one for one in values)
