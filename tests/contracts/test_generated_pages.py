"""Reference pages say what the program says: `python docs/generate.py` has been run."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

GENERATE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generate.py"))
PAGES = {path.name: (path, text) for path, text in GENERATE["pages"]()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    path, text = PAGES[name]
    assert path.read_text(encoding="utf-8") == text, "run: python docs/generate.py"


def test_the_page_of_benchmarks_is_current_and_has_every_result():
    folder = Path(__file__).parents[2] / "benchmarks"
    text = (folder / "README.md").read_text(encoding="utf-8")
    program = "import tables; print(tables.readme(), end='')"
    process = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert text == process.stdout, "run: python benchmarks/tables.py --write"
    for result in (folder / "results").glob("*.json"):
        assert f"| {result.stem} |" in text


def test_the_command_reference_names_every_verb_and_option():
    text = PAGES["command.md"][1]
    assert "## `obverse train`" in text
    assert "| `--advisory`, `--no-advisory` | `--advisory` |" in text
    assert "| `--split` text | `test` |" in text
    assert "| `--out` path | required |" in text
    assert "| `--set` text |" in text
