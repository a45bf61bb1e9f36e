"""One training run, from data to report: start it, follow it on other ranks, or resume it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obverse.bundle import Bundle, write_bundle
from obverse.errors import DataError, Interrupted, ObverseError, RecipeError, UnavailableError, printable
from obverse.evaluation import plot_history
from obverse.experiment.auto import Choose, Resolved, as_written, resolve
from obverse.experiment.auto.tune import tune
from obverse.files import read_json_object
from obverse.launch import launched
from obverse.manifest import Index, Manifest, build_index, finding_lines
from obverse.models import Classifier, licence_note
from obverse.recipe import AutoBackbone, ConvNetBackbone, Recipe, ResolvedRecipe
from obverse.runs import Message, Observer, RunFolder, explained
from obverse.runs.checkpoint import Checkpoint, load_newest
from obverse.runs.observers import JsonlObserver, Watch, dotted, open_tensorboard, open_tracker, require_trackers
from obverse.runtime import Process, busy_note, give_back_freed_memory, joined
from obverse.staging import require_whole
from obverse.training import Progress as TrainingProgress
from obverse.training import Repeat, Trainer, catch_signals, workers_explained

from .evaluate import Ready, finished_event, report_split
from .example import Example, example_of
from .identity import as_they_are, differences
from .inputs import fixes_fact, read_inputs, with_source, write_inputs
from .parent import require_same_classes
from .setup import Setup, build_model, describe, require_launch, require_readable, set_up
from .shipping import REFIT, ready_model, refitted_model, set_up_refit, with_share_of_minutes
from .story import HISTORY, RunStory, TrainAccuracy, final_story, refit_fact, run_facts, training_log
from .teacher import require_teacher, with_digest

Progress = Callable[[int, int], None]
MEMORY_ADVICE = (
    "try a smaller training.micro_batch_size (the result stays the same without batch norm), "
    "runtime.checkpointing=true or a smaller data.size; `obverse plan` says what fits"
)

OF_FIRST = "those of the first training, on train alone; what ships was trained once more, on train and val"


@dataclass(frozen=True)
class RunResult:
    """The result of a finished run."""

    run: RunFolder

    report: Path
    """report.html of test, or of val where there is no test split."""

    metrics: dict[str, Any]
    """Metrics of the same split, as in metrics.json."""

    example: Example
    """Pictures to try the model on."""


def start_run(
    data: Path,
    recipe: Recipe,
    run: RunFolder,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    choose: Choose = as_written,
) -> RunResult:
    """The result of a new run: train on `data`, write into the run folder, evaluate.

    The main process calls this or `resume_run`; all other ranks call `follow_run`.
    progress: called with (done, total) while pictures are read.
    choose: called by the main process, once the data is read.
    Raises ObverseError for every error that the user can mend.
    """
    watch = Watch(observers)
    with joined(launched()), _holding(run):
        run.claim()
        try:
            require_trackers(recipe.training.trackers)
            require_launch(recipe)
            if recipe.choice is not None:
                raise RecipeError("choice is for `obverse train`, and this trains one way only; add --set choice=null")
            setup = _prepare(data, recipe, run, watch, progress or (lambda done, total: None), choose)
        except BaseException:
            run.undo()
            raise
        run.begun()
        alone_on_cpu = setup.device.type == "cpu" and setup.process.world_size == 1
        if alone_on_cpu and (note := busy_note(setup.recipe.runtime.num_threads)):
            watch.notify(Message(note))
        setup.process.from_main(lambda: (setup.recipe, setup.manifest, True))
        return _train(run, setup, watch)


def follow_run() -> None:
    """Train on a rank other than the main one, with the recipe and manifest broadcast by the main process.

    Writes no files of the run.
    """
    with joined(launched()):
        inputs: tuple[ResolvedRecipe, Manifest, bool] | None = _this_process().from_main(lambda: None)
        if inputs is not None:
            recipe, manifest, load_weights = inputs
            _train(RunFolder(Path()), set_up(recipe, manifest, load_weights=load_weights), Watch(()))


def _this_process() -> Process:
    return Process(launched().rank, launched().world_size)


def _prepare(data: Path, recipe: Recipe, run: RunFolder, watch: Watch, progress: Progress, choose: Choose) -> Setup:
    """The objects of a new run, after reading the data, resolving `auto` and writing the run's input files."""
    recipe = with_digest(recipe)
    index = build_index(data, recipe.data, progress)
    for line in (index.summary, *finding_lines(index.findings, "all are in data_report.json")):
        watch.notify(Message(printable(line)))
    manifest, notify = index.manifest, _notifier(watch)
    require_teacher(recipe, manifest)
    require_same_classes(recipe, manifest)
    recipe = choose(recipe, index, notify)
    resolved, model = _with_model(recipe, index, notify)
    if licence := licence_note(resolved.recipe.model.backbone):
        notify(licence)
    require_readable(resolved.recipe, manifest, index.facts, progress)
    bundle, num_train = describe(resolved.recipe, manifest), len(manifest.split("train"))
    final = with_source(tune(resolved, model, bundle, num_train=num_train, notify=notify), data, index)
    write_inputs(run, final, index)
    return set_up(final, manifest, model=model, progress=progress, notify=notify)


def _with_model(recipe: Recipe, index: Index, notify: Callable[[str], None]) -> tuple[Resolved, Classifier]:
    """The resolved recipe and its model.

    Where `auto` chose pretrained weights that turn out to be unavailable, resolves again with a model from scratch.
    """
    resolved = resolve(recipe, index)
    for line in resolved.reasons:
        notify(line)
    try:
        return resolved, build_model(resolved.recipe, index.manifest)
    except UnavailableError as error:
        backbone = recipe.model.backbone
        if not isinstance(backbone, AutoBackbone) or backbone.pretrained != "hub":
            raise
        notify(f"model: from scratch, because {error}")
    return _with_model(recipe.changed({"model.backbone": ConvNetBackbone()}), index, notify)


def _notifier(watch: Watch) -> Callable[[str], None]:
    return lambda line: watch.notify(Message(printable(line)))


def resume_run(run: RunFolder, *, observers: Sequence[Observer] = (), force: bool = False) -> RunResult:
    """The result of an interrupted run, continued from its newest checkpoint; a finished run is only read back.

    force: continue although the recipe, manifest or pictures have changed; each change is a message.
    Raises DataError for such changes, and for unusable checkpoints, without `force`.
    """
    watch = Watch(observers)
    with joined(launched()), _holding(run):
        run.reopen()
        finished = _finished(run)
        if finished:
            _this_process().from_main(lambda: None)
            watch.notify(Message("the run is finished; nothing was changed"))
            return finished
        run.lock()
        recipe, manifest = read_inputs(run)
        require_trackers(recipe.training.trackers)
        for line in differences(run, recipe, manifest):
            if not force:
                raise DataError(f"{line}, or add --force to go on all the same")
            watch.notify(Message(f"forced: {line}"))
        manifest = as_they_are(manifest) if force else manifest
        saved = load_newest(run.checkpoints)
        if saved[0] is None and saved[1] and not force:
            raise DataError(f"no checkpoint in {str(run.checkpoints)!r} can be used ({'; '.join(saved[1])}). Put one "
                            "back, or add --force to train from the beginning")  # fmt: skip
        setup = set_up(recipe, manifest, load_weights=saved[0] is None, notify=_notifier(watch))
        setup.process.from_main(lambda: (recipe, manifest, saved[0] is None))
        return _train(run, setup, watch, saved)


def _finished(run: RunFolder) -> RunResult | None:
    """The result of a finished run, read back from its folder; None when the run is not finished."""
    for folder in (run.evaluation("test"), run.evaluation("val")) if run.is_finished else ():
        with suppress(OSError, ValueError):
            require_whole(folder)
            metrics = read_json_object(folder / "metrics.json")
            return RunResult(run, folder / "report.html", metrics, _known_example(run))
    return None


def _known_example(run: RunFolder) -> Example:
    """Example pictures of a finished run; none where its data can no longer be read."""
    with suppress(ObverseError):
        return example_of(read_inputs(run)[1])
    return {"image": None}


def _train(
    run: RunFolder,
    setup: Setup,
    watch: Watch,
    saved: tuple[Checkpoint | None, Sequence[str]] = (None, ()),
) -> RunResult:
    setup = with_share_of_minutes(setup)
    give_back_freed_memory()  # of reading the data
    if setup.process.is_main:
        _write_events(watch, run, setup.recipe)
    try:
        with catch_signals() as wish:
            first = _train_to_end(run, setup, watch, wish, saved=saved)
        return _finish(run, setup, first, watch)
    finally:
        watch.close()


def _train_to_end(
    run: RunFolder,
    setup: Setup,
    watch: Watch,
    wish: Callable[[], int | None],
    *,
    saved: tuple[Checkpoint | None, Sequence[str]],
    repeat: Repeat | None = None,
) -> Trainer:
    """The trainer after its last step, from its start or from the checkpoint in `saved`."""
    checkpoint, complaints = saved
    loaders = setup.loaders()
    setup.process.barrier()  # one rank of each machine may have been filling its disk cache
    trainer = Trainer(
        setup.engine(),
        setup.recipe,
        loaders,
        objective=setup.objective,
        checkpoints=run.checkpoints if repeat is None else run.checkpoints / REFIT,
        process=setup.process,
        wanted_signal=wish,
    )
    trainer.before_save = run.require_ours
    if repeat is not None:
        trainer.follow(repeat)
    parameters = f"{trainer.model.num_parameters():,} parameters"
    for line in filter(None, (*complaints, setup.rounding, parameters)):
        watch.notify(Message(line))
    if setup.process.from_main(lambda: checkpoint is not None):
        notes = trainer.restore(checkpoint)
        watch.notify(Message(f"resumed after step {trainer.progress.step}"))
        for line in notes:
            watch.notify(Message(line))
    with workers_explained(trainer.loaders.train, wish):
        for event in trainer.run():
            run.require_ours()
            watch.notify(event)
    late = int(max(row[0] for row in setup.process.rows([wish() or 0])))
    if late:  # the signal came after the last step, where the trainer checks for one
        raise Interrupted("stopped by a signal after the last step; everything is saved, go on with --resume", late)
    return trainer


def _write_events(watch: Watch, run: RunFolder, recipe: Recipe) -> None:
    run.require_ours()
    watch.add(JsonlObserver(run.path / "events.jsonl"))
    settings = dotted(recipe.model_dump(mode="json"))
    watch.add(open_tensorboard(run.path, settings))
    for name in recipe.training.trackers:
        try:
            watch.add(open_tracker(name, run, settings))
        except Exception as error:  # a tracker may fail in any way, and training goes on
            watch.notify(Message(printable(f"the tracker {name} could not be opened and is left out ({error})")))


def _refit(
    run: RunFolder, setup: Setup, ready: Ready, first: TrainingProgress, watch: Watch
) -> tuple[Trainer, Ready, TrainAccuracy]:
    """The trainer of the second training after its end, the model that ships, and its accuracy on train."""
    process, folder = setup.process, run.checkpoints / REFIT
    saved = load_newest(folder) if process.is_main else (None, [])
    is_new = process.from_main(lambda: saved[0] is None)
    second = set_up_refit(setup, load_weights=is_new, notify=_notifier(watch))
    repeat = Repeat.of(first, setup.recipe.training.minutes)
    watch.notify(Message(f"refit: once more on train and val, {len(second.manifest.split('train')):,} samples, "
                         f"up to epoch {repeat.num_epochs}"))  # fmt: skip
    with catch_signals() as wish:
        trainer = _train_to_end(run, second, watch, wish, saved=saved, repeat=repeat)
    return trainer, *refitted_model(ready, second, trainer)


def _finish(run: RunFolder, setup: Setup, first: Trainer, watch: Watch) -> RunResult:
    """The result of the run: write the bundle with the best weights, evaluate val and test, write the training log.

    With `training.refit`, val is evaluated with the best weights of the first training, before the second.
    """
    give_back_freed_memory()  # of training
    progress, (ready, train), shipped, log = first.progress, ready_model(run, setup, first), first, {}
    story = _story(run, setup, first, ready, train)
    splits = [name for name in ("val", "test") if setup.manifest.split(name)]
    measured: dict[str, dict[str, Any]] = {}
    if setup.recipe.training.refit:
        of_first = replace(story, facts=story.facts | {"weights": OF_FIRST})
        measured["val"] = _report(run, setup, ready, of_first, "val")
        shipped, ready, train = _refit(run, setup, ready, progress, watch)
        manifest = shipped.loaders.train.dataset.manifest
        assert shipped.repeat is not None
        fact = refit_fact(shipped.repeat, shipped.progress, manifest, has_folds=run.choice_file.is_file())
        story = replace(story, facts=story.facts | {_train_name(ready.bundle): str(train), REFIT: fact})
        log = {REFIT: {"epochs": shipped.progress.history, "seconds": shipped.progress.seconds}}
    run.require_ours()
    if setup.process.is_main:
        write_bundle(run.bundle, ready.bundle, shipped.best_weights)
    for name in splits:
        if name not in measured:
            measured[name] = _report(run, setup, ready, story, name)
    if setup.process.is_main:
        # Before the log, by which the run is finished: a run that is killed meanwhile is resumed, and does it again.
        watch.notify(finished_event(run, measured[splits[-1]], step=shipped.progress.step))
        run.write_json("training_log.json", training_log(progress, story, train) | log)
    for finding in story.diagnoses:
        watch.notify(Message(printable(finding.sentence)))
    report, example = run.evaluation(splits[-1]) / "report.html", example_of(setup.manifest)
    return RunResult(run, report, measured[splits[-1]], example)


def _story(run: RunFolder, setup: Setup, trainer: Trainer, ready: Ready, train: TrainAccuracy) -> RunStory:
    """What the reports say of a training that chose its best epoch on val. train: its accuracy on train."""
    bundle, progress = ready.bundle, trainer.progress
    facts = run_facts(
        setup.recipe, setup.manifest, trainer.model, progress, num_trained=trainer.num_trained, output=bundle.output
    ) | fixes_fact(run)
    story = RunStory(facts | {_train_name(bundle): str(train)})
    run.require_ours()
    if setup.process.is_main:
        plot_history(progress.history, run.path / HISTORY)
        story = final_story(run, story.facts, progress, manifest=setup.manifest, train=train, recipe=setup.recipe)
    return story


def _train_name(bundle: Bundle) -> str:
    return "train subset accuracy" if bundle.multi_label else "train accuracy"


def _report(run: RunFolder, setup: Setup, ready: Ready, story: RunStory, split: str) -> dict[str, Any]:
    """Metrics of a split, after writing its report."""
    run.require_ours()
    give_back_freed_memory()  # of fitting, or of another report
    folder = run.evaluation(split)
    cache = setup.caches.get(split) if split != "train" else None
    metrics = report_split(folder, split, setup.manifest, ready, recipe=setup.recipe, story=story, cache=cache)
    setup.process.barrier()  # wait until the main process has written the report
    return metrics


@contextmanager
def _holding(run: RunFolder) -> Iterator[None]:
    """Context that unlocks the run folder at its end, and turns errors of disk and memory into ObverseErrors."""
    try:
        with explained(run.path, MEMORY_ADVICE):
            yield
    finally:
        run.unlock()
