"""Optuna's part of a sweep: which values to try next, from all that were tried so far, by any process.

Trials live in Optuna's own journal file, which several processes may share and a kill cannot spoil. What a trial draws
follows from the search's seed, its own number and the trials that have ended, so one process alone repeats itself.
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
    """value: of `training.select` on val; None for a trial that failed. is_busy: another process trains it."""

    value: float | None = None
    is_busy: bool = False


class Search:
    """The study in `folder`, made there or found there."""

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
        """Until there are as many trials as wanted: first those that a killed process left behind and those with runs
        that are open again, then new ones.
        """
        while True:
            num_busy = sum(self._go_on(try_out, is_open))
            num_ended = sum(trial.state.is_finished() for trial in self._trials())
            if num_ended + num_busy >= self.spec.trials:
                return
            number = self._ask()
            self._record(number, try_out(self._condition(number)))

    def conditions(self) -> list[Condition]:
        """Of all trials whose values are drawn, in order."""
        return [self._condition(trial.number) for trial in filter(self._is_drawn, self._trials())]

    def _go_on(self, try_out: Callable[[Condition], Tried], is_open: Callable[[Condition], bool]) -> Iterator[bool]:
        """Whether a trial counts although it has not ended, as another process trains it."""
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
