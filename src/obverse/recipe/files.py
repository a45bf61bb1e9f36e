"""Recipe files: `extends`, `--set`, and sentences for what is wrong. The rules of their YAML are in yaml_text.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from obverse.errors import RecipeError
from obverse.recipe.specs.spec import Spec

from .recipe import Recipe
from .yaml_text import dump_yaml, parse_yaml, read_yaml

S = TypeVar("S", bound=Spec)
# Of a section, in an error.
SHOWN_FIELDS = 4
# Of the faulty places of a recipe; more would be no sentence.
SHOWN_PLACES, MOST_PLACES = 8, 200
# Of a name or value in an error.
SHOWN_LETTERS = 120


def shipped_recipes() -> dict[str, str]:
    """Name -> text of every recipe that comes with the package."""
    folder = resources.files("obverse.recipes")
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in sorted(files, key=str)}


def load_recipe(name_or_path: str = "auto", settings: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name or a YAML file, with `a.b=c` settings on top.

    Raises RecipeError for a missing file, broken YAML, an unknown key or a wrong value.
    """
    values = _read_with_base(name_or_path)
    for setting in settings:
        _apply_setting(values, setting)
    return build_recipe(values, name_or_path)


def build_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Validate plain values; every fault becomes part of one RecipeError."""
    return build_spec(Recipe, values, f"recipe {where}", recipe_schema())


def build_spec(kind: type[S], values: Any, where: str, schema: dict[str, Any] | None = None) -> S:
    """The same for any spec. schema: with the keys that a user may write, where they are more than the spec's."""
    try:
        text = json.dumps(values)
        return kind.model_validate_json(text)
    except ValidationError as error:
        sentences = _sentences(error, json.loads(text), schema or kind.model_json_schema())
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
        raise RecipeError(f"no recipe `{_short(name_or_path)}`: not a file, and the shipped ones are "
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
        raise RecipeError(f"--set {_short(setting)}: write it as section.field=value, for example optim.lr=3e-4")
    for key in keys[:-1]:
        section = values.get(key)
        values[key] = dict(section) if isinstance(section, dict) else {}
        values = values[key]
    value = parse_yaml(text, f"--set {_short(setting)}")
    values.update(_merged(values, {keys[-1]: value}))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """` (did you mean `x`?)` or nothing."""
    if word in known:
        return ""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean `{close[0]}`?)" if close else ""


def _sentences(error: ValidationError, values: Any, schema: dict[str, Any]) -> str:
    """One clause per faulty place; the branches of a union (`auto` or a number) are alternatives, not faults."""
    places: dict[str, list[str]] = {}
    for fault in error.errors():
        where = _dotted(fault["loc"], values, is_missing=fault["type"] == "missing")
        if where not in places and len(places) == MOST_PLACES:
            break
        if fault["type"] == "extra_forbidden":
            hint = did_you_mean(str(fault["loc"][-1]), _fields_at(fault["loc"][:-1], schema))
            places.setdefault(where, []).append(f"unknown key{hint}")
        else:
            message = _words(fault, schema)
            given = json.dumps(fault["input"], default=str)
            given = f" (given: {given})" if len(given) < 60 else ""
            places.setdefault(where, []).append(message + given)
    clauses = []
    for where, messages in places.items():
        if any(other.startswith(f"{where}.") for other in places):
            continue  # the alternative that was meant is faulty further down
        last, given, value = messages[-1].partition(" (given")
        alternatives = dict.fromkeys([*(message.partition(" (given")[0] for message in messages[:-1]), last])
        clauses.append(f"`{_short(where or 'recipe')}`: {' or '.join(alternatives)}{given}{value}")
    more = len(clauses) - SHOWN_PLACES
    return "; ".join(clauses[:SHOWN_PLACES] + [f"and {more} more places"] * (more > 0))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."


def _is_there(path: Path) -> bool:
    """Something with that name, be it a pipe or a device; a name may also be too long or hold a NUL."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _words(fault: Mapping[str, Any], schema: dict[str, Any]) -> str:
    """What a value must be, as a user would say it."""
    kinds = _kinds_at(fault["loc"], schema)
    tag = str(fault.get("ctx", {}).get("tag"))
    if fault["type"] == "union_tag_invalid":
        return f"unknown kind `{tag}`{did_you_mean(tag, kinds)}; the kinds are {', '.join(kinds)}"
    if fault["type"] == "union_tag_not_found":
        return f"say which `kind`: {', '.join(kinds)}"
    if fault["type"] in ("model_type", "dict_type") and kinds:
        return f"{{kind: ...}}, where kind is one of {', '.join(kinds)}"
    if fault["type"] in ("model_type", "dict_type"):
        section = schema.get("$defs", {}).get(fault.get("ctx", {}).get("class_name"), {})
        fields = list(section.get("properties", {}))
        shown = [f"{field}: ..." for field in fields[:SHOWN_FIELDS]] + ["..."] * (len(fields) > SHOWN_FIELDS)
        return f"{{{', '.join(shown) or 'key: value'}}}"
    return str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _dotted(loc: Sequence[str | int], values: Any, *, is_missing: bool) -> str:
    """The place as the user wrote it: pydantic's location without the names of union branches."""
    keys = []
    for part in loc:
        if part in values if isinstance(values, dict) else isinstance(values, list) and part in range(len(values)):
            values = values[part]
            keys.append(str(part))
    return ".".join([*keys, str(loc[-1])] if is_missing else keys)


def _fields_at(loc: Sequence[str | int], schema: dict[str, Any]) -> list[str]:
    """Field names of the section at a pydantic error location, read from the JSON Schema."""
    return list(_node_at(loc, schema).get("properties", {}))


def _kinds_at(loc: Sequence[str | int], schema: dict[str, Any]) -> list[str]:
    """The kinds of the section there, where it has kinds."""
    return list(_node_at(loc, schema).get("discriminator", {}).get("mapping", {}))


def _node_at(loc: Sequence[str | int], schema: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = schema
    for part in loc:
        if isinstance(part, int) and "items" in node:
            node = _resolved(node["items"], schema)
            continue
        choices = [node, *node.get("anyOf", []), *node.get("oneOf", [])]
        choices = [_resolved(choice, schema) for choice in choices]
        by_kind = [c for c in choices if c.get("properties", {}).get("kind", {}).get("const") == part]
        by_name = [c["properties"][part] for c in choices if part in c.get("properties", {})]
        found = by_kind or by_name
        node = _resolved(found[0], schema) if found else node
    return node


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node
