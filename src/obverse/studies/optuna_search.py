"""Hyperparameter search of a sweep: Optuna proposes the next values from all trials so far, of any process.

Trials are stored in Optuna's journal file, which several processes may share and a kill cannot damage. The values of a
trial depend on the search's seed, the trial's number and the finished trials, so one process alone is reproducible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import UnavailableError
from obverse.recipe import Condition, SearchSpec

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.log"
STUDY = "obverse"


@dataclass(frozen=True)
class Tried:
    """Result of one trial."""

    value: float | None = None
    """Value of `training.select` on val; None for a failed trial."""

    is_busy: bool = False
    """Whether another process trains the trial."""


class Search:
    """An Optuna study, loaded from `folder` or created there."""

    def __init__(self, spec: SearchSpec, folder: Path, *, smaller_is_better: bool) -> None:
        self.spec, self._optuna = spec, _optuna()
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        folder.mkdir(parents=True, exist_ok=True)
        journal = self._optuna.storages.journal
        backend = journal.JournalFileBackend(str(folder / JOURNAL))
        self._study = self._optuna.create_study(
            storage=self._optuna.storages.JournalStorage(backend),
            study_name=STUDY,
            direction="minimize" if smaller_is_better else "maximize",
            load_if_exists=True,
        )

    def run(self, try_out: Callable[[Condition], Tried], is_open: Callable[[Condition], bool]) -> None:
        """Run trials until the search has as many as its spec asks for.

        Trials of a killed process and trials with unfinished runs come first, then new ones.
        try_out: trains a condition. is_open: whether a condition has unfinished runs.
        """
        while True:
            num_busy = sum(self._go_on(try_out, is_open))
            num_ended = sum(trial.state.is_finished() for trial in self._trials())
            if num_ended + num_busy >= self.spec.trials:
                return
            number = self._ask()
            self._record(number, try_out(self._condition(number)))

    def conditions(self) -> list[Condition]:
        """Conditions of all trials whose values are drawn, by trial number."""
        return [self._condition(trial.number) for trial in filter(self._is_drawn, self._trials())]

    def _go_on(self, try_out: Callable[[Condition], Tried], is_open: Callable[[Condition], bool]) -> Iterator[bool]:
        """Resume unfinished trials. Yields, for each, whether another process trains it, so that it counts already."""
        for trial in filter(self._is_drawn, self._trials()):
            has_ended, condition = trial.state.is_finished(), self._condition(trial.number)
            if not has_ended or is_open(condition):
                tried = try_out(condition)
                self._record(trial.number, tried)
                yield tried.is_busy and not has_ended

    def _ask(self) -> int:
        trial = self._study.ask()
        seed = (self.spec.seed * 1_000_003 + trial.number) % 2**32
        samplers = self._optuna.samplers
        random = self.spec.sampler == "random"
        self._study.sampler = samplers.RandomSampler(seed) if random else samplers.TPESampler(seed=seed)
        for key, values in self.spec.space.items():
            if values.choices is not None:
                trial.suggest_categorical(key, list(range(len(values.choices))))
            elif isinstance(values.low, int) and isinstance(values.high, int):
                trial.suggest_int(key, values.low, values.high, log=values.log)
            else:
                trial.suggest_float(key, values.low, values.high, log=values.log)
        return int(trial.number)

    def _record(self, number: int, tried: Tried) -> None:
        if tried.is_busy:
            return
        states = self._optuna.trial.TrialState
        if tried.value is None:
            self._study.tell(number, state=states.FAIL, skip_if_finished=True)
        else:
            self._study.tell(number, tried.value, skip_if_finished=True)

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        return list(self._study.get_trials(deepcopy=False))

    def _is_drawn(self, trial: optuna.trial.FrozenTrial) -> bool:
        return set(trial.params) == set(self.spec.space)

    def _condition(self, number: int) -> Condition:
        drawn = self._study.get_trials(deepcopy=False)[number].params
        settings = {}
        for key, values in self.spec.space.items():
            settings[key] = values.choices[drawn[key]] if values.choices is not None else drawn[key]
        return Condition(f"trial-{number:04}", settings)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UnavailableError("a search needs optuna; install it with: pip install 'obverse[tune]'") from None
    return optuna
