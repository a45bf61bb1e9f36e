"""One run, from data to report: the composition of everything below."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from obverse.bundle import Bundle, write_bundle
from obverse.data import Geometry, Loader, PictureDataset
from obverse.errors import DataError, Interrupted, OutputError, RecipeError, printable
from obverse.evaluation import Forward
from obverse.manifest import Finding, Index, Manifest, build_index, read_manifest
from obverse.models import Classifier, input_needs
from obverse.recipe import Recipe, Size, dump_recipe, load_recipe, not_yet
from obverse.runs import Checkpoint, Event, Message, Observer, RunFolder, describe_environment, load_newest, write_text
from obverse.runs.failures import explained
from obverse.runs.observers import JsonlObserver, TensorBoardObserver
from obverse.runtime import keep_freed_memory, resolve_device, seed_torch
from obverse.training import Loaders, Trainer, catch_signals

from .evaluate import report_split
from .facts import run_facts, training_log
from .resolve import resolve
from .tune import tune

Progress = Callable[[int, int], None]
SHOWN_FINDINGS = 5
MEMORY_ADVICE = (
    "try a smaller training.micro_batch_size (the result stays the same without batch norm) or a smaller data.size"
)


@dataclass(frozen=True)
class RunResult:
    """Where the run lies, and the report to read first."""

    run: RunFolder
    report: Path
    metrics: dict[str, Any]


def start_run(
    data: Path, recipe: Recipe, run: RunFolder, *, observers: Sequence[Observer] = (), progress: Progress | None = None
) -> RunResult:
    """Train on `data` in a new run folder and evaluate. Every error the user can mend is an ObverseError."""
    refused = not_yet(recipe)
    if refused:
        raise RecipeError(f"not yet available in this version: {', '.join(refused)}; "
                          "leave them at their defaults, for example with --set mixing.mixup=0")  # fmt: skip
    made = _claim(run)
    with _holding(run):
        try:
            plan = _prepare(data, recipe, run, observers, progress or (lambda done, total: None))
        except BaseException:
            _undo(run, made)
            raise
        return _train(run, plan, observers)


def _prepare(data: Path, recipe: Recipe, run: RunFolder, observers: Sequence[Observer], progress: Progress) -> _Plan:
    """Read the data, decide what is `auto`, and write down what will be trained."""
    index = build_index(data, recipe.data, progress)
    for line in (index.said, *_finding_lines(index.findings)):
        _tell(observers, Message(printable(line)))
    resolved = resolve(recipe, index)
    for line in resolved.reasons:
        _tell(observers, Message(printable(line)))
    plan = _Plan(_with_path(resolved.recipe, data, index.manifest), index.manifest)
    _write_inputs(run, plan.tuned(), index)
    return plan


def resume_run(run: RunFolder, *, observers: Sequence[Observer] = ()) -> RunResult:
    """Go on with an interrupted run, from its own recipe and manifest. A finished run is only reported again."""
    if not run.recipe.is_file():
        raise DataError(f"{str(run.path)!r} holds no run to resume: there is no recipe.yaml in it")
    finished = _finished(run)
    if finished:
        _tell(observers, Message("the run is finished; nothing was changed"))
        return finished
    with _holding(run):
        saved = load_newest(run.checkpoints)
        plan = _Plan(*_read_inputs(run), load_weights=saved[0] is None)
        return _train(run, plan, observers, saved)


def _finished(run: RunFolder) -> RunResult | None:
    """The result of a run that has written everything, read back."""
    for folder in (run.evaluation("test"), run.evaluation("val")) if run.is_finished else ():
        with suppress(OSError, ValueError):
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            return RunResult(run, folder / "report.html", metrics)
    return None


def _read_inputs(run: RunFolder) -> tuple[Recipe, Manifest]:
    """What `_write_inputs` wrote."""
    recipe = load_recipe(str(run.recipe))
    assert recipe.data.path is not None
    assert isinstance(recipe.data.views, tuple)
    data = Path(recipe.data.path)
    classes = _saved_classes(run)
    manifest = read_manifest(
        run.manifest,
        root=data if data.is_dir() else data.parent,
        classes=classes,
        views=recipe.data.views,
        ordered=isinstance(recipe.data.order, tuple),
    )
    return recipe, manifest


class _Plan:
    """Recipe and manifest turned into objects. load_weights False: a checkpoint has them."""

    def __init__(self, recipe: Recipe, manifest: Manifest, *, load_weights: bool = True) -> None:
        self.recipe, self.manifest = recipe, manifest
        runtime = recipe.runtime
        self.device = resolve_device(runtime.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        if runtime.num_threads != "auto":
            torch.set_num_threads(runtime.num_threads)
        torch.set_float32_matmul_precision(runtime.matmul if runtime.matmul != "auto" else "highest")
        needs = input_needs(recipe.model)
        size = recipe.data.size
        assert isinstance(size, Size)
        geometry = Geometry.for_multiple(
            size.height,
            size.width,
            multiple=needs.multiple,
            fit=recipe.data.fit,
            direction=recipe.data.round_to_multiple,
        )
        self.bundle = Bundle(
            manifest.classes, manifest.ordered, manifest.views, geometry, needs.mean, needs.std, recipe.model
        )
        seed_torch(recipe.training.seed)
        self.model: Classifier = self.bundle.build(load_weights=load_weights)

    def tuned(self) -> Recipe:
        """Decide the number and memory format by measurement."""
        self.recipe = tune(self.recipe, self.model, self.bundle)
        return self.recipe

    @property
    def rounding(self) -> str | None:
        """A line for the log when the canvas differs from the size asked for (trap A4)."""
        g = self.bundle.geometry
        if (g.height, g.width) == (g.canvas_height, g.canvas_width):
            return None
        return (
            f"pictures of {g.width}x{g.height} lie on a canvas of {g.canvas_width}x{g.canvas_height} "
            "(width x height), because the model needs multiples of its patch"
        )

    def forward(self) -> Forward:
        """Normalisation and formats as the recipe says."""
        runtime = self.recipe.runtime
        return Forward(self.bundle.mean, self.bundle.std, self.device, runtime.precision, runtime.channels_last is True)

    def loaders(self) -> Loaders:
        """Training and validation batches."""
        recipe, runtime = self.recipe, self.recipe.runtime
        assert recipe.training.batch_size != "auto"
        assert runtime.num_workers != "auto"
        seed, pin = recipe.training.seed, self.device.type == "cuda"
        cache_bytes = recipe.data.cache_gigabytes * 1e9
        train = PictureDataset(
            self.manifest,
            self.manifest.split("train"),
            self.bundle.geometry,
            augment=recipe.augment,
            seed=seed,
            cache_bytes=cache_bytes,
        )
        val = PictureDataset(
            self.manifest, self.manifest.split("val"), self.bundle.geometry, cache_bytes=cache_bytes / 4
        )
        workers = runtime.num_workers
        return Loaders(
            Loader(train, recipe.training.batch_size, seed=seed, num_workers=workers, pin_memory=pin),
            Loader(val, recipe.evaluation.batch_size, num_workers=workers, pin_memory=pin),
        )


def _train(
    run: RunFolder,
    plan: _Plan,
    observers: Sequence[Observer],
    saved: tuple[Checkpoint | None, Sequence[str]] = (None, ()),
) -> RunResult:
    checkpoint, complaints = saved
    watching: list[Observer] = [*observers, JsonlObserver(run.path / "events.jsonl"), TensorBoardObserver(run.path)]
    try:
        with catch_signals() as wish:
            trainer = Trainer(
                plan.model, plan.recipe, plan.loaders(), plan.forward(), checkpoints=run.checkpoints, wanted_signal=wish
            )
            for line in filter(None, (*complaints, plan.rounding)):
                _tell(watching, Message(line))
            if checkpoint:
                trainer.restore(checkpoint)
                _tell(watching, Message(f"resumed after step {trainer.progress.step}"))
            with _signal_for_all(wish):
                for event in trainer.run():
                    _tell(watching, event)
            late = wish()
            if late is not None:  # it came after the last step, which asks
                raise Interrupted("stopped by a signal after training; --resume evaluates", late)
        return _finish(run, plan, trainer)
    finally:
        for observer in watching:
            with suppress(OSError):  # the disk is full, which an earlier write has said
                observer.close()


@contextmanager
def _signal_for_all(wish: Callable[[], int | None]) -> Iterator[None]:
    """A signal to the whole process group (a scheduler, a container's end) also ends the workers that load pictures."""
    try:
        yield
    except RuntimeError as error:
        number = wish()
        if number is None or "DataLoader worker" not in str(error):
            raise
        raise Interrupted("stopped by a signal that also ended the processes which load pictures; "
                          "--resume goes on from the last checkpoint", number) from None  # fmt: skip


def _finish(run: RunFolder, plan: _Plan, trainer: Trainer) -> RunResult:
    """Ship the best weights and look at test once."""
    progress = trainer.progress
    trained = {"epoch": progress.best_epoch + 1, "select": plan.recipe.training.select, "value": progress.best_value}
    bundle = Bundle(**{**plan.bundle.__dict__, "trained": trained})
    write_bundle(run.bundle, bundle, trainer.best_weights)
    trainer.model.load_state_dict(trainer.best_weights)
    facts = run_facts(plan.recipe, plan.manifest, trainer.model, progress)
    splits = [name for name in ("val", "test") if plan.manifest.split(name)]
    history_png = run.path / "training_history.png"
    measured = {
        name: report_split(
            run.evaluation(name),
            name,
            plan.manifest,
            (bundle, trainer.model, trainer.forward),
            recipe=plan.recipe,
            facts=facts,
            history=(progress.history, history_png),
        )
        for name in splits
    }
    run.write_json("training_log.json", training_log(progress, facts))
    return RunResult(run, run.evaluation(splits[-1]) / "report.html", measured[splits[-1]])


def _claim(run: RunFolder) -> list[Path]:
    """Make sure of a folder for a new run; the folders that had to be made, the deepest first.

    OutputError when something else lies there.
    """
    with explained(run.path, MEMORY_ADVICE):
        made = [path for path in (run.path, *run.path.parents) if not path.exists()]
    if run.path.exists() and not run.path.is_dir():
        raise OutputError(f"{str(run.path)!r} is a file; choose another folder with --run")
    if run.recipe.exists():
        raise OutputError(f"{str(run.path)!r} already holds a run; go on with --resume, or choose another --run")
    if not made and any(path.name != ".lock" for path in run.path.iterdir()):
        raise OutputError(f"{str(run.path)!r} is not empty and holds no run; choose another folder with --run")
    run.create()
    return made


def _undo(run: RunFolder, made: Sequence[Path]) -> None:
    """Remove what a run that never began has written: it lies in a folder that was empty or not there."""
    with suppress(OSError):
        for path in run.path.iterdir():
            path.unlink()
        for folder in made:
            folder.rmdir()


@contextmanager
def _holding(run: RunFolder) -> Iterator[None]:
    """The run folder is ours while the block runs, and what the machine refuses becomes a sentence."""
    run.lock()
    try:
        with explained(run.path, MEMORY_ADVICE):
            yield
    finally:
        run.unlock()


def _write_inputs(run: RunFolder, recipe: Recipe, index: Index) -> None:
    """The recipe comes last: where it is, the rest is whole."""
    index.manifest.write(run.manifest)
    run.write_json("config.json", {**recipe.model_dump(mode="json"), "classes": list(index.manifest.classes)})
    run.write_json("environment.json", describe_environment(device=recipe.runtime.device, processes=os.getpid()))
    report = [{"severity": f.severity, "code": f.code, "message": f.message, "paths": f.paths} for f in index.findings]
    counts = {split: index.manifest.counts(split) for split in ("train", "val", "test")}
    run.write_json("data_report.json", {"source": index.said, "findings": report, "counts": counts})
    write_text(run.recipe, dump_recipe(recipe))


def _saved_classes(run: RunFolder) -> tuple[str, ...]:
    try:
        return tuple(json.loads((run.path / "config.json").read_text(encoding="utf-8"))["classes"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{str(run.path / 'config.json')!r} cannot be read: {error}") from None


def _with_path(recipe: Recipe, data: Path, manifest: Manifest) -> Recipe:
    """Where the data lies and the layout that was found there, so that another run reads it the same way."""
    is_by_class = all(sample.id in sample.views.values() for sample in manifest.samples)
    layout = "table" if data.is_file() else "class-folders" if is_by_class else "view-folders"
    update = {"path": str(data.resolve()), "layout": layout}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=update)})


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The first few of each kind; all of them are in data_report.json."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, alike in by_code.items():
        for finding in alike[:SHOWN_FINDINGS]:
            yield f"{finding.severity}: {finding.message} {_examples(finding.paths)}".rstrip()
        if len(alike) > SHOWN_FINDINGS:
            yield f"{len(alike) - SHOWN_FINDINGS} more of {code}; all are in data_report.json"


def _examples(paths: Sequence[str]) -> str:
    return f"({', '.join(map(repr, paths[:3]))}{' ...' if len(paths) > 3 else ''})" if paths else ""


def _tell(observers: Sequence[Observer], event: Event) -> None:
    for observer in observers:
        observer.notify(event)
