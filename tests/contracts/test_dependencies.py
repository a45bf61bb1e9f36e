"""What the package imports is what it declares: nothing comes in by luck, and nothing is installed for nothing."""

import ast
import importlib
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "obverse"
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn", "mlflow": "mlflow-skinny",
                 "huggingface_hub": "huggingface-hub", "python_multipart": "python-multipart"}  # fmt: skip
NOT_YET = {"export", "openvino"}
"""Extras whose capability is still to come."""
BEHIND = {"alembic", "sqlalchemy"}
"""What MLflow's local database needs, and `mlflow-skinny` leaves out."""


def declared(requirements):
    return {re.split(r"[<>=!~\[; ]", requirement)[0].lower() for requirement in requirements}


def imported():
    names = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "find_spec"):
                given = node.args[0]
                names |= {given.value.partition(".")[0]} if isinstance(given, ast.Constant) else set()
    return {DISTRIBUTIONS.get(name, name) for name in names - sys.stdlib_module_names - {"obverse"}}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_import_is_declared(project):
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines]
    assert imported() - declared([*project["dependencies"], *extras]) == set()


def test_every_dependency_is_imported(project):
    extras = [line for name, lines in project["optional-dependencies"].items() if name not in NOT_YET | {"dev"}
              for line in lines]  # fmt: skip
    assert declared([*project["dependencies"], *extras]) - imported() == BEHIND


def names_from_obverse(path):
    """(module, name) of every `from obverse... import name` in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "obverse":
            yield from ((node.module, alias.name) for alias in node.names)


def exists(module, name):
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_programs_that_no_test_runs_import_names_that_exist(folder):
    imported = {pair for path in (ROOT / folder).rglob("*.py") for pair in names_from_obverse(path)}
    assert sorted(pair for pair in imported if not exists(*pair)) == []
