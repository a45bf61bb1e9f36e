"""Choice among ways of training by cross-validation, then the run in the chosen way.

    RUN/choice/condition.json            the recipe, with its data; other settings are refused
    RUN/choice/ways.json                 way -> its changes of the recipe
    RUN/choice/WAY/recipe.yaml           the recipe of a run in that way
    RUN/choice/split.csv                 the manifest with the splits of the recipe
    RUN/choice/.samples/                 its train and val, as the data of the folds: laid out like a run folder
    RUN/choice/WAY/fold-0/ ...           run folders
    RUN/choice/WAY/evaluation/out-of-fold/
    RUN/choice.json                      the values of all ways, and which one is chosen
    RUN/...                              the run in the chosen way, as any run; its val are the out-of-fold predictions

The folds divide train and val; no run of a fold sees test. Started again, the choice goes on: finished folds are not
trained again. Of a time budget every fold gets an equal share, and the last run, which trains twice, two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from obverse.errors import BusyError, Interrupted, RecipeError, RefusedError, UnavailableError, printable
from obverse.evaluation import OUT_OF_FOLD, Predictions, create_folder
from obverse.experiment import (
    MEMORY_ADVICE,
    Choose,
    Progress,
    Resolved,
    RunResult,
    as_written,
    choice_rows,
    read_story,
    resolve,
    run_recipe,
    start_run,
    training_log_of,
    with_digest,
    with_source,
    write_inputs,
)
from obverse.files import read_json_object
from obverse.manifest import Index, build_index, full_path
from obverse.recipe import AutoBackbone, Condition, Recipe, Settings, SplitSpec, dump_recipe, load_recipe, setting_lines
from obverse.runs import Message, Observer, RunFolder, explained, write_text

from .choice_result import Trained, choice_values, clearly_worse
from .folds import fold_recipe, pool, pooled_facts, pooled_seen, shared_facts
from .many import require_same, train_to_end
from .pooled_report import write_pooled

WAYS = "ways.json"
SPLIT = "split.csv"
SAMPLES = ".samples"
RECIPE = "recipe.yaml"
# Trainings of the last run.
LAST = 2
# The settings of `finetune` with which everything trains, so that each way changes only its own.
WHOLE: Settings = {
    "finetune.train": "all",
    "finetune.lora": None,
    "finetune.freeze_stages": 0,
    "finetune.train_stages": None,
    "finetune.unfreeze_epochs": 0,
    "finetune.layer_decay": 1.0,
}
# Stages of the backbone that train in the way `last-blocks`: of a ResNet, two of five.
LAST_STAGES = 2
SHIPS = "none of these models, but one that was trained in the chosen way afterwards; test figures are of that one"


@dataclass(frozen=True)
class Way:
    """One way of training: its changes of the recipe, and the folder of its folds."""

    name: str
    settings: Settings
    path: Path

    @property
    def recipe(self) -> Recipe:
        """The recipe of a run in this way."""
        return load_recipe(self.path / RECIPE)

    @property
    def pooled(self) -> Path:
        """The evaluation of its out-of-fold predictions."""
        return self.path / "evaluation" / OUT_OF_FOLD

    def fold(self, number: int) -> Path:
        """The run folder of one fold."""
        return self.path / f"fold-{number}"


def train_chosen(
    data: Path,
    recipe: Recipe,
    run: RunFolder,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    choose: Choose = as_written,
) -> RunResult:
    """The result of a run in the way that cross-validation chooses, begun or continued.

    choose: of what the recipe leaves open for all ways, once the data is read.
    Raises ObverseError for every error that the user can mend.
    """
    assert recipe.choice is not None
    notify = partial(_notify, observers)
    try:
        run.claim()
        with explained(run.path, MEMORY_ADVICE):
            try:
                ways = _prepared(data, recipe, run, progress, lambda recipe, index: choose(recipe, index, notify))
            except BaseException:
                run.undo()
                raise
            run.begun()
            if not run.choice_file.is_file():
                run.write_json(run.choice_file.name, _Folds(run, recipe, ways, observers, progress).choose())
            name = read_json_object(run.choice_file)["chosen"]
        chosen = next(way.recipe for way in ways if way.name == name)
        # Refit: the shipped model is trained on val, too. A schedule that follows val cannot do without it.
        refit = chosen.schedule.kind != "plateau"
        last = chosen.changed({"training.minutes": _minutes(recipe, len(ways), LAST), "training.refit": refit})
        return with_out_of_fold(run, start_run(data, last, run, observers=observers, progress=progress))
    finally:
        run.unlock()


def with_out_of_fold(run: RunFolder, result: RunResult) -> RunResult:
    """The result of a finished run whose way was chosen, after writing the out-of-fold predictions as its val."""
    choice = read_json_object(run.choice_file)
    folder, pooled = run.evaluation("val"), Path(choice["out_of_fold"])
    story = read_story(run)
    predictions = Predictions.read(run.path / pooled)
    num_ways = len(choice["ways"])
    seen = pooled_seen(predictions, run_recipe(run))
    seen = replace(seen, chosen=(*seen.chosen, f"the way of training, of {num_ways}"))
    way = (run.path / pooled).parents[1]
    folds = [RunFolder(way / f"fold-{fold}") for fold in range(choice["folds"])]
    facts = _facts(story.facts, folds) | pooled_facts(folds, predictions) | {"what ships": SHIPS}
    measured = write_pooled(folder, predictions, folds, facts=facts, more=story.sections, seen=seen)
    if result.report.parent.name != folder.name:
        return result
    return replace(result, metrics=measured.as_json())


def _facts(facts: Mapping[str, str], folds: Sequence[RunFolder]) -> dict[str, str]:
    """The facts of the last run that hold for the models of the folds, too, and those about its data."""
    shared = shared_facts([facts, *(read_story(fold).facts for fold in folds)])
    return {name: value for name, value in facts.items() if name in shared or name in ("data", "samples")}


def _prepared(
    data: Path, recipe: Recipe, run: RunFolder, progress: Progress | None, choose: Callable[[Recipe, Index], Recipe]
) -> list[Way]:
    """The ways, after writing their recipes and the samples of the folds, or as an earlier start has written them."""
    folder, file = run.choice, run.choice_condition
    condition: dict[str, Any] = {"recipe": recipe.changed({"data.path": full_path(data)}).model_dump(mode="json")}
    if file.is_file():
        require_same(file, condition)
    if not (folder / WAYS).is_file():
        _prepare(data, recipe, run, condition, progress, choose)
    settings = read_json_object(folder / WAYS)
    return [Way(name, changes, folder / Condition(name, changes).label) for name, changes in settings.items()]


def _prepare(
    data: Path,
    recipe: Recipe,
    run: RunFolder,
    condition: dict[str, Any],
    progress: Progress | None,
    choose: Callable[[Recipe, Index], Recipe],
) -> None:
    """Write the samples of the folds and the recipe of each way. WAYS comes last: where it exists, all else does."""
    assert recipe.choice is not None
    folder = run.choice
    index = build_index(data, recipe.data, progress or (lambda done, total: None))
    recipe = choose(recipe, index)
    assert recipe.choice is not None
    resolved = resolve(with_digest(recipe), index)
    ways = auto_ways(recipe, resolved, index) if recipe.choice.ways == "auto" else recipe.choice.ways
    base = _base(recipe, resolved, index, folder)
    # Nothing is written before every way is known to be possible.
    recipes = {Condition(name, changes).label: _recipe_of(base, name, changes) for name, changes in ways.items()}
    if len(recipes) < len(ways):
        raise RecipeError(f"choice.ways: two of {', '.join(ways)} would have one folder; give them other names")
    create_folder(folder)
    require_same(run.choice_condition, condition)
    index.manifest.write(folder / SPLIT)
    _write_samples(RunFolder(folder / SAMPLES), data, resolved, index)
    for label, of_way in recipes.items():
        create_folder(folder / label)
        write_text(folder / label / RECIPE, dump_recipe(of_way))
    write_text(folder / WAYS, json.dumps(ways, indent=1) + "\n")


def _recipe_of(base: Recipe, name: str, changes: Settings) -> Recipe:
    try:
        return load_recipe(base, setting_lines(changes))
    except RecipeError as error:
        raise RecipeError(f"choice, way {name!r}: {error}") from None


def _base(recipe: Recipe, resolved: Resolved, index: Index, folder: Path) -> Recipe:
    """The recipe that the ways change: backbone, selection metric and splits are the same for all."""
    changes: dict[str, object] = {"choice": None, "training.select": resolved.recipe.training.select}
    backbone = resolved.recipe.model.backbone
    if isinstance(recipe.model.backbone, AutoBackbone) and not backbone.is_scratch:
        changes["model.backbone"] = backbone
    if index.stored is None:  # else the data has its own
        changes["data.split.stored"] = str((folder / SPLIT).resolve())
    return recipe.changed(changes)


def _write_samples(run: RunFolder, data: Path, resolved: Resolved, index: Index) -> None:
    """Write train and val as one split, with what a reader of a run folder needs."""
    manifest = index.manifest
    kept = manifest.samples.where(split != "test" for split in manifest.samples.splits)
    together = kept.with_columns(splits=("train",) * len(kept))
    create_folder(run.path)
    write_inputs(
        run, with_source(resolved.recipe, data, index), replace(index, manifest=manifest.with_samples(together))
    )


def auto_ways(recipe: Recipe, resolved: Resolved, index: Index) -> dict[str, Settings]:
    """The ways to use pretrained weights: what the recipe does anyway, then from the simplest to the most expensive.

    The recipe's own way is preferred, because with few samples almost all ways are within a standard error of the best,
    and where it was measured on many folds, training everything was better (benchmarks/few_pairs.py).

    Raises UnavailableError or RecipeError when the model has no pretrained weights.
    """
    model = resolved.recipe.model
    if model.backbone.is_scratch:
        error = UnavailableError if isinstance(recipe.model.backbone, AutoBackbone) else RecipeError
        why = next((line for line in resolved.reasons if line.startswith("model:")), "the model starts from scratch")
        raise error("choice.ways: auto compares ways to use pretrained weights, and there are none "
                    f"({why}); give --weights FILE, or list the ways in the recipe")  # fmt: skip
    num_views = len(index.manifest.views)
    frozen = {**WHOLE, "finetune.train": "head", "finetune.head_first": {}}
    ways: dict[str, Settings] = {"joint": WHOLE, "frozen": frozen}
    if num_views > 1:  # frozen backbones of all views would be the same
        ways["frozen"] = {**ways["frozen"], "model.sharing": "shared"}
    if resolved.needs.multiple > 1:
        ways["lora"] = {**WHOLE, "finetune.lora": {}}
    else:
        ways["last-blocks"] = {**WHOLE, "finetune.train_stages": LAST_STAGES}
    together = {"shared": ("shared", "gated"), "average": ("separate", "average")}
    for name, (sharing, fusion) in together.items() if num_views > 1 else ():
        if (model.sharing, model.fusion.kind) != (sharing, fusion):  # else it is `joint`
            ways[name] = {**WHOLE, "model.sharing": sharing, "model.fusion": {"kind": fusion}}
    if "average" in ways:
        ways["average"] = {**ways["average"], "model.view_heads": None}
    return {name: _changes(recipe, settings) for name, settings in ways.items()}


def _changes(recipe: Recipe, settings: Settings) -> Settings:
    """The settings that the recipe does not have already."""
    known: dict[str, object] = {name: reduce(getattr, name.split("."), recipe) for name in settings}
    return {name: value for name, value in settings.items() if known[name] != value}


def _minutes(recipe: Recipe, num_ways: int, num_shares: int = 1) -> float | None:
    """Minutes of a training that counts `num_shares` times; None without a time budget."""
    assert recipe.choice is not None
    if recipe.training.minutes is None:
        return None
    return num_shares * recipe.training.minutes / (num_ways * recipe.choice.folds + LAST)


@dataclass
class _Folds:
    """The trainings of all ways in all folds."""

    run: RunFolder
    recipe: Recipe
    ways: Sequence[Way]
    observers: Sequence[Observer]
    progress: Progress | None

    left_out: dict[str, str] = field(default_factory=dict)
    """Way -> why it is trained no more."""

    def choose(self) -> dict[str, object]:
        """The content of choice.json, after training every fold that is not finished."""
        assert self.recipe.choice is not None
        folds = self.recipe.choice.folds
        for fold in range(folds):
            for way in self._open():
                self._train(way, fold)
            if fold == 0:
                self._leave_out()
        for way in self._open():
            pool(way.path, [way.fold(fold) for fold in range(folds)])
        trained = [self._trained(way) for way in self.ways]
        values = choice_values(trained, self._select(), folds)
        best = next(way for way in self.ways if way.name == values["chosen"])
        for name, _, value, interval, seconds, mark in choice_rows(values):
            self._notify(f"way {name}: {value} ({interval}), {seconds}" + f", {mark}" * bool(mark))
        self._notify(str(values["why"]))
        return {**values, "out_of_fold": best.pooled.relative_to(self.run.path).as_posix()}

    def _open(self) -> list[Way]:
        return [way for way in self.ways if way.name not in self.left_out]

    def _select(self) -> str:
        return self.ways[0].recipe.training.select

    def _train(self, way: Way, fold: int) -> None:
        assert self.recipe.choice is not None
        folds = self.recipe.choice.folds
        self._notify(f"way {way.name}, fold {fold + 1} of {folds}")
        samples, recipe = self.run.choice / SAMPLES, self._fold_recipe(way, fold)
        try:
            outcome = train_to_end(samples, recipe, way.fold(fold), observers=self.observers, progress=self.progress)
        except Interrupted as stop:
            message = "stopped by a signal; everything is saved, go on with --resume"
            raise Interrupted(message, stop.exit_code - 128) from None
        if outcome.state == "busy":
            raise BusyError(f"another process trains in {str(way.fold(fold))!r}; wait for it, then go on with --resume")
        if outcome.state == "failed":
            self.left_out[way.name] = f"failed: {outcome.reason}"
            self._notify(f"way {way.name} failed, and is left out: {outcome.reason}")
            if not self._open():
                raise (outcome.error or RefusedError)(f"no way could be trained; {way.name}: {outcome.reason}. Mend "
                                                      f"that and remove {str(self.run.choice)!r}")  # fmt: skip

    def _fold_recipe(self, way: Way, fold: int) -> Recipe:
        """The recipe of one fold, without test samples and without what only the report of a last run needs."""
        assert self.recipe.choice is not None
        recipe = way.recipe
        split = recipe.data.split
        names = split.model_fields_set - {"train", "val", "test", "stored", "folds", "fold"}
        changes = {
            "data.layout": "auto",
            "data.largest_classes": None,
            "data.split": SplitSpec(**{name: getattr(split, name) for name in names}),
            "evaluation.maps": 0,
            "training.minutes": _minutes(self.recipe, len(self.ways)),
        }
        return fold_recipe(recipe.changed(changes), self.recipe.choice.folds, fold)

    def _leave_out(self) -> None:
        """Leave out the ways that are clearly worse than the best after the first fold."""
        known = {way.name: Predictions.read(RunFolder(way.fold(0)).evaluation("val")) for way in self._open()}
        for name, p_value in clearly_worse(known, self._select()).items():
            self.left_out[name] = f"left out after the first fold, because it is clearly worse (p = {p_value:.3f})"
            self._notify(f"way {name} is {self.left_out[name]}")

    def _trained(self, way: Way) -> Trained:
        """What is known of a way after its folds."""
        assert self.recipe.choice is not None
        done = [way.fold(fold) for fold in range(self.recipe.choice.folds) if RunFolder(way.fold(fold)).is_finished]
        seconds = sum(float(training_log_of(path)["seconds"]) for path in done)
        is_open = way.name not in self.left_out
        pooled = Predictions.read(way.pooled) if is_open else None
        return Trained(way.name, way.settings, pooled, seconds, len(done), self.left_out.get(way.name, ""))

    def _notify(self, text: str) -> None:
        _notify(self.observers, text)


def _notify(observers: Sequence[Observer], text: str) -> None:
    for observer in observers:
        observer.notify(Message(printable(text)))
