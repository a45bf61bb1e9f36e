"""Search below a folder for what holds a run: plain runs, folds, ensembles, sweeps, and what only looks like one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# Limits of the search, for a folder of pictures that is searched by mistake.
MOST_FOLDERS = 20_000
MOST_LEVELS = 16
RESULT_FILES = frozenset({"runs.json", "comparison.json"})
"""Files that mark a folder of our own tables; it is no run, and not worth a line."""

CARD = "README.md"
"""The model card of a published folder, which has a bundle as a run has."""
RUN_PARTS = frozenset({"recipe.yaml", "training_log.json", "evaluation", "checkpoints"})

Kind = Literal["run", "folds", "ensemble", "sweep", "strange"]


@dataclass(frozen=True)
class Place:
    """A folder that holds a run, or looks like one."""

    path: Path

    name: str
    """Path from the folder that was searched."""

    kind: Kind
    reason: str = ""
    """For a strange folder: what it holds."""


@dataclass
class Search:
    """All places below a folder, in the order of their names."""

    folder: Path
    places: list[Place] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _visited: set[tuple[int, int]] = field(default_factory=set)

    def run(self) -> Search:
        """Search the folder and everything below it; links are followed, each folder is read once."""
        self._visit(self.folder, "", 0)
        self._add_empty()
        self.places.sort(key=lambda place: place.name)
        return self

    def _visit(self, path: Path, name: str, level: int) -> None:
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in self._visited:
                return
            self._visited.add((status.st_dev, status.st_ino))
            names = _names(path)
        except OSError as error:
            self.places.append(Place(path, name or path.resolve().name, "strange", f"cannot be read: {error.strerror}"))
            return
        place = place_of(path, name or path.resolve().name, names)
        if place is not None:
            self.places.append(place)
            return
        if len(self._visited) >= MOST_FOLDERS or level >= MOST_LEVELS:
            self._note_limit()
            return
        for child in sorted(folders_in(path, names)):
            self._visit(path / child, f"{name}/{child}" if name else child, level + 1)

    def _note_limit(self) -> None:
        note = f"the search ended after {MOST_FOLDERS:,} folders or {MOST_LEVELS} levels; name a folder further inside"
        if note not in self.notes:
            self.notes.append(note)

    def _add_empty(self) -> None:
        """Add the folders directly below in which nothing was found."""
        if any(place.path == self.folder for place in self.places):
            return
        tops = {place.name.partition("/")[0] for place in self.places}
        names = _names(self.folder)
        for child in sorted(folders_in(self.folder, names) - tops):
            path = self.folder / child
            status = path.stat()
            # A link to what was read under another name is not a folder of its own.
            if not path.is_symlink() and (status.st_dev, status.st_ino) in self._visited and not _is_table(path):
                self.places.append(Place(path, child, "strange", "holds no run"))


def _names(path: Path) -> set[str]:
    with os.scandir(path) as entries:
        return {entry.name for entry in entries}


def folders_in(path: Path, names: Iterable[str]) -> set[str]:
    """Names of the folders among `names`, without hidden ones."""
    return {name for name in names if not name.startswith(".") and (path / name).is_dir()}


def _is_table(path: Path) -> bool:
    return bool(_names(path) & RESULT_FILES)


def place_of(path: Path, name: str, names: set[str]) -> Place | None:
    """The place that a folder is, by the names in it; None for a folder that may have places below."""
    if "ensemble.json" in names:
        return Place(path, name, "ensemble")
    if "sweep.json" in names or ("sweep.yaml" in names and any(path.glob("runs/*/condition.json"))):
        return Place(path, name, "sweep")
    if any(fold.startswith("fold-") for fold in names) and names & {"condition.json", "evaluation"}:
        return Place(path, name, "folds")
    if CARD in names and not names & RUN_PARTS and (path / "bundle" / "model.json").is_file():
        return Place(path, name, "strange", "a published model without its run: its numbers are in README.md")
    if _is_run(path, names):
        return Place(path, name, "run")
    if "model.json" in names:
        return Place(path, name, "strange", "a bundle without its run: it says nothing of how it was measured")
    return None


def _is_run(path: Path, names: set[str]) -> bool:
    """Whether a run was begun here. A recipe alone may be a user's own file."""
    if names & {"training_log.json", "failure.json", ".start.json", "choice.json", "events.jsonl"}:
        return True
    if "recipe.yaml" in names and names & {"config.json", "manifest.csv", "environment.json"}:
        return True
    made = ("bundle/model.json", "evaluation/*/metrics.json", "checkpoints/step-*")
    return any(next(path.glob(pattern), None) for pattern in made) or (path / "choice" / "condition.json").is_file()
