"""Reading of the runs of a comparison, for the verb `compare` and for `obverse.compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.errors import RecipeError

if TYPE_CHECKING:
    from obverse.studies.compare import Contender


def require_different(runs: Sequence[Path]) -> None:
    """Raise RecipeError when a run is among `runs` twice."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise RecipeError("a run is given twice; it does not differ from itself")


def read_contenders(
    runs: Sequence[Path], split: str, *, may_be_unfinished: bool = False
) -> tuple[list[Contender], dict[str, str]]:
    """Contenders of the runs, and unfinished runs: name -> reason.

    may_be_unfinished: False raises DataError for an unfinished run.
    """
    from obverse.manifest import SPLITS
    from obverse.runs import RunFolder
    from obverse.studies.compare import read_contender

    if split not in SPLITS:
        raise RecipeError(f"no split `{split}`; choose one of {', '.join(SPLITS)}")
    names = [run.resolve().name for run in runs]
    contenders, unfinished = [], {}
    for run, name in zip(runs, names, strict=True):
        unique_name = name if names.count(name) == 1 else str(run)
        folder = RunFolder(run)
        if may_be_unfinished and folder.recipe.is_file() and not folder.is_finished:
            unfinished[unique_name] = "not finished"
        else:
            contenders.append(read_contender(run, split, unique_name))
    return contenders, unfinished
