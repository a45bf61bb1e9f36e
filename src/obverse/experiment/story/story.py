"""Story of a run: what its report and `training_log.json` hold besides the measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from obverse.decisions import Kind, Truth
from obverse.errors import DataError
from obverse.evaluation import Diagnosis, History, Seen, Story, diagnose, selection_value
from obverse.files import read_json_object
from obverse.manifest import Manifest
from obverse.recipe import ADJUSTED, ORDINAL, FinetuneSpec, Recipe
from obverse.report import Row, Section, Table, Text
from obverse.runs import RunFolder
from obverse.training import Progress
from obverse.trust import Listed, listed_suspects

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


def train_accuracy(logits_NK: npt.NDArray[np.float32], truth: Truth, kind: Kind) -> TrainAccuracy:
    """Accuracy on training samples. logits_NK: class logits of the model that ships; NaN without samples."""
    if not len(logits_NK):
        return TrainAccuracy(math.nan, 0)
    value = selection_value("accuracy", logits_NK, truth, kind)
    recall = None if kind.is_set else selection_value("balanced_accuracy", logits_NK, truth, kind)
    return TrainAccuracy(value, len(logits_NK), recall)


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
