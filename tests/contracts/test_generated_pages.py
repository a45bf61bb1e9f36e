"""Reference pages say what the program says: `python docs/generate.py` has been run."""

import runpy
from pathlib import Path

import pytest

GENERATE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generate.py"))
PAGES = {path.name: (path, text) for path, text in GENERATE["pages"]()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    path, text = PAGES[name]
    assert path.read_text(encoding="utf-8") == text, "run: python docs/generate.py"


def test_the_command_reference_names_every_verb_and_option():
    text = PAGES["command.md"][1]
    assert "## `obverse train`" in text
    assert "| `--advisory`, `--no-advisory` | `--advisory` |" in text
    assert "| `--split` text | `test` |" in text
    assert "| `--out` path | required |" in text
    assert "| `--set` text |" in text
