"""Rooms of the package: few enough files to look at, and one door, the room's `__init__`."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "obverse"
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
MAX_FILES = 14
# Modules and inner rooms that others import by their own names, each with the reason.
DOORS = {
    "obverse.api.contenders": "the verb `compare` does not wait for what the other functions need",
    "obverse.api.probing": "the verb `probe` does not wait for what the other functions need",
    "obverse.api.quantising": "needs torch, for which an export that is refused at once does not wait",
    "obverse.api.short_forms": "loads the models of the recipe, for which help does not wait",
    "obverse.api.suspecting": "the verb `suspects` does not wait for what the other functions need",
    "obverse.api.training": "the verb `train` claims its folder before anything heavy is loaded",
    "obverse.cli.main": "the entry point; the room itself is not imported by anybody",
    "obverse.inference.explaining": "needs matplotlib's room `explain`, for which predictions do not wait",
    "obverse.inference.searching": "needs the room `explain`, for which predictions do not wait",
    "obverse.inference.showing": "an inner room that renders pages, for which predictions do not wait",
    "obverse.manifest.check": "an inner room that renders pages, for which training does not wait",
    "obverse.manifest.generated": "an inner room that only the verb `sample` needs",
    "obverse.planning.bench": "each verb loads only its own part of planning",
    "obverse.planning.imagined": "each verb loads only its own part of planning",
    "obverse.planning.lr_finder": "each verb loads only its own part of planning",
    "obverse.planning.plan": "each verb loads only its own part of planning",
    "obverse.runs.checkpoint": "needs torch, for which whoever finds a folder locked does not wait",
    "obverse.runs.observers": "an inner room that needs tensorboard, for which predictions do not wait",
    "obverse.serving.http.server": "needs fastapi and uvicorn, which are optional",
    "obverse.studies.choice": "each verb loads only its own study",
    "obverse.studies.compare": "each verb loads only its own study",
    "obverse.studies.comparison": "an inner room that writes pages, for which a table does not wait",
    "obverse.studies.comparison_table": "each verb loads only its own study",
    "obverse.studies.criteria": "each verb loads only its own study",
    "obverse.studies.ensemble": "each verb loads only its own study",
    "obverse.studies.folds": "each verb loads only its own study",
    "obverse.studies.leaderboard": "reads past runs without torch, for which nobody waits",
    "obverse.studies.sweep": "each verb loads only its own study",
    "obverse.trust.suspects": "an inner room that only the verb `suspects` needs",
}


def imported(path):
    """(module, name) of every `from module import name`, and (module, "") of every `import module`, in full."""
    package = ("obverse", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield from ((module, alias.name) for alias in node.names)


def reached_past(path):
    """Modules inside other rooms that a file imports by their own names."""
    place = path.relative_to(PACKAGE)
    own = place.parts[0] if len(place.parts) > 1 else None
    for module, name in imported(path):
        _, room, *inner = [*module.split("."), ""]
        if room in ROOMS - {own} and module.startswith("obverse."):
            is_module = not inner[:-1] and name in modules_of(room) and name not in exported(room)
            if inner[:-1] or is_module:
                yield module if inner[:-1] else f"{module}.{name}"


def modules_of(room):
    return {path.stem for path in (PACKAGE / room).iterdir()}


def exported(room):
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    return {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_no_room_has_more_files_than_one_looks_at():
    files = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            files[str(path.parent.relative_to(PACKAGE))].add(path.name)
    assert len(files) > 20
    assert {room: len(names) for room, names in files.items() if len(names) > MAX_FILES} == {}


def test_nobody_reaches_past_the_door_of_a_room():
    past = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for module in reached_past(path):
            past[module].add(str(path.relative_to(PACKAGE)))
    assert {module: sorted(files) for module, files in past.items() if module not in DOORS} == {}


@pytest.mark.parametrize("module", DOORS)
def test_a_door_that_nobody_uses_is_closed(module):
    users = [path for path in PACKAGE.rglob("*.py") if module in reached_past(path)]
    assert users, f"{module}: leave it out of DOORS"
