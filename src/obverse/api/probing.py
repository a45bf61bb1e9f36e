"""The comparison of backbones, as the command and the Python API start it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import OutputError
from obverse.recipe import Recipe, Size

from .short_forms import given_forms, recipe_of

if TYPE_CHECKING:
    from obverse.probing import Probe

Progress = Callable[[int, int], None]
Name = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is compared."""

    models: Sequence[str] = ()
    weights: Sequence[str] = ()
    sizes: Sequence[int | str | tuple[int, int]] = ()
    folds: int = 5
    samples: int | None = None
    """Most samples to compare on; None is the default of the comparison."""


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Functions that are called while the comparison runs."""

    reading: Progress = lambda done, total: None
    """Called with (done, total) while pictures are verified."""

    computing: Progress = lambda done, total: None
    """Called with (done, total) while features are computed."""

    notify: Callable[[str], None] = lambda line: None
    """Called with messages."""


def run_probe(
    data: Path,
    recipe: Name | Recipe,
    settings: Sequence[str],
    forms: Mapping[str, Any],
    *,
    wanted: Wanted,
    out: Path | None,
    watching: Watching,
) -> Probe:
    """The comparison, written into `out` unless that is None. forms: options on the data and the device."""
    named = [given_forms({"model": model}) for model in wanted.models] or [{}]
    recipes = [recipe_of(recipe, settings, {**forms, **model}) for model in named]
    given = [{**forms, **named[0], **given_forms({"size": size})} for size in wanted.sizes]
    sizes = [recipe_of(recipe, settings, options).data.size for options in given]
    if out is not None:
        _require_folder(out)
    from obverse.probing import MOST_SAMPLES, Plan, candidates_of, probe

    plan = Plan(
        sizes=tuple(size for size in sizes if isinstance(size, Size)) or (None,),
        folds=wanted.folds,
        most_samples=MOST_SAMPLES if wanted.samples is None else wanted.samples,
        arguments=tuple(_repeated(recipe, settings, forms)),
    )
    reasons: list[str] = []
    candidates = candidates_of(recipes, wanted.weights, reasons)
    for reason in reasons:
        watching.notify(reason)
    result = probe(data, recipes[0], candidates, plan, watching=watching)
    if out is not None:
        result.write(out)
    return result


def _require_folder(out: Path) -> None:
    """OutputError, before minutes of work, when results cannot be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {str(out)!r} cannot be written: {error.strerror}") from None


def _repeated(recipe: Name | Recipe, settings: Sequence[str], forms: Mapping[str, Any]) -> Iterator[str]:
    """The options that a training on the same data needs, too."""
    if not isinstance(recipe, Recipe) and recipe != "auto":
        yield from ("--recipe", os.fspath(recipe))
    for setting in settings:
        yield from ("--set", setting)
    for option, value in forms.items():
        for part in value if isinstance(value, list) else [value]:
            yield from (option, str(part))
