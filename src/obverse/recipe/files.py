"""Recipe files: YAML in and out, `extends`, `--set`, and sentences for what is wrong.

YAML is read with the rules of YAML 1.2 for numbers and booleans: `1e-4` is a number, `no` and `off` are words (a class
may be called that), and a key written twice is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from obverse.errors import RecipeError

from .recipe import Recipe
from .spec import Spec

S = TypeVar("S", bound=Spec)
# Of a section, in an error.
SHOWN_FIELDS = 4


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars and no duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise RecipeError(f"the key `{key}` is written twice (line {node.start_mark.line + 1})")
        return super().construct_mapping(node, deep)


# PyYAML would read 010 as octal.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes every word that `_Loader` or a YAML 1.1 reader would take for something else."""


def _represent_word(dumper: yaml.SafeDumper, word: str) -> yaml.ScalarNode:
    resolvers = _Loader.yaml_implicit_resolvers.get(word[:1], [])
    reads_back = not any(pattern.match(word) for _, pattern in resolvers)
    # PyYAML writes these line separators as they are, and reads them as line ends.
    is_plain = reads_back and not set(word) & set("\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", word, style=None if is_plain else '"')


_Dumper.add_representer(str, _represent_word)


def parse_yaml(text: str, where: str) -> Any:
    """The YAML value in `text`; RecipeError names `where` and the line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 3,000 brackets
        raise RecipeError(f"{where} is not valid YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{where}{line} is not valid YAML: {getattr(error, 'problem', error)}") from None


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
    return yaml.dump(recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


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
    path = folder / name_or_path
    if name_or_path in shipped:
        text = shipped[name_or_path]
    elif path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {name_or_path} cannot be read as UTF-8 text: {error}") from None
    else:
        raise RecipeError(f"no recipe `{name_or_path}`: not a file, and the shipped ones are {', '.join(shipped)}"
                          + did_you_mean(name_or_path, list(shipped)))  # fmt: skip
    values = parse_yaml(text, f"recipe {name_or_path}")
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
        raise RecipeError(f"--set {setting}: write it as section.field=value, for example optim.lr=3e-4")
    for key in keys[:-1]:
        section = values.get(key)
        values[key] = dict(section) if isinstance(section, dict) else {}
        values = values[key]
    value = parse_yaml(text, f"--set {setting}")
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
        alternatives = [message.partition(" (given")[0] for message in messages[:-1]] + messages[-1:]
        clauses.append(f"`{where or 'recipe'}`: {' or '.join(dict.fromkeys(alternatives))}")
    return "; ".join(clauses)


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
