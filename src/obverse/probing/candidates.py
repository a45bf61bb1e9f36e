"""Candidates of a comparison: pretrained backbones, each with the options by which it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse import models
from obverse.errors import RecipeError, UnavailableError
from obverse.models import weights_licence
from obverse.recipe import AutoBackbone, Backbone, Recipe, WithWeights

NOTHING = (
    "there are no pretrained weights to compare, and the hub's cache has none: give a file or a folder of files with "
    "--weights, or a model whose weights the hub has with --model"
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

    reason: str = ""
    """Clause for the user: what the backbone is, and from what that follows."""


def candidates_of(
    recipes: Sequence[Recipe], weights: Sequence[str], reasons: list[str] | None = None
) -> tuple[Candidate, ...]:
    """The candidates that recipes and weight files name, else those in the hub's cache.

    recipes: one for each model that is named; one without a named model, where none is.
    reasons: receives a sentence for each file in a folder that is left out.
    UnavailableError when there is none.
    """
    named = [recipe.model.backbone for recipe in recipes if not isinstance(recipe.model.backbone, AutoBackbone)]
    if weights and len(named) > 1:
        raise RecipeError("several --model and --weights: which weights are whose? Give one --model, or none: the "
                          "networks are recognised from the files")  # fmt: skip
    if named and weights:
        return tuple(_named(named[0].changed({"pretrained": file})) for file in weights)
    all_of_them = tuple(map(_named, named)) if named else at_hand(AutoBackbone(pretrained=tuple(weights)), reasons)
    if not all_of_them:
        raise UnavailableError(NOTHING)
    return all_of_them


def at_hand(auto: AutoBackbone, reasons: list[str] | None = None) -> tuple[Candidate, ...]:
    """The networks in the weight files of `auto`, or without files the catalogue's in the hub's cache."""
    files = auto.files
    entries = models.candidates(files, reasons=reasons, mean=auto.mean, std=auto.std)
    if not files:
        return tuple(Candidate(e.backbone, e.label, ("--model", e.label), e.licence, e.reason) for e in entries)
    labels = [f"{e.backbone.name} ({e.label})" for e in entries]
    names = [f"{e.backbone.name} ({e.backbone.pretrained})" if labels.count(label) > 1 else label
             for e, label in zip(entries, labels, strict=True)]  # fmt: skip
    return tuple(
        Candidate(e.backbone, name, ("--weights", e.backbone.pretrained), e.licence, e.reason)
        for e, name in zip(entries, names, strict=True)
    )


def _named(backbone: Backbone) -> Candidate:
    """The candidate of a spec that the user has named."""
    if not isinstance(backbone, WithWeights) or backbone.is_scratch:
        raise RecipeError(f"a probe compares pretrained backbones, and `{_name(backbone)}` has no weights; give them "
                          "with --weights")  # fmt: skip
    model = backbone.name if backbone.kind == "timm" else f"{backbone.kind}:{backbone.name}"
    if backbone.pretrained == "hub":
        return Candidate(backbone, model, ("--model", model), weights_licence(backbone))
    file, arguments = Path(backbone.pretrained).name, ("--model", model, "--weights", backbone.pretrained)
    return Candidate(backbone, f"{model} ({file})", arguments, weights_licence(backbone))


def _name(backbone: Backbone) -> str:
    return backbone.name if isinstance(backbone, WithWeights) else backbone.kind
