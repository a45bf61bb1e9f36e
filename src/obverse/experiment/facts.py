"""Facts and training diagnoses of a run, for its report and `training_log.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from obverse.bundle import Bundle
from obverse.data import Loader, PictureDataset
from obverse.decisions import LEAST_UNITS, promise
from obverse.engines import Engine, run_engine
from obverse.errors import DataError
from obverse.evaluation import Diagnosis, History, Seen, Story, diagnose, selection_value
from obverse.files import read_json_object
from obverse.imaging import unit_interval
from obverse.manifest import Manifest, Samples
from obverse.metrics import Units
from obverse.models import Classifier, weights_licence
from obverse.recipe import ADJUSTED, ORDINAL, FinetuneSpec, LossSpec, OutputSpec, Recipe, SetsSpec, Size, licence_words
from obverse.report import Row, Section, Table, Text
from obverse.runs import RunFolder
from obverse.runtime import ALONE, Process, peak_memory
from obverse.training import Progress, Repeat
from obverse.trust import Listed, listed_suspects

MOST_TRAIN_SAMPLES, LEAST_TRAIN_SAMPLES = 2000, 500
HISTORY = "training_history.png"
"""Plot of the training curves in a run folder."""


@dataclass(frozen=True)
class RunStory:
    """The contents of a report besides its measurements."""

    facts: dict[str, str] = field(default_factory=dict)
    """Name -> value, as the report shows them."""

    diagnoses: tuple[Diagnosis, ...] = ()

    history: History = field(default_factory=History)
    """The epochs of the training, for its curves."""

    seen: Seen | None = None
    """How many samples of other data the model has seen; None for a split of the run itself."""

    sections: tuple[Section, ...] = ()
    """Further sections of the report."""

    suspects: Listed | None = None
    """Suspect labels that were listed beside the run; None where nobody has searched."""

    findings: tuple[str, ...] = ()
    """Findings about the data that endanger the numbers of its splits."""


def read_story(run: RunFolder) -> RunStory:
    """The story of a finished run, from its training log. Empty where the log is missing or of an older version."""
    try:
        log = read_json_object(run.path / "training_log.json")
        findings = tuple(Diagnosis(**finding) for finding in log["diagnosis"])
        history = _history(run, log["epochs"], log["best_epoch"])
        return RunStory(
            log["facts"],
            findings,
            history,
            sections=choice_sections(run),
            suspects=listed_suspects(run.path),
            findings=endangering(run),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return RunStory()


def endangering(run: RunFolder) -> tuple[str, ...]:
    """What the run's reading of its data found that endangers its numbers: copies and parts in several splits.

    One message for each kind of finding. Empty where data_report.json is missing or damaged.
    """
    try:
        report = read_json_object(run.path / "data_report.json")
        messages = [(entry["code"], entry["message"]) for entry in report["findings"]]
    except (ValueError, KeyError, TypeError):
        return ()
    by_code: dict[str, list[str]] = {}
    for code, message in messages:
        if code.endswith("-across-splits"):
            by_code.setdefault(code, []).append(message)
    return tuple(f"{of[0]} (and {len(of) - 1} more such)" if len(of) > 1 else of[0] for of in by_code.values())


def choice_sections(run: RunFolder) -> tuple[Section, ...]:
    """The ways of training among which the run has chosen, as a section of a report; none where it did not choose."""
    if not run.choice_file.is_file():
        return ()
    choice = read_json_object(run.choice_file)
    header = ("way", "settings", choice["title"], "95 % interval", "training time of its folds", "")
    sentence = f"{choice['why'][0].upper()}{choice['why'][1:]}."
    return (Section("Ways of training", (Text(sentence), Table(header, tuple(choice_rows(choice))))),)


def choice_rows(choice: Mapping[str, Any]) -> list[Row]:
    """The ways in choice.json: name, settings, value, interval, training time, and what became of it."""
    return [_way_row(way, choice) for way in choice["ways"]]


def _way_row(way: Mapping[str, Any], choice: Mapping[str, Any]) -> Row:
    scale, style, unit = (100, ".1f", " %") if choice["unit"] == "share" else (1, ".3f", "")
    value, low, high = (None if way[key] is None else f"{scale * way[key]:{style}}" for key in ("value", "low", "high"))
    return (
        way["name"],
        ", ".join(f"{field}={json.dumps(setting)}" for field, setting in way["settings"].items()) or "as in the recipe",
        "–" if value is None else f"{value}{unit}",
        "–" if low is None or high is None else f"{low} to {high}{unit}",
        f"{way['seconds']:.0f} s",
        "chosen" if way["name"] == choice["chosen"] else way["left_out"],
    )


def training_log_of(run: Path) -> dict[str, Any]:
    """The training log of a finished run. Raises DataError when it has no complete epochs."""
    file = run / "training_log.json"
    log = read_json_object(file)
    epochs = log.get("epochs")
    rows = epochs if isinstance(epochs, list) else []
    is_whole = bool(rows) and all(isinstance(row, dict) and "select" in row for row in rows)
    if not is_whole or not isinstance(log.get("best_value"), int | float):
        raise DataError(f"{str(file)!r} cannot be used: it does not say how the epochs went; train that run again")
    return log


@dataclass(frozen=True)
class TrainAccuracy:
    """Accuracy on training samples in evaluation mode: without augmentation and dropout, as val is measured."""

    value: float
    num_samples: int

    recall: float | None = None
    """Balanced accuracy on the same samples; None for label sets."""

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % without augmentation and dropout ({self.num_samples:,} samples)"


def measure_train(
    engine: Engine, bundle: Bundle, *, manifest: Manifest, recipe: Recipe, process: Process = ALONE
) -> TrainAccuracy:
    """Accuracy on a random subset of the training samples, on the main process; NaN on other ranks.

    The subset is as large as val, but at least 500 and at most 2,000 samples. It depends only on the seed and the ids.
    """
    limit = min(MOST_TRAIN_SAMPLES, max(LEAST_TRAIN_SAMPLES, len(manifest.split("val"))))
    seed = recipe.training.seed
    chosen = sorted(manifest.split("train"), key=lambda sample: unit_interval("train accuracy", seed, sample.id))
    dataset = PictureDataset(manifest, Samples.of(chosen[:limit]), bundle.geometry)
    loader = Loader(dataset, recipe.evaluation.batch_size, process=process)
    outputs = run_engine(engine, loader.epoch(), embeddings=False, process=process)
    if not process.is_main:
        return TrainAccuracy(math.nan, 0)
    logits_NK, truth, kind = outputs.logits_NK, outputs.truth, bundle.kind
    value = selection_value("accuracy", logits_NK, truth, kind)
    recall = None if kind.is_set else selection_value("balanced_accuracy", logits_NK, truth, kind)
    return TrainAccuracy(value, len(outputs.ids), recall)


def final_story(
    run: RunFolder,
    facts: dict[str, str],
    progress: Progress,
    *,
    manifest: Manifest,
    train: TrainAccuracy,
    recipe: Recipe,
) -> RunStory:
    """The story of a training after its last step; its curves are plotted already, where there are any."""
    history = _history(run, progress.history, progress.best_epoch + 1)
    findings = diagnosed(progress, manifest, train, recipe)
    return RunStory(facts, findings, history, sections=choice_sections(run), findings=endangering(run))


def _history(run: RunFolder, rows: Sequence[Mapping[str, object]], best_epoch: int) -> History:
    png = run.path / HISTORY
    return History(rows, best_epoch, png if png.is_file() else None)


def diagnosed(progress: Progress, manifest: Manifest, train: TrainAccuracy, recipe: Recipe) -> tuple[Diagnosis, ...]:
    """The diagnoses of a finished training: what stands out in its curves."""
    start = next((row for row in progress.history if row["epoch"] == 0), None)
    story = Story(
        progress.epochs,
        progress.best_epoch,
        manifest.counts("train"),
        len(manifest.split("val")),
        train.value,
        progress.stop_reason,
        manifest.multi_label,
        imbalance_remedy(recipe),
        is_pretrained=getattr(recipe.model.backbone, "pretrained", "none") != "none",
        reweighted_at=_reweighted_at(recipe),
        num_train=train.num_samples,
        train_recall=train.recall,
        start=start,
        is_refitted=recipe.training.refit,
        trained_part=_trained_part(recipe.finetune),
    )
    return tuple(diagnose(story))


def _trained_part(spec: FinetuneSpec) -> Literal["all", "part", "head"]:
    if spec.train == "head":
        return "head"
    return "part" if spec.lora or spec.freeze_stages or spec.train_stages is not None else "all"


def _reweighted_at(recipe: Recipe) -> int | None:
    """Index (from 0) of the epoch in which deferred class weights begin.

    None without deferred weights, and under a time budget, where they begin by the clock.
    """
    epochs, loss = recipe.training.epochs, recipe.loss
    if not loss.defer_fraction or not isinstance(epochs, int) or recipe.training.minutes is not None:
        return None
    return int(loss.defer_fraction * epochs)


def imbalance_remedy(recipe: Recipe) -> str | None:
    """The recommended settings for uneven classes; None where the recipe already corrects for them."""
    loss = recipe.loss
    if loss.kind in ADJUSTED or loss.kind == "ldam" or loss.class_weights != "none":
        return None
    if recipe.training.sampler != "natural":
        return None
    return "loss.class_weights=sqrt" if loss.kind in ORDINAL else "loss.kind=logit-adjustment with loss.prior=tuned"


def run_facts(
    recipe: Recipe, manifest: Manifest, model: Classifier, progress: Progress, *, num_trained: int, output: OutputSpec
) -> dict[str, str]:
    """Facts about the run: name -> value, as the report shows them.

    num_trained: number of parameters in the optimizer. output: the output spec of the shipped bundle.
    """
    size = recipe.data.size
    assert isinstance(size, Size)
    best = progress.best_row
    counts = manifest.split_counts()
    peak = peak_memory(torch.device(recipe.runtime.device))
    parameters = f"{model.num_parameters():,}"
    if num_trained != model.num_parameters():
        parameters += f", {num_trained:,} trained"
    return {
        "data": str(recipe.data.path),
        "samples": ", ".join(f"{count} {split}" for split, count in counts.items()),
        "views": ", ".join(manifest.views)
        + (f"; {recipe.model.fusion.kind} fusion, {recipe.model.sharing} backbone" if len(manifest.views) > 1 else ""),
        "input": f"{size.width}x{size.height} (width x height), {recipe.data.fit}",
        "model": model_words(recipe),
        "trained": f"on {_today()} with Obverse {version('obverse')}",
        **_licence(recipe),
        "parameters": parameters,
        **({"columns": ", ".join(recipe.data.columns)} if recipe.data.columns else {}),
        "loss": _loss(recipe.loss, output),
        "calibration": calibration_words(output, manifest),
        **({"sets": sets_words(output.sets, refit=recipe.training.refit)} if output.sets else {}),
        **({"goes on from": recipe.parent.run} if recipe.parent else {}),
        **({"teacher": f"{recipe.distill.teacher}, {recipe.distill.share:g} of a target"} if recipe.distill else {}),
        **_start(progress),
        "epochs": f"{len(progress.epochs)}, {progress.step} steps of {recipe.training.batch_size} samples",
        "best epoch": f"{best['epoch']}, by val {best['select']} {best['select_value']:.4f}"
        + (f" in {recipe.runtime.precision}" if recipe.runtime.precision != "fp32" else ""),
        "micro-batches": f"of {progress.micro_batch_size or recipe.training.micro_batch_size} samples",
        "stopped early": progress.stop_reason or "no",
        "training time": f"{progress.seconds / 60:.1f} minutes on {recipe.runtime.device}",
        "pictures per second": f"{_mean(progress, 'pictures_per_second'):,.0f} in training",
        "peak memory": f"{peak / 1e9:.2f} GB" if peak else "not known",
        "data wait": f"{100 * _mean(progress, 'data_wait'):.1f} % of the training time",
        "precision": f"{_precision(recipe)}, {recipe.runtime.num_threads} threads, seed {recipe.training.seed}",
        "recipe": recipe.name,
    }


def _today() -> str:
    """The date, as people write it."""
    now = datetime.now()
    return f"{now.day} {now:%B %Y}"


def _licence(recipe: Recipe) -> dict[str, str]:
    """The fact about the licence of the pretrained weights; empty where nothing says it."""
    backbone = recipe.model.backbone
    if backbone.is_scratch:
        return {"licence of the weights": "none needed: trained from scratch"}
    licence = weights_licence(backbone)
    return {"licence of the weights": licence_words(licence)} if licence else {}


def _start(progress: Progress) -> dict[str, str]:
    """The fact about epoch 0; empty where the start was not validated."""
    row = progress.history[0]
    if row["epoch"]:
        return {}
    value = f"val {row['select']} {row['select_value']:.4f}"
    return {"epoch 0": f"the frozen features with a fitted head, {value}"}


def refit_fact(repeat: Repeat, progress: Progress, manifest: Manifest, *, has_folds: bool) -> str:
    """The fact about a second training, whose weights ship.

    manifest: that of the second training. has_folds: whether val's figures are those of folds.
    """
    of_val = "out-of-fold, of other models" if has_folds else "of the first training"
    what = f"{len(progress.history)} epochs, {progress.step} steps" if repeat.num_epochs else "the head alone"
    return (
        f"trained once more on train and val ({len(manifest.split('train')):,} samples; {what}, as val chose), and "
        f"these weights ship; val figures are {of_val}"
    )


def training_log(progress: Progress, story: RunStory, train: TrainAccuracy) -> dict[str, Any]:
    """The content of training_log.json."""
    return {
        "epochs": progress.history,
        "best_epoch": progress.best_epoch + 1,
        "best_value": progress.best_value,
        "stop_reason": progress.stop_reason,
        "seconds": progress.seconds,
        "train_accuracy": asdict(train),
        "diagnosis": [asdict(finding) for finding in story.diagnoses],
        "facts": story.facts,
    }


def model_words(recipe: Recipe) -> str:
    """The backbone's name and the source of its initial weights, as text."""
    backbone = recipe.model.backbone
    pretrained = getattr(backbone, "pretrained", "none")
    weights = {"hub": "pretrained (hub)", "none": "from scratch"}.get(pretrained, f"weights from {pretrained}")
    mirrored = getattr(backbone, "mirrored", False) is True
    return ", ".join(
        [getattr(backbone, "name", backbone.kind), weights, *["answers for both mirror images"] * mirrored]
    )


def _precision(recipe: Recipe) -> str:
    if recipe.runtime.precision == "fp32":
        return "fp32"
    return f"{recipe.runtime.precision} in training, fp32 in this report and in what ships"


def _loss(spec: LossSpec, output: OutputSpec) -> str:
    """The loss as text: its kind, class weights, prior and decoding, with the ratio of a prior tuned on val."""
    parts: list[str] = [spec.kind]
    if spec.class_weights != "none":
        late = f" from {100 * spec.defer_fraction:.0f} % of the run on" if spec.defer_fraction else ""
        parts.append(f"class weights {spec.class_weights}{late}")
    if spec.pos_weight != "none":
        parts.append(f"pos_weight {spec.pos_weight}")
    if spec.prior is not None:
        given = spec.prior if isinstance(spec.prior, str) else ", ".join(f"{number:g}" for number in spec.prior)
        shares = [1.0] if output.prior is None else output.prior
        ratio = f" on val, the largest {max(shares) / min(shares):.3g} times the smallest" if given == "tuned" else ""
        parts.append(f"meant for class frequencies: {given}{ratio}")
    if spec.decode != "mode":
        parts.append(f"answer is the {spec.decode}")
    return "; ".join(parts)


def calibration_words(output: OutputSpec, manifest: Manifest) -> str:
    """What maps the logits to probabilities that state how often answers are right, or why nothing does, as text."""
    spec = output.calibration
    if spec is None:
        num = Units.of_groups(sample.group for sample in manifest.split("val")).num
        if num < LEAST_UNITS:
            return f"none: val has too few samples ({num} independent ones; {LEAST_UNITS} are needed)"
        return "none: it would make the answers on val worse"
    size = f"temperature {1 / spec.scale[0]:.3g}" if spec.kind == "temperature" else f"{spec.kind} scaling"
    return f"{size}, fitted on {spec.num_samples} samples of val"


def sets_words(rule: SetsSpec, *, refit: bool) -> str:
    """What prediction sets promise, and what their rule was fitted on, as text."""
    if refit and rule.fitted_on == "val":
        return f"{promise(rule)}; fitted on the first training, before val was trained on, too"
    if refit:
        return f"{promise(rule)}; fitted on models of folds, before the training that ships"
    return promise(rule)


def _mean(progress: Progress, key: str) -> float:
    values = [float(row[key]) for row in progress.epochs]
    return sum(values) / len(values)
