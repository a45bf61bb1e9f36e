"""Sentences for what is wrong with a recipe, from pydantic's errors and the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

# Of a section, in an error.
MAX_FIELDS = 4
# Of the faulty places of a recipe; more would be no sentence.
MAX_PLACES, MOST_PLACES = 8, 200
# Of a name or value in an error.
MAX_LETTERS = 120


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Hint ` (did you mean `x`?)` with the most similar known word; empty if the word is known or none is similar."""
    if word in known:
        return ""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean `{close[0]}`?)" if close else ""


def sentences_of(error: ValidationError, values: Any, schema: dict[str, Any]) -> str:
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
        clauses.append(f"`{short(where or 'recipe')}`: {' or '.join(alternatives)}{given}{value}")
    more = len(clauses) - MAX_PLACES
    return "; ".join(clauses[:MAX_PLACES] + [f"and {more} more places"] * (more > 0))


def short(text: str) -> str:
    """The text, or the beginning of a long one."""
    return text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}..."


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
        examples = [f"{field}: ..." for field in fields[:MAX_FIELDS]] + ["..."] * (len(fields) > MAX_FIELDS)
        return f"{{{', '.join(examples) or 'key: value'}}}"
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
        branches = by_kind or by_name
        node = _resolved(branches[0], schema) if branches else node
    return node


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node
