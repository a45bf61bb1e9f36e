"""The fields of recipes, studies and criteria as Markdown, from the JSON Schemas and so from the fields' docstrings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from obverse.errors import RecipeError

from .criteria import Criteria
from .faults import did_you_mean
from .recipe import Recipe
from .sweep import SweepSpec

Node = dict[str, Any]
# Bounds from here on only keep out nonsense; the page names them once.
HARDLY_A_BOUND = 1_000_000
# Field of a study's file whose values have a page section of their own.
CRITERIA = "criteria"


@dataclass(frozen=True)
class Section:
    """One model: its path, and as Markdown its heading, its description and an item for every field, by path."""

    path: str
    heading: str
    description: str
    items: dict[str, str]

    def markdown(self) -> str:
        """The whole section."""
        return "\n\n".join([f"## {self.heading}", self.description, "\n".join(self.items.values())])


def describe_fields(name: str | None = None) -> str:
    """Markdown of every section, of those at and below a path (`data.split`), or of one field (`optim.lr`).

    `sweep` and `criteria` name the files of studies. RecipeError when nothing has that name.
    """
    sections = list(_all_sections())
    chosen = [section for section in sections if name is None or f"{section.path}.".startswith(f"{name}.")]
    if chosen:
        return _joined(section.markdown() for section in chosen)
    items = [section.items[name] for section in sections if name in section.items]
    if items:
        return _joined(items)
    known = dict.fromkeys(path for section in sections for path in (section.path, *section.items))
    raise RecipeError(f"no section or field `{name}` in a recipe{did_you_mean(str(name), list(known))}; "
                      "`obverse recipes --fields` lists them")  # fmt: skip


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(dict.fromkeys(blocks)) + "\n"


def _all_sections() -> Iterator[Section]:
    """Of a recipe's file, then of a study's and of a criteria file."""
    yield from _walk(Recipe.model_json_schema(), "The recipe", root="", path="recipe")
    yield from _walk(SweepSpec.model_json_schema(), "The file of a study", root="sweep.", path="sweep")
    yield from _walk(Criteria.model_json_schema(), "The file of criteria", root="", path=CRITERIA)


def _walk(schema: Node, heading: str, *, root: str, path: str) -> Iterator[Section]:
    yield _section(schema, schema, heading, root=root, path=path, prefix="")
    yield from _below(schema, schema, root=root, prefix="")


def _below(model: Node, schema: Node, *, root: str, prefix: str) -> Iterator[Section]:
    """The sections of a model's fields, and the sections of these."""
    for name, field in model["properties"].items():
        place = prefix + name
        if root + place == f"sweep.{CRITERIA}":
            continue
        for inner in _models_in(field, schema):
            kind = inner["properties"].get("kind", {}).get("const")
            heading = f"`{root}{place}`" + (f", `kind: {kind}`" if kind else "")
            yield _section(inner, schema, heading, root=root, path=root + place, prefix=f"{place}.")
            yield from _below(inner, schema, root=root, prefix=f"{place}.")


def _section(model: Node, schema: Node, heading: str, *, root: str, path: str, prefix: str) -> Section:
    required = model.get("required", [])
    items = {
        f"{root}{prefix}{name}": _item(root + prefix + name, field, schema, is_required=name in required)
        for name, field in model["properties"].items()
    }
    return Section(path, heading, _flowing(model["description"]), items)


def _item(place: str, field: Node, schema: Node, *, is_required: bool) -> str:
    facts = [_values(field, schema)]
    # A default that a factory makes, an empty mapping, is in no schema.
    default = field.get("default", {})
    if is_required:
        facts.append("required")
    elif not isinstance(default, dict):
        facts.append(f"default `{default if isinstance(default, str) else json.dumps(default)}`")
    elif not default:
        facts.append("default `{}`")
    elif len(list(_models_in(field, schema))) > 1:
        facts.append(f"default `{{kind: {default['kind']}}}`")
    return f"- **`{place}`** ({', '.join(facts)}): {_flowing(field['description'])}"


def _flowing(text: str) -> str:
    """Paragraphs without the line ends of the source."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _resolved(node: Node, schema: Node) -> Node:
    reference = node.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _choices(node: Node, schema: Node) -> list[Node]:
    """The alternatives of a value; one that has none is its own."""
    node = _resolved(node, schema)
    options = node.get("anyOf") or node.get("oneOf")
    return [choice for option in options for choice in _choices(option, schema)] if options else [node]


def _models_in(node: Node, schema: Node) -> Iterator[Node]:
    """The models that a field holds: itself, in a list, or under names."""
    for choice in _choices(node, schema):
        if "properties" in choice:
            yield choice
        for inner in (choice.get("items"), choice.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from _models_in(inner, schema)


def _values(node: Node, schema: Node) -> str:
    """What a value may be, in words."""
    words = dict.fromkeys(word for choice in _choices(node, schema) for word in _words(choice, schema))
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _words(choice: Node, schema: Node) -> list[str]:
    """The same of one alternative."""
    kind = choice.get("type", "any value")
    if "enum" in choice or "const" in choice:
        return [f"`{word}`" for word in choice.get("enum") or [choice["const"]]]
    if "properties" in choice:
        tag = choice["properties"].get("kind", {}).get("const")
        return [f"`{{kind: {tag}, ...}}`" if tag else "section"]
    if kind in ("integer", "number"):
        return [("whole number" if kind == "integer" else "number") + _bounds(choice)]
    if kind == "array":
        inner = choice.get("items") or choice["prefixItems"][0]
        count = f"list of {choice['maxItems']}, each" if "prefixItems" in choice else "list of"
        return [f"{count} {_values(inner, schema)}"]
    if kind == "object":
        inner = choice.get("additionalProperties")
        return [f"mapping to {_values(inner, schema)}" if isinstance(inner, dict) else "mapping"]
    return {"string": ["text"], "boolean": ["`true`", "`false`"], "null": ["`null`"]}.get(kind, [kind])


def _bounds(choice: Node) -> str:
    """From ... to ..., where the bounds say something."""
    low, above = choice.get("minimum"), choice.get("exclusiveMinimum")
    high, below = choice.get("maximum"), choice.get("exclusiveMaximum")
    words = []
    if above is not None:
        words.append(f"from {above + 1}" if choice["type"] == "integer" else f"above {above}")
    elif low is not None:
        words.append(f"from {low}")
    if high is not None and high < HARDLY_A_BOUND:
        words.append(f"to {high}")
    elif below is not None and below < HARDLY_A_BOUND:
        words.append(f"to below {below}")
    return "".join(f" {word}" for word in words)
