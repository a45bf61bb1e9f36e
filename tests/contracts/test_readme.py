"""Every command in the README and the docs parses: its verb and its options exist."""

import re
import shlex
from itertools import chain, pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from obverse.cli.main import app
from obverse.recipe import load_recipe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def commands_in(text):
    """Lines of ```bash blocks that start with `obverse `; a backslash goes on in the next line."""
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("obverse ")]


def parse(command):
    """Let the verb's own parser take the words; it raises for what it does not know."""
    _, verb, *words = shlex.split(command, comments=True)
    if verb.startswith("-"):
        return
    group = get_command(app)
    assert verb in group.commands, f"no verb {verb}"
    found = group.commands[verb]
    found.make_context(verb, words, resilient_parsing=False)


def shown_commands(pages=PAGES):
    return list(dict.fromkeys(chain.from_iterable(commands_in(page.read_text(encoding="utf-8")) for page in pages)))


def test_the_readme_shows_commands():
    verbs = {shlex.split(command)[1] for command in shown_commands(PAGES[:1])}
    assert {"train", "predict"} <= verbs


@pytest.mark.parametrize("command", shown_commands())
def test_command(command):
    parse(command)
    assert command.startswith("obverse ")
    words = shlex.split(command, comments=True)
    given = {option: word for option, word in pairwise(words) if option == "--recipe"}
    settings = [word for option, word in pairwise(words) if option == "--set"]
    if settings and not given.get("--recipe", "auto").endswith(".yaml"):
        load_recipe(given.get("--recipe", "auto"), settings)


def test_what_does_not_exist_is_noticed():
    text = "```bash\nobverse train DATA \\\n  --epoch 3\n```\nobverse outside\n```bash\nobverse fly DATA\nls\n```\n"
    option, verb = commands_in(text)
    with pytest.raises(Exception, match="--epoch"):
        parse(option)
    with pytest.raises(AssertionError, match="no verb fly"):
        parse(verb)
