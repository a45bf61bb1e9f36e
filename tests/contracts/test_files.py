"""What every file owes the reader: its length, the length of its functions, a docstring, no private places."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".yaml", ".yml", ".md", ".html", ".sh", ".js", ".css", ".ipynb"}
NOT_BY_HAND = {"CHANGELOG.md", "recipes.md", "command.md"}
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
CHECKING = {"raises", "warns", "fail", "assert_close", "assert_array_equal", "assert_allclose"}
REGISTRY = re.compile(r"(?i)https?://[^\s)\"']*(pypi|pythonhosted|/simple\b)")


def written_files():
    """Files of the project that git knows or would take; a checkout without git has its own folders only."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        found = [
            path for name in ("src", "tests", "docs", "examples", "benchmarks") for path in (ROOT / name).rglob("*")
        ]
        found += list(ROOT.glob("*"))
    return sorted(path for path in found if path.is_file())


FILES = written_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
SOURCES = [path for path in PYTHON if path.is_relative_to(ROOT / "src")]


def name(path):
    return str(path.relative_to(ROOT))


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_the_files_are_found():
    assert len(SOURCES) > 50
    assert ROOT / "tests/contracts/test_files.py" in FILES


def test_files_are_short():
    by_hand = [path for path in FILES if path.suffix in SUFFIXES and path.name not in NOT_BY_HAND]
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in by_hand}
    assert {path: length for path, length in lengths.items() if length >= MAX_LINES} == {}


def test_functions_are_short():
    long = {
        f"{name(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in PYTHON
        for node in functions(path)
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_no_numbers_of_requirements_that_readers_cannot_look_up():
    number = re.compile(r"\((?:requirement |trap )?[A-EPTX]\d{1,2}[,)]|requirement [A-EPTX]\d")
    found = {name(path) for path in SOURCES if number.search(path.read_text(encoding="utf-8"))}
    assert found == set()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_public_things_have_docstrings(path):
    """Of modules, classes, functions and methods; not of special methods and of what a function keeps inside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    for scope in scopes:
        public = [
            node
            for node in scope.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        ]
        inherited = isinstance(scope, ast.ClassDef) and any("Module" in ast.unparse(base) for base in scope.bases)
        missing += [node.name for node in public if not ast.get_docstring(node) and not inherited]
    assert missing == []


def asserts(node, checking):
    """Whether a function asserts, or calls one that does."""
    inner = list(ast.walk(node))
    calls = {ast.unparse(call.func).rpartition(".")[2] for call in inner if isinstance(call, ast.Call)}
    return any(isinstance(part, ast.Assert) for part in inner) or bool(calls & checking)


def test_every_test_asserts_something():
    shared = [node for path in PYTHON if path.name == "conftest.py" for node in functions(path)]
    empty = []
    for path in (path for path in PYTHON if path.name.startswith("test_")):
        checking = set(CHECKING)
        for _ in range(2):  # a helper may call a helper
            checking |= {node.name for node in [*shared, *functions(path)] if asserts(node, checking)}
        empty += [
            f"{name(path)} {node.name}"
            for node in functions(path)
            if node.name.startswith("test_") and not asserts(node, checking)
        ]
    assert empty == [], empty


def test_no_host_of_a_registry_is_named():
    kinds = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".js", ".sh", ""}
    texts = {path: path.read_text(encoding="utf-8") for path in FILES if path.suffix in kinds}
    assert {"constraints.txt", "pyproject.toml", "README.md", "Makefile", "card.py"} <= {path.name for path in texts}
    assert [(name(path), found[0]) for path, text in texts.items() if (found := REGISTRY.search(text))] == []
    settings = [text for path, text in texts.items() if path.name in ("constraints.txt", "pyproject.toml", "Makefile")]
    assert not any("index-url" in text for text in settings)


def test_no_path_of_a_machine_is_written_down():
    private = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    found = [name(path) for path in PYTHON if private.search(path.read_text(encoding="utf-8"))]
    assert found == []
