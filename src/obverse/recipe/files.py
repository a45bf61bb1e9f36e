"""Recipe files: `extends` and `--set`. The rules of their YAML are in yaml_text.py."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from obverse.errors import RecipeError
from obverse.recipe.specs.backbone import AutoBackbone
from obverse.recipe.specs.spec import Spec

from .faults import did_you_mean, sentences_of, short
from .recipe import Recipe
from .yaml_text import dump_yaml, parse_yaml, read_yaml

S = TypeVar("S", bound=Spec)


def shipped_recipes() -> dict[str, str]:
    """Name -> text of every recipe that comes with the package."""
    folder = resources.files("obverse.recipes")
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in sorted(files, key=str)}


def load_recipe(source: str | os.PathLike[str] | Recipe = "auto", settings: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, a YAML file or a recipe, with `a.b=c` settings on top.

    Raises RecipeError for a missing file, broken YAML, an unknown key or a wrong value.
    """
    if isinstance(source, Recipe):
        values, name = source.model_dump(mode="json"), source.name
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        values = _read_with_base(name)
    else:
        raise RecipeError("a recipe is the name of a shipped one, a YAML file or a Recipe, "
                          f"not {type(source).__name__}; single fields go into settings")  # fmt: skip
    for setting in settings:
        _apply_setting(values, setting)
    return build_recipe(values, name)


def build_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Validate plain values; every fault becomes part of one RecipeError."""
    return build_spec(Recipe, _with_backbone_kind(values), f"recipe {where}", recipe_schema)


def _with_backbone_kind(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with kind `auto` for a backbone of which only the weights are said."""
    model = values.get("model") if isinstance(values, dict) else None
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(backbone, dict) or "kind" in backbone:
        return values
    if not backbone.keys() <= AutoBackbone.model_fields.keys():
        return values
    return {**values, "model": {**model, "backbone": {"kind": "auto", **backbone}}}


def build_spec(kind: type[S], values: Any, where: str, schema: Callable[[], dict[str, Any]] | None = None) -> S:
    """The validated spec of any kind; see `build_recipe`.

    schema: makes the JSON Schema of the keys that a user may write, for an error; it takes a fifth of a second.
    """
    try:
        text = json.dumps(values)
        return kind.model_validate_json(text)
    except ValidationError as error:
        sentences = sentences_of(error, json.loads(text), (schema or kind.model_json_schema)())
        raise RecipeError(f"{where}: {sentences}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: {error}; keys and values must be plain words, numbers and lists") from None


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe as YAML (floats in full precision) that `load_recipe` reads back equal."""
    path.write_text(dump_recipe(recipe), encoding="utf-8")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML text with every field."""
    return dump_yaml(recipe.model_dump(mode="json"))


def recipe_schema() -> dict[str, Any]:
    """JSON Schema of recipe files, for editors that complete and check YAML."""
    schema = Recipe.model_json_schema()
    schema["properties"]["extends"] = {"type": "string", "description": "a shipped recipe or a file to start from"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _read_with_base(name_or_path: str) -> dict[str, Any]:
    values, folder = _read(name_or_path, Path())
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"recipe {name_or_path}: `extends` must be a recipe's name or file")
    base_values, _ = _read(base, folder)
    if "extends" in base_values:
        raise RecipeError(f"recipe {name_or_path}: `{base}` extends another recipe itself; only one level is allowed")
    return _merged(base_values, values)


def _read(name_or_path: str, folder: Path) -> tuple[dict[str, Any], Path]:
    shipped = shipped_recipes()
    path, where = folder / name_or_path, f"recipe {name_or_path}"
    if name_or_path in shipped:
        values = parse_yaml(shipped[name_or_path], where)
    elif _is_there(path):
        values = read_yaml(path, where)
    else:
        raise RecipeError(f"no recipe `{short(name_or_path)}`: not a file, and the shipped ones are "
                          + ", ".join(shipped) + did_you_mean(name_or_path, list(shipped)))  # fmt: skip
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise RecipeError(f"recipe {name_or_path}: a recipe is a list of `key: value` lines")
    return values, path.parent


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`top` over `base`, section by section; another `kind` replaces the whole section."""
    result = dict(base)
    for key, value in top.items():
        old = result.get(key)
        same = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind")
        )
        result[key] = _merged(result[key], value) if same else value
    return result


def _apply_setting(values: dict[str, Any], setting: str) -> None:
    path, equals, text = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {short(setting)}: write it as section.field=value, for example optim.lr=3e-4")
    for key in keys[:-1]:
        section = values.get(key)
        values[key] = dict(section) if isinstance(section, dict) else {}
        values = values[key]
    value = parse_yaml(text, f"--set {short(setting)}")
    if path == "data.path" or (path == "data" and isinstance(value, dict) and "path" in value):
        raise RecipeError(f"--set {short(setting)}: data.path has no effect, because DATA says what is read; leave it "
                          "out")  # fmt: skip
    values.update(_merged(values, {keys[-1]: value}))


def _is_there(path: Path) -> bool:
    """Whether the path exists and is no folder; False for a name that is too long or contains a NUL."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False
