"""Options that are short for a field of the recipe: `--epochs 5`, in Python `epochs=5`, is `training.epochs=5`."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, TypedDict, TypeVar, get_args

from obverse.errors import RecipeError
from obverse.recipe import Backbone, Recipe, WithWeights, did_you_mean, load_recipe, parse_yaml

F = TypeVar("F", bound=Callable[..., Any])
FIELDS = {
    "--layout": "data.layout",
    "--label-column": "data.label_column",
    "--image-column": "data.views",
    "--image-root": "data.image_root",
    "--fixes": "data.fixes",
    "--size": "data.size",
    "--model": "model.backbone",
    "--weights": "model.backbone.pretrained",
    "--epochs": "training.epochs",
    "--batch-size": "training.batch_size",
    "--lr": "optim.lr",
    "--seed": "training.seed",
    "--minutes": "training.minutes",
    "--device": "runtime.device",
    "--track": "training.trackers",
}
# Those that read text, and of them those that also take several.
LISTS = {"--image-column", "--fixes", "--track"}
TEXTS = LISTS | {"--model", "--image-root"}
# `kind` of a backbone -> whether it has a `name` field.
NAMED = {kind.model_fields["kind"].default: issubclass(kind, WithWeights) for kind in get_args(get_args(Backbone)[0])}


class DataForms(TypedDict, total=False):
    """Options on how data is read, as Python takes them."""

    layout: str | None
    label_column: str | None
    image_column: str | Sequence[str] | None
    image_root: str | os.PathLike[str] | None
    fixes: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None


class TrainingForms(DataForms, total=False):
    """Options of a training, as Python takes them. size: 224, or (height, width)."""

    size: int | str | tuple[int, int] | None
    model: str | None
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    epochs: int | None
    batch_size: int | None
    lr: float | None
    seed: int | None
    minutes: float | None
    device: str | None
    track: str | Sequence[str] | None


class ProbeForms(DataForms, total=False):
    """Options of a comparison of backbones, as Python takes them. A list of models, weights or sizes is several."""

    model: str | Sequence[str] | None
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    size: int | str | tuple[int, int] | list[int] | None
    device: str | None


class SuspectForms(DataForms, total=False):
    """Options of a search for suspect labels, as Python takes them. A list of weights is several."""

    model: str | None
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    size: int | str | tuple[int, int] | None
    device: str | None


def with_options(forms: type[Any]) -> Callable[[F], F]:
    """A decorator: `help` and `inspect.signature` then show the options that a function takes as `**options`."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind != Parameter.VAR_KEYWORD]
        options = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
            for name, kind in forms.__annotations__.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return function

    return decorate


def python_forms(options: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """`given_forms` of the keyword arguments of a Python function. Raises RecipeError for an unknown argument."""
    for name in options:
        if name not in known:
            raise RecipeError(f"no option `{name}`{did_you_mean(name, known)}; it may be {', '.join(known)}, and any "
                              "field of the recipe goes into settings={'section.field': value}")  # fmt: skip
    return given_forms({name: _plain(value) for name, value in options.items()})


def as_lines(settings: Mapping[str, Any] | None) -> list[str]:
    """Settings of a Python call, as `--set` takes them."""
    if not isinstance(settings, Mapping | None):
        raise RecipeError(f"the settings are {settings!r}; write a mapping such as {{'optim.lr': 1e-3}}")
    return [f"{field}={_as_json(field, value)}" for field, value in (settings or {}).items()]


def _as_json(field: str, value: Any) -> str:
    try:
        return json.dumps(_plain(value), default=_plain)
    except (TypeError, ValueError):
        raise RecipeError(f"the setting {field}={value!r}: write plain words, numbers, lists and mappings") from None


def _plain(value: Any) -> Any:
    """The value as a plain Python object: a path as text, a numpy number as a Python number, within sequences too."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") else value


def given_forms(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of FIELDS that the user has given: option -> value of its recipe field.

    options: parameter name -> value, as a verb takes them.
    """
    named = {option: options.get(option.removeprefix("--").replace("-", "_")) for option in FIELDS}
    given = {option: value for option, value in named.items() if value not in (None, [], ())}
    for option in TEXTS & given.keys():
        parts = given[option] if option in LISTS and isinstance(given[option], (list, tuple)) else [given[option]]
        if not all(isinstance(part, str) for part in parts):
            raise RecipeError(f"{option} {given[option]!r}: write a name")
    readers = {
        "--size": _size,
        "--model": _backbone,
        "--image-root": image_root_setting,
        "--image-column": _listed,
        "--fixes": lambda files: [*map(os.path.abspath, _listed(files))],
        "--track": _listed,
        "--weights": _one_or_several,
    }
    return {option: readers[option](value) if option in readers else value for option, value in given.items()}


def recipe_of(name: str | os.PathLike[str] | Recipe, settings: Sequence[str], forms: Mapping[str, Any]) -> Recipe:
    """The recipe with the short forms and `--set`. Raises RecipeError when they contradict each other."""
    short = as_settings(settings, forms)
    # The model is set first, because changing the kind of backbone drops all fields of the old backbone.
    first = [short.pop("--model")] if "--model" in short else []
    try:
        return load_recipe(name, [*first, *settings, *short.values()])
    except RecipeError as error:
        if "--weights" in forms and "`model.backbone" in str(error):
            raise RecipeError(f"{error} (--weights is for a model that can have weights; --model says which)") from None
        raise


def as_settings(settings: Sequence[str], forms: Mapping[str, Any]) -> dict[str, str]:
    """Each short form as a setting. Raises RecipeError when it contradicts one of `settings`."""
    for option, value in forms.items():
        for setting in settings:
            _require_agreement(option, value, setting)
    return {option: f"{FIELDS[option]}={json.dumps(value, ensure_ascii=False)}" for option, value in forms.items()}


def _require_agreement(option: str, value: Any, setting: str) -> None:
    path, equals, text = setting.partition("=")
    if not equals:
        return  # a malformed setting, for which `load_recipe` raises the error
    mine, other = _leaves(FIELDS[option], value), _leaves(path, parse_yaml(text, f"--set {setting}"))
    pairs = [(a, b) for a in mine for b in other]
    if any(mine[a] != other[b] if a == b else f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")
           for a, b in pairs):  # fmt: skip
        raise RecipeError(f"{option} and --set {setting} contradict each other; leave one out")


def _leaves(path: str, value: Any) -> dict[str, Any]:
    """The leaves of a nested value: dotted field -> value."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {leaf: v for key, inner in value.items() for leaf, v in _leaves(f"{path}.{key}", inner).items()}


def image_root_setting(root: str) -> str:
    """The absolute path of a folder that exists here; any other name (beside the table, in an archive) as it is."""
    return os.path.abspath(root) if os.path.isdir(root) else root


def _listed(values: str | Sequence[str]) -> list[str]:
    return list(values) if isinstance(values, (list, tuple)) else [str(values)]


def _one_or_several(values: Any) -> Any:
    is_list = isinstance(values, (list, tuple))
    return values[0] if is_list and len(values) == 1 else values


def _size(size: str | int | Sequence[int]) -> int | dict[str, int]:
    if isinstance(size, (list, tuple)) and len(size) == 2:
        return {"height": size[0], "width": size[1]}
    text = str(size)
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if match is None:
        raise RecipeError(f"--size {text}: write 224 for a square, or WIDTHxHEIGHT such as 640x320")
    width, height = match.groups()
    return int(width) if height is None else {"height": int(height), "width": int(width)}


def _backbone(text: str) -> dict[str, str]:
    """The backbone spec of `convnet`, `hf:NAME` or `torchvision:NAME`; any other text is a name of timm."""
    kind, colon, name = text.partition(":")
    if not colon and NAMED.get(text) is False:
        return {"kind": text}
    if not colon or not NAMED.get(kind):
        return {"kind": "timm", "name": text}
    return {"kind": kind, "name": name}
