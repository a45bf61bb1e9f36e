"""A study: every condition with every seed, as a run each; then one table, one plot and the criteria's verdicts.

The same command again goes on where it stopped, and several processes may work on one study: what is finished is left
alone, what was interrupted is resumed, and what another process trains is passed over.

    OUT/sweep.yaml                       the file, as it was given
    OUT/runs/CONDITION/condition.json    data and recipe, so that nothing else is ever taken for it
    OUT/runs/CONDITION/seed-0/           a run folder; failure.json where a run failed
    OUT/study.log                        of a search: Optuna's journal
    OUT/table.csv sweep.json summary.md sweep.png
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import RecipeError
from obverse.evaluation import LOWER_IS_BETTER
from obverse.recipe import Condition, SweepSpec
from obverse.runs import Message, write_text

from .compare import read_contender
from .many import MakeObservers, Outcome, forget_failure, require_same_study, state_of, train_to_end
from .optuna_search import Search, Tried
from .sweep_table import Study, StudyRun, split_of, write_study
from .train import Progress

UNFINISHED = Outcome("busy", "not finished")


@dataclass(frozen=True)
class Sweep:
    """file: the sweep file, beside which its recipe lies. retry: try failed runs again."""

    spec: SweepSpec
    file: Path
    data: Path
    out: Path
    make_observers: MakeObservers = tuple
    progress: Progress | None = None
    retry: bool = False

    def run(self) -> Study:
        """Train what is not trained yet and write the table of what there is."""
        self.out.mkdir(parents=True, exist_ok=True)
        write_text(self.out / "sweep.yaml", self.file.read_text(encoding="utf-8"))
        if self.retry:
            for failure in self.out.glob("runs/*/seed-*/failure.json"):
                forget_failure(failure.parent)
        if self.spec.search:
            search = Search(self.spec.search, self.out, smaller_is_better=self._select() in LOWER_IS_BETTER)
            search.run(self._try_out)
            conditions = search.conditions()
        else:
            conditions = self.spec.conditions()
            for number, condition in enumerate(conditions):
                self._train(condition, f"condition {number + 1} of {len(conditions)}")
        study = self.study(conditions)
        write_study(study, self.out)
        return study

    def study(self, conditions: Sequence[Condition]) -> Study:
        """What lies in the folder now."""
        runs = []
        for condition in conditions:
            for seed in self.spec.seeds:
                path = self._path(condition, seed)
                runs.append(StudyRun(condition, seed, path, state_of(path) or UNFINISHED))
        num_wanted = (self.spec.search.trials if self.spec.search else len(conditions)) * len(self.spec.seeds)
        assert not isinstance(self.spec.criteria, str)  # load_sweep has read the file
        return Study(
            self.file.stem, tuple(runs), num_wanted, self.spec.criteria, is_search=self.spec.search is not None
        )

    def _train(self, condition: Condition, told: str) -> list[Outcome]:
        outcomes = []
        for seed in self.spec.seeds:
            recipe = self.spec.recipe_of(condition, seed, self.file.parent)
            require_same_study(self._path(condition, seed).parent, recipe, self.data)
            observers = self.make_observers()
            for observer in observers:
                observer.notify(Message(f"{told}: {condition.name}, seed {seed}"))
            path = self._path(condition, seed)
            outcomes.append(train_to_end(self.data, recipe, path, observers=observers, progress=self.progress))
            if outcomes[-1].state == "finished":
                read_contender(path, split_of(path))  # what cannot be compared is said now, not after the last run
            if outcomes[-1].reason:
                for observer in observers:
                    observer.notify(Message(f"failed, and left out: {outcomes[-1].reason}"))
        return outcomes

    def _try_out(self, condition: Condition) -> Tried:
        assert self.spec.search is not None
        settings = ", ".join(f"{key}={value}" for key, value in condition.settings.items())
        outcomes = self._train(condition, f"of {self.spec.search.trials} trials ({settings})")
        if any(outcome.state == "busy" for outcome in outcomes):
            return Tried(is_busy=True)
        if any(outcome.state == "failed" for outcome in outcomes):
            return Tried()
        values = [best_value(self._path(condition, seed)) for seed in self.spec.seeds]
        return Tried(sum(values) / len(values))

    def _path(self, condition: Condition, seed: int) -> Path:
        return self.out / "runs" / condition.label / f"seed-{seed}"

    def _select(self) -> str:
        """What a search goes by; it must be known before any data is read."""
        select = self.spec.recipe_of(Condition("", {}), self.spec.seeds[0], self.file.parent).training.select
        if select == "auto":
            raise RecipeError("a search needs to know what is best before it starts: put training.select under "
                              "settings, for example training.select: accuracy")  # fmt: skip
        return select


def best_value(run: Path) -> float:
    """Of the epoch that was chosen on val."""
    return float(json.loads((run / "training_log.json").read_text(encoding="utf-8"))["best_value"])
