"""YAML text in and out, with the rules of YAML 1.2 and bounds on what is read.

`1e-4` is a number, `no` and `off` are words (a class may be called that), and a key written twice is an error. A value
counts wherever an alias repeats it, so that a page of text cannot stand for a billion values.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from obverse.errors import RecipeError
from obverse.files import read_text

# Recipes of 20,000 classes with long names are a third as large.
MAX_BYTES = 4 * 2**20
MAX_VALUES = 200_000
TOO_MANY = f"more than {MAX_VALUES:,} values, repeated ones included"
# Written in C, where PyYAML was built with it.
_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars, no duplicate keys, and at most MAX_VALUES values."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._num_values = 0
        self._num_in: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias, before = self.check_event(yaml.AliasEvent), self._num_values
        node = super().compose_node(parent, index)
        # An alias inside its own value has no size yet; whoever writes the value out finds that it is endless.
        self._count(self._num_in.get(id(node), 0) if is_alias else 1)
        if not is_alias:
            self._num_in[id(node)] = self._num_values - before
        return node

    def _count(self, more: int) -> None:
        self._num_values += more
        if self._num_values > MAX_VALUES:
            raise RecipeError(TOO_MANY)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise RecipeError(f"the key `{key.value}` is written twice (line {node.start_mark.line + 1})")
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
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
    if len(text) > MAX_BYTES:
        raise RecipeError(f"{where}: {len(text):,} characters are more than the limit of {MAX_BYTES:,}")
    try:
        if len(text) > MAX_VALUES:
            _require_few_values(text)
        return yaml.load(text, Loader=_Loader)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 3,000 brackets
        raise RecipeError(f"{where} is not valid YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{where}{line} is not valid YAML: {getattr(error, 'problem', error)}") from None


def _require_few_values(text: str) -> None:
    """Before the slow parser has read them; what is wrong with the text otherwise, it says."""
    with suppress(yaml.YAMLError):
        nodes = (event for event in yaml.parse(text, Loader=_FastLoader) if isinstance(event, yaml.NodeEvent))
        if sum(1 for _ in islice(nodes, MAX_VALUES + 1)) > MAX_VALUES:
            raise RecipeError(TOO_MANY)


def read_yaml(path: Path, where: str) -> Any:
    """The YAML value in an ordinary file; RecipeError says why there is none."""
    try:
        text = read_text(path, max_bytes=MAX_BYTES)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where} cannot be read as UTF-8 text: {error}") from None
    except OSError as error:
        raise RecipeError(f"{where} cannot be read: {error.strerror or error}") from None
    return parse_yaml(text, where)


def dump_yaml(values: Any) -> str:
    """Text that `parse_yaml` reads back equal."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
