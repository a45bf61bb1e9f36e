"""Arguments of the Python API, refused in one sentence when they are of the wrong kind."""

from __future__ import annotations

import os
from pathlib import Path

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
