"""Sweep: one run for every condition and seed, then a table, a plot and the verdicts of the criteria.

The same command again continues the sweep, and several processes may work on it at once: finished runs are skipped,
interrupted runs are resumed, and runs that another process trains are skipped.

    OUT/sweep.yaml                       copy of the sweep file
    OUT/runs/CONDITION/condition.json    data and recipe of the condition; other settings are refused
    OUT/runs/CONDITION/seed-0/           a run folder; failure.json where a run failed
    OUT/search.json  study.log           of a search: data, recipe and space; Optuna's journal
    OUT/table.csv sweep.json summary.md sweep.png
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from obverse.errors import DataError, ObverseError, RecipeError, UnavailableError
from obverse.evaluation import LOWER_IS_BETTER, create_folder
from obverse.experiment import MEMORY_ADVICE, Progress, require_select, training_log_of
from obverse.interrupts import terminable
from obverse.manifest import build_index
from obverse.recipe import Condition, SweepSpec
from obverse.runs import Message, Observer, explained, write_text

from .compare import read_contender
from .criteria import require_applicable
from .many import (
    STOPPED,
    MakeObservers,
    Outcome,
    forget_failure,
    record_failure,
    require_same,
    require_same_study,
    state_of,
    study_facts,
    train_to_end,
)
from .optuna_search import Search, Tried
from .sweep_table import Study, StudyRun, split_of, write_study


@dataclass(frozen=True)
class Sweep:
    """One sweep over a data folder."""

    spec: SweepSpec

    file: Path
    """The sweep file; a recipe path in it is relative to the file's folder."""

    data: Path
    out: Path

    make_observers: MakeObservers = tuple
    """Called for every run; the observers get the run's messages and events."""

    progress: Progress | None = None
    """Called with (done, total) while pictures are read."""

    retry: bool = False
    """Whether failed runs are tried again."""

    _broken: dict[str, ObverseError] = field(default_factory=dict, init=False)
    """Condition -> error that would end every run of that condition."""

    def run(self) -> Study:
        """The study, after training all unfinished runs. Table and plot are also written when an error ends the sweep.

        A DataError or UnavailableError of one condition is raised only after all other conditions.
        """
        with explained(self.out, MEMORY_ADVICE):
            create_folder(self.out)
            search = self._search()
            for condition in () if search else self.spec.conditions():  # refuse bad settings before any training
                recipe = self.spec.recipe_of(condition, self.spec.seeds[0], self.file.parent)
                require_same_study(self._path(condition, 0).parent, recipe, self.data)
            write_text(self.out / "sweep.yaml", self.file.read_text(encoding="utf-8"))
            if self.retry:
                for failure in self.out.glob("runs/*/seed-*/failure.json"):
                    forget_failure(failure.parent)
            try:
                with terminable():
                    self._train_all(search)
            except (ObverseError, KeyboardInterrupt) as end:
                with suppress(ObverseError, OSError):  # what ended the training is said
                    self._write(search)
                if isinstance(end, KeyboardInterrupt):
                    raise type(end)(STOPPED) from None
                raise
            study = self._write(search)
        for error in self._broken.values():
            raise error
        return study

    def _train_all(self, search: Search | None) -> None:
        if search:
            search.run(self._try_out, self._is_open)
        conditions = [] if search else self.spec.conditions()
        for number, condition in enumerate(conditions):
            self._train(condition, f"condition {number + 1} of {len(conditions)}")

    def _write(self, search: Search | None) -> Study:
        study = self.study(search.conditions() if search else self.spec.conditions())
        write_study(study, self.out)
        return study

    def study(self, conditions: Sequence[Condition]) -> Study:
        """The study as it is in the folder now."""
        runs = []
        for condition in conditions:
            for seed in self.spec.seeds:
                path = self._path(condition, seed)
                open_run = Outcome("busy", str(self._broken.get(condition.name, "not finished")))
                runs.append(StudyRun(condition, seed, path, state_of(path) or open_run))
        num_wanted = max(self.spec.search.trials if self.spec.search else 0, len(conditions)) * len(self.spec.seeds)
        assert not isinstance(self.spec.criteria, str)  # load_sweep has read the file
        return Study(
            self.file.stem, tuple(runs), num_wanted, self.spec.criteria, is_search=self.spec.search is not None
        )

    def _train(self, condition: Condition, progress: str) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for seed in self.spec.seeds:
            observers = self.make_observers()
            for observer in observers:
                observer.notify(Message(f"{progress}: {condition.name}, seed {seed}"))
            outcomes.append(self._train_one(condition, seed, observers))
            if outcomes[-1].state == "finished":
                path = self._path(condition, seed)
                # Raise for unusable predictions and criteria now, not after the last run.
                contender = read_contender(path, split_of(path), condition.name)
                assert not isinstance(self.spec.criteria, str)  # load_sweep has read the file
                require_applicable(self.spec.criteria, [contender])
            if outcomes[-1].reason:
                for observer in observers:
                    observer.notify(Message(f"failed, and left out: {outcomes[-1].reason}"))
            if condition.name in self._broken:
                break
        return outcomes

    def _train_one(self, condition: Condition, seed: int, observers: Sequence[Observer]) -> Outcome:
        path = self._path(condition, seed)
        try:
            recipe = self.spec.recipe_of(condition, seed, self.file.parent)
        except RecipeError as error:  # a search may draw values that do not go together
            return record_failure(path, error)
        require_same_study(path.parent, recipe, self.data)
        try:
            return train_to_end(self.data, recipe, path, observers=observers, progress=self.progress)
        except (DataError, UnavailableError) as error:
            self._broken[condition.name] = error
            return Outcome("busy", str(error))

    def _search(self) -> Search | None:
        """The search that the file asks for, or None. Raises RecipeError when the folder holds another search."""
        spec = self.spec.search
        if spec is None:
            return None
        recipe = self.spec.recipe_of(Condition("", {}), self.spec.seeds[0], self.file.parent)
        if recipe.training.select == "auto":
            raise RecipeError("a search needs to know what is best before it starts: put training.select under "
                              "settings, for example training.select: accuracy")  # fmt: skip
        facts = study_facts(recipe, self.data) | {"search": spec.model_dump(mode="json", exclude={"trials"})}
        require_same(self.out / "search.json", facts)
        if not any(self.out.glob("runs/*/seed-*")):
            require_select(recipe.training.select, build_index(self.data, recipe.data).manifest)
        return Search(spec, self.out, smaller_is_better=recipe.training.select in LOWER_IS_BETTER)

    def _try_out(self, condition: Condition) -> Tried:
        assert self.spec.search is not None
        if condition.name in self._broken:
            return Tried(is_busy=True)
        settings = ", ".join(f"{key}={value}" for key, value in condition.settings.items())
        outcomes = self._train(condition, f"of {self.spec.search.trials} trials ({settings})")
        if any(outcome.state == "busy" for outcome in outcomes):
            return Tried(is_busy=True)
        if any(outcome.state == "failed" for outcome in outcomes):
            return Tried()
        values = [best_value(self._path(condition, seed)) for seed in self.spec.seeds]
        return Tried(sum(values) / len(values))

    def _is_open(self, condition: Condition) -> bool:
        return any(state_of(self._path(condition, seed)) is None for seed in self.spec.seeds)

    def _path(self, condition: Condition, seed: int) -> Path:
        return self.out / "runs" / condition.label / f"seed-{seed}"


def best_value(run: Path) -> float:
    """A finished run's value of `training.select` on val, in its best epoch."""
    return float(training_log_of(run)["best_value"])
