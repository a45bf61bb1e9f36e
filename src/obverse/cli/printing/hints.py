"""What to do next, as a line that can be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from obverse.errors import printable


def predict_hint(model: Path, example: Mapping[str, str | None]) -> str:
    """`obverse predict` with a picture for every view; PICTURE stands where no file is known."""
    pictures = {view: "PICTURE" if file is None else _quoted(file) for view, file in example.items()}
    if len(pictures) == 1:
        (words,) = pictures.values()
    else:
        words = " ".join(f"--view {_quoted(view)}={picture}" for view, picture in pictures.items())
    return f"obverse predict {_quoted(str(model))} {words}"


def compare_hint(*runs: Path) -> str:
    """`obverse compare` of these runs."""
    return " ".join(["obverse compare", *(_quoted(str(run)) for run in runs)])


def _quoted(word: str) -> str:
    return printable(shlex.quote(word if not word.startswith("-") else f"./{word}"))
