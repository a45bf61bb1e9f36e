"""Candidates of a comparison: pretrained backbones, each with the options by which it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import RecipeError, UnavailableError
from obverse.models import IN_FOLDERS, SUFFIXES
from obverse.recipe import AutoBackbone, Backbone, Recipe, WithWeights

NOTHING = (
    "there are no pretrained weights to compare: give a file or a folder of files with --weights, or a model whose "
    "weights the hub has with --model"
)


@dataclass(frozen=True)
class Candidate:
    """A pretrained backbone."""

    backbone: Backbone

    name: str
    """Name of the model, with that of the weight file where it comes from one."""

    arguments: tuple[str, ...]
    """Options of `obverse train` that choose it."""

    licence: str = ""
    """Licence of the weights; empty where nothing says it."""


def candidates_of(recipes: Sequence[Recipe], weights: Sequence[str]) -> tuple[Candidate, ...]:
    """The candidates that recipes and weight files name, else those in the hub's cache.

    recipes: one for each model that is named; one without a named model, where none is.
    UnavailableError when there is none.
    """
    named = [recipe.model.backbone for recipe in recipes if not isinstance(recipe.model.backbone, AutoBackbone)]
    files = [file for given in weights for file in weight_files(given)]
    if len(named) > 1 and files:
        raise RecipeError("several --model and --weights: which weights are whose? Give one --model, or none: then "
                          "the networks are recognised from the files")  # fmt: skip
    if files and named:
        return tuple(_of_file(named[0].changed({"pretrained": file}), file, named=True) for file in files)
    if files:
        return tuple(_of_file(recognised(file), file, named=False) for file in files)
    found = tuple(map(_of_name, named)) if named else tuple(at_hand())
    if not found:
        raise UnavailableError(NOTHING)
    return found


def weight_files(given: str) -> Iterator[str]:
    """The weights at a path: a file, a folder of one model, or a folder of several files and folders of models."""
    path = Path(given).expanduser()
    if not path.is_dir():
        yield given
        return
    models = sorted(inner for inner in path.iterdir() if inner.is_dir() and _is_model(inner))
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if _is_model(path) or not (models or len(files) > 1):
        yield given  # where nothing is found, reading it says what is missing
        return
    yield from map(str, (*files, *models))


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in IN_FOLDERS)


def _of_file(backbone: Backbone, file: str, *, named: bool) -> Candidate:
    model = ("--model", _short(backbone)) if named else ()
    return Candidate(backbone, f"{_name(backbone)} ({Path(file).name})", (*model, "--weights", file))


def _of_name(backbone: Backbone) -> Candidate:
    if not isinstance(backbone, WithWeights) or backbone.is_scratch:
        raise RecipeError(f"a probe compares pretrained backbones, and `{_name(backbone)}` has no weights; give them "
                          "with --weights")  # fmt: skip
    weights = () if backbone.pretrained == "hub" else ("--weights", backbone.pretrained)
    return Candidate(backbone, _name(backbone), ("--model", _short(backbone), *weights))


def _name(backbone: Backbone) -> str:
    return backbone.name if isinstance(backbone, WithWeights) else backbone.kind


def _short(backbone: Backbone) -> str:
    """The backbone as `--model` takes it."""
    return _name(backbone) if backbone.kind in ("timm", _name(backbone)) else f"{backbone.kind}:{_name(backbone)}"


def recognised(file: str) -> Backbone:
    raise RecipeError(f"--weights {file}: say which network it holds with --model NAME")


def at_hand() -> Iterator[Candidate]:
    yield from ()
