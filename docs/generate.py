"""Reference pages that are written from the program itself: `python docs/generate.py` writes them anew.

A page keeps what stands above its marker by hand; everything below it is generated. A test compares both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from obverse.cli.main import app
from obverse.recipe import CATALOGUE, describe_fields

REFERENCE = Path(__file__).parent / "reference"
MARKER = "<!-- Below this line: python docs/generate.py -->\n"


def commands() -> str:
    """Markdown of every verb: description, usage, arguments and options with their defaults."""
    verbs = ((command.name, command.callback) for command in app.registered_commands)
    return "\n\n".join(_verb(str(name), verb) for name, verb in verbs if verb is not None) + "\n"


def _verb(name: str, verb: Callable[..., Any]) -> str:
    hints = get_type_hints(verb, include_extras=True)
    usage, rows = ["obverse", name], []
    for parameter in inspect.signature(verb).parameters.values():
        kind, *facts = get_args(hints[parameter.name]) or (None,)
        info = next((fact for fact in facts if isinstance(fact, OptionInfo | ArgumentInfo)), None)
        if info is None:
            continue  # the context, which no user writes
        if isinstance(info, ArgumentInfo):
            usage.append(_argument(parameter, kind))
            rows.insert(len(usage) - 3, f"| `{usage[-1]}` | | {_cell(info.help)} |")
        else:
            rows.append(
                f"| {_option(parameter, kind, info)} | {_default(parameter, kind, info)} | {_cell(info.help)} |"
            )
    table = "\n".join(["| argument or option | default | meaning |", "|---|---|---|", *rows])
    return (
        f"## `obverse {name}`\n\n{_flowing(verb.__doc__)}\n\n```text\n{' '.join([*usage, '[OPTIONS]'])}\n```\n\n{table}"
    )


def _alternatives(kind: Any) -> list[Any]:
    """The types that a value may have, None left out."""
    is_union = get_origin(kind) is not None and get_origin(kind) not in (list, Literal)
    return [part for part in get_args(kind) if part is not NoneType] if is_union else [kind]


def _argument(parameter: inspect.Parameter, kind: Any) -> str:
    (value,) = _alternatives(kind)
    word = parameter.name.upper() + "..." * (get_origin(value) is list)
    return word if parameter.default is parameter.empty else f"[{word}]"


def _name(parameter: inspect.Parameter, info: OptionInfo) -> str:
    # In an annotation typer takes the first name of an option for its default.
    names = [info.default, *(info.param_decls or ()), f"--{parameter.name.replace('_', '-')}"]
    return next(name for name in names if isinstance(name, str) and name.startswith("--"))


def _option(parameter: inspect.Parameter, kind: Any, info: OptionInfo) -> str:
    """How the option is written."""
    name = _name(parameter, info)
    (value,) = _alternatives(kind)
    if value is bool:
        return f"`{name}`" + (f", `--no-{name[2:]}`" if parameter.default else "")
    value = get_args(value)[0] if get_origin(value) is list else value
    if get_origin(value) is Literal:
        return f"`{name}` {_choice(get_args(value))}"
    if issubclass(value, Enum):
        return f"`{name}` {_choice(member.value for member in value)}"
    return f"`{name}` {({int: 'number', float: 'number', Path: 'path'}).get(value, 'text')}"


def _choice(words: Iterable[str]) -> str:
    *first, last = (f"`{word}`" for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def _default(parameter: inspect.Parameter, kind: Any, info: OptionInfo) -> str:
    value = parameter.default
    if value is parameter.empty:
        return "required"
    if kind is bool:
        return f"`{_name(parameter, info)}`" if value else ""
    return "" if value is None else f"`{value.value if isinstance(value, Enum) else value}`"


def _cell(text: str | None) -> str:
    return _flowing(text).replace("|", "\\|")


def _flowing(text: str | None) -> str:
    return " ".join((text or "").split())


def backbones() -> str:
    """Markdown table of the catalogue of pretrained backbones."""
    rows = [f"| `{e.alias}` | `{e.name}` | {e.millions:g} | {e.side} | {e.licence} | {e.budget} |" for e in CATALOGUE]
    head = ["| name | in timm | parameters, millions | side, pixels | licence of the weights | budget |"]
    return "\n".join([*head, "|---|---|---|---|---|---|", *rows]) + "\n"


PAGES: dict[str, Callable[[], str]] = {"recipes.md": describe_fields, "command.md": commands, "backbones.md": backbones}


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with the text that it should have."""
    for name, generated in PAGES.items():
        path = REFERENCE / name
        by_hand, marker, _ = path.read_text(encoding="utf-8").partition(MARKER)
        if not marker:
            raise ValueError(f"{path} has lost the line {MARKER!r}")
        yield path, f"{by_hand}{MARKER}\n{generated()}"


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
