"""Reading of the entry of each place. A file that is damaged makes a line with its reason, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from obverse.errors import DataError
from obverse.files import read_json_object
from obverse.metrics import LOWER_IS_BETTER, mean_over_seeds
from obverse.runs import RunFolder

from . import facts
from .entry import MEASURED, Entry, State
from .measured import SPLITS, Answers, Measured, read_answers, read_measured
from .places import Place, folders_in

# What parsing of a hostile file may raise besides DataError.
FAULTS = (DataError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass
class Reader:
    """Reader of entries, which parses equal manifests once."""

    manifests: facts.Manifests = field(default_factory=facts.Manifests)
    answers: dict[Path, Answers] = field(default_factory=dict)
    """The answers in each evaluation folder of the entries."""

    def entries(self, places: Iterable[Place]) -> Iterator[Entry]:
        """The entries of all places; of a sweep its own and those of its conditions."""
        for place in places:
            match place.kind:
                case "sweep":
                    yield from self._sweep(place)
                case "folds":
                    yield self._guarded(place, self._folds)
                case "ensemble":
                    yield self._guarded(place, self._ensemble)
                case "run":
                    yield self._guarded(place, self._run)
                case _:
                    yield _strange(place)

    def _guarded(self, place: Place, read: Any) -> Entry:
        try:
            entry: Entry = read(place)
            return entry
        except FAULTS as error:
            kind = "run" if place.kind == "sweep" else place.kind
            when = facts.last_change(place.path)
            return Entry(
                name=place.name,
                path=place.path,
                kind=kind,
                state="damaged",
                reason=_words(error, place.path),
                when=when,
            )

    def _measured(self, path: Path, splits: tuple[str, ...] = SPLITS) -> tuple[Measured | None, str]:
        """The measurement of a run, whose answers are then in `answers`; and what is wrong with its evaluation."""
        try:
            measured = read_measured(path, splits)
            if measured is not None:
                self.answers[measured.folder] = read_answers(measured)
        except FAULTS as error:
            return None, _words(error, path)
        return measured, ""

    def _data(self, path: Path) -> tuple[str, int | None, bool, str]:
        """Of a manifest: digest, number of samples, whether it has a split `test`; and what is wrong with it."""
        try:
            return (*self.manifests.digest(path), "")
        except DataError as error:
            return "", None, False, str(error)

    def _run(self, place: Place) -> Entry:
        path, run = place.path, RunFolder(place.path)
        config = read_json_object(path / "config.json") if (path / "config.json").exists() else {}
        log = read_json_object(path / "training_log.json") if run.is_finished else {}
        measured, fault = self._measured(path) if run.is_finished else (None, "")
        digest, num, has_test, no_data = self._data(run.manifest)
        flaws = filter(None, (facts.recipe_flaw(run.recipe), no_data, facts.bundle_flaw(run.bundle)))
        state, reason = _state(run, measured, fault or next(flaws, "").replace(f"{path}/", ""))
        seconds, (select, value) = facts.seconds_of(log), facts.chosen_by(log)
        files = [path / name for name in ("training_log.json", "failure.json", "events.jsonl", "recipe.yaml", "")]
        entry = Entry(
            name=place.name,
            path=path,
            kind="run",
            state=state,
            reason=reason,
            when=facts.last_change(*files),
            data=facts.data_name(config),
            data_digest=digest,
            num_samples=num,
            model=facts.model_name(config),
            num_parameters=facts.num_parameters(log),
            minutes=None if seconds is None else seconds / 60,
            bundle_bytes=facts.bundle_bytes(run.bundle),
            num_runs=int(measured is not None and state in MEASURED),
            has_test=has_test,
            note=facts.choice_note(run.choice_file),
            select=select,
            select_value=value,
        )
        return with_measured(entry, measured)

    def _folds(self, place: Place) -> Entry:
        path = place.path
        names = {child.name for child in path.iterdir()}
        folds = sorted(name for name in folders_in(path, names) if name.startswith("fold-"))
        runs = [self._guarded(Place(path / name, f"{place.name}/{name}", "run"), self._run) for name in folds]
        measured, fault = self._measured(path, ("test", "out-of-fold"))
        entry = _together(runs, name=place.name, path=path, kind="folds")
        num = sum(run.is_measured for run in runs)
        if fault:
            return replace(entry, state="damaged", reason=fault)
        if measured is None:
            state = _worst(runs)
            return replace(entry, state=state, reason=f"{num} of {len(runs)} begun folds are finished, none are pooled")
        return with_measured(replace(entry, state="finished", reason="", note=f"{num} folds"), measured)

    def _ensemble(self, place: Place) -> Entry:
        path, values = place.path, read_json_object(place.path / "ensemble.json")
        if not isinstance(values.get("members"), list) or not all(isinstance(m, dict) for m in values["members"]):
            raise DataError("ensemble.json has no list of members")
        members = [member for member in values["members"] if member.get("kept", True)]
        measured, fault = self._measured(path)
        flaw = fault or (facts.bundle_flaw(path / "bundle").replace(f"{path}/", "") if measured else "")
        entry = Entry(
            name=place.name,
            path=path,
            kind="ensemble",
            state="damaged" if flaw else "finished" if measured else "interrupted",
            reason=flaw if flaw or measured else "it has no evaluation; make it again",
            when=facts.last_change(path / "ensemble.json"),
            model=f"{values.get('kind') or 'ensemble of'} {len(members)} run{'s' * (len(members) != 1)}",
            bundle_bytes=facts.bundle_bytes(path / "bundle"),
            num_runs=len(members),
        )
        return with_measured(entry, measured)

    def _sweep(self, place: Place) -> Iterator[Entry]:
        root = place.path / "runs"
        conditions = []
        for label in sorted(folders_in(root, _listed(root))):
            seeds = [
                name for name in sorted(folders_in(root / label, _listed(root / label))) if name.startswith("seed-")
            ]
            runs = [
                self._guarded(Place(root / label / seed, f"{place.name}/{label}/{seed}", "run"), self._run)
                for seed in seeds
            ]
            if runs:
                conditions.append(condition_of(runs, f"{place.name}/{label}", root / label, place.name))
        yield sweep_of(conditions, place)
        yield from conditions


def _listed(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _strange(place: Place) -> Entry:
    when = facts.last_change(place.path)
    return Entry(
        name=place.name, path=place.path, kind="strange", state="no run", reason=place.reason, when=when, num_runs=0
    )


def _state(run: RunFolder, measured: Measured | None, fault: str) -> tuple[State, str]:
    """The state of a plain run, and why it is not finished. fault: what is wrong with its files, if it is finished."""
    if (run.path / "failure.json").exists():
        failure = read_json_object(run.path / "failure.json")
        return "failed", str(failure.get("said") or "failure.json does not say why")
    if run.is_locked and measured is None:
        return "running", ""
    has_evaluation = any((run.evaluation(split) / "metrics.json").exists() for split in SPLITS)
    if fault and run.is_finished and has_evaluation:
        return "damaged", fault
    if measured is not None:
        return "finished", ""
    if run.is_finished:
        return "interrupted", "trained, but not evaluated; --resume goes on"
    if run.is_resumable:
        return "interrupted", "stopped before its end; --resume goes on"
    if run.bundle.is_dir() or (run.path / "evaluation").is_dir() or run.checkpoints.is_dir():
        return "damaged", "recipe.yaml and training_log.json are missing"
    return "interrupted", "stopped before its first step; start it again"


def with_measured(entry: Entry, measured: Measured | None) -> Entry:
    """The entry with a measurement."""
    if measured is None:
        return entry
    return replace(
        entry,
        split=measured.split,
        metric=measured.metric.name,
        label_sets=measured.label_sets,
        value=measured.value,
        low=measured.low,
        high=measured.high,
        no_interval=measured.no_interval,
        num_measured=measured.num_samples,
        evaluations=(measured.folder,),
    )


def _together(runs: Sequence[Entry], **own: Any) -> Entry:
    """What several runs of one kind have in common, and their sums."""
    first = next((run for run in runs if run.is_measured), runs[0] if runs else None)
    minutes = [run.minutes for run in runs if run.minutes is not None]
    sizes = [run.bundle_bytes for run in runs if run.bundle_bytes is not None]
    times = [run.when for run in runs if run.when is not None]
    return Entry(
        state="interrupted",
        when=max(times, default=None),
        data=first.data if first else "",
        data_digest=first.data_digest if first else "",
        num_samples=first.num_samples if first else None,
        model=first.model if first else "",
        num_parameters=first.num_parameters if first else None,
        minutes=sum(minutes) if minutes else None,
        bundle_bytes=sum(sizes) if sizes else None,
        num_runs=sum(run.is_measured for run in runs),
        **own,
    )


def _worst(runs: Sequence[Entry]) -> State:
    """The state of a study whose runs are not all finished."""
    order: tuple[State, ...] = ("running", "interrupted", "damaged", "failed")
    return next((state for state in order if any(run.state == state for run in runs)), "interrupted")


def condition_of(runs: Sequence[Entry], name: str, path: Path, within: str) -> Entry:
    """The entry of a condition of a sweep: the mean over its seeds, with an interval over seeds."""
    entry = _together(runs, name=name, path=path, kind="condition", within=within)
    finished = [run for run in runs if run.is_measured]
    unfinished = next((run for run in runs if run.state != "finished"), None)
    state: State = unfinished.state if unfinished else "finished"
    reason = f"{unfinished.name.rpartition('/')[2]}: {unfinished.reason or unfinished.state}" if unfinished else ""
    entry = replace(
        entry, state=state, reason=reason, note=f"{len(finished)} of {len(runs)} seeds" if unfinished else ""
    )
    alike = [run for run in finished if (run.metric, run.split) == (finished[0].metric, finished[0].split)]
    if not alike or len(alike) < len(finished):
        return entry
    values = [run.value for run in alike if run.value is not None]
    chosen = [run.select_value for run in alike if run.select_value is not None]
    selects = {run.select for run in alike}
    entry = replace(
        alike[0],
        **{
            name: getattr(entry, name) for name in ("name", "path", "kind", "within", "state", "reason", "note", "when")
        },
        minutes=entry.minutes,
        bundle_bytes=alike[0].bundle_bytes,
        num_runs=len(alike),
        evaluations=tuple(run.evaluations[0] for run in alike),
        select=selects.pop() if len(selects) == 1 else "",
        select_value=sum(chosen) / len(chosen) if len(chosen) == len(alike) else None,
    )
    if len(alike) == 1:
        return entry
    metric = entry.known_metric
    assert metric is not None
    mean, low, high, why = mean_over_seeds(values, metric.possible)
    return replace(entry, value=mean, low=low, high=high, no_interval=why, note=entry.note or f"{len(alike)} seeds")


def sweep_of(conditions: Sequence[Entry], place: Place) -> Entry:
    """The entry of a sweep: that of the condition which val chooses."""
    total = _together(conditions, name=place.name, path=place.path, kind="sweep")
    num_runs = sum(condition.num_runs for condition in conditions)
    state = _worst(conditions) if any(c.state != "finished" for c in conditions) else "finished"
    reason = "" if state == "finished" else "some conditions are not finished"
    if not conditions:
        state, reason = "interrupted", "no run has begun"
    about = f"conditions: {len(conditions)}, finished runs: {num_runs}"
    measured = [c for c in conditions if c.value is not None and c.select_value is not None and c.select]
    if not measured or len({(c.select, c.metric, c.split, c.data_digest) for c in measured}) > 1:
        many = "" if not measured else "; val does not choose one, because the metric or the data differs"
        return replace(total, state=state, reason=reason, num_runs=num_runs, note=about + many)
    sign = 1 if measured[0].select in LOWER_IS_BETTER else -1
    best = min(measured, key=lambda condition: sign * (condition.select_value or 0.0))
    return replace(
        best,
        name=place.name,
        path=place.path,
        kind="sweep",
        within="",
        state=state,
        reason=reason,
        when=total.when,
        minutes=total.minutes,
        num_runs=num_runs,
        note=f"{about}; chosen by val: {best.name.rpartition('/')[2]}",
    )


def _words(error: BaseException, path: Path) -> str:
    """The reason of a fault in one line, without the folder, which the line names."""
    text = " ".join(str(error).split()) or type(error).__name__
    for prefix in (f"{path}/", str(path)):
        text = text.replace(prefix, "")
    if isinstance(error, OSError):
        return f"{Path(str(error.filename or path)).name} cannot be read: {error.strerror}"
    return text[:300] if isinstance(error, DataError) else "a file of it does not hold what it should"
