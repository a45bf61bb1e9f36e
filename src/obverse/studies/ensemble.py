"""Ensembles: one bundle from several finished runs, by averaging their probabilities or their weights.

    OUT/bundle/  OUT/evaluation/{val,test}/  OUT/ensemble.json

All members must have the same test samples: otherwise one member was trained on pictures that test the ensemble.
Averaged weights (a greedy soup: Wortsman et al. 2022) cost no more than one model at prediction, and make sense for
runs that started from the same weights. The soup adds a run only when val does not get worse, so on val it is at least
as good as the best single run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from obverse.bundle import Bundle, join, read_bundle, write_bundle
from obverse.data import Loader, PictureDataset
from obverse.engines import MIRRORED, Outputs, TorchEngine, run_engine
from obverse.errors import DataError, OutputError, RecipeError
from obverse.evaluation import Predictions, is_better, selection_value
from obverse.experiment import (
    Example,
    Ready,
    RunStory,
    example_of,
    fitted_output,
    outputs_on_train,
    read_story,
    report_split,
    run_manifest,
    run_recipe,
    shipped_logits,
    typical_places,
    with_detector,
    with_outlier_limit,
)
from obverse.manifest import Manifest
from obverse.models import Classifier
from obverse.recipe import OutputSpec, Recipe
from obverse.runs import RunFolder, explained, write_text
from obverse.runtime import resolve_device

from .folds import shared_facts

FILE = "ensemble.json"
OF_THE_DATA = ("data", "samples", "views", "input", "licence of the weights")
"""Facts that an ensemble has in common with its members."""
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Part:
    """One member of an ensemble: its bundle and model, with the recipe and manifest of its run."""

    path: Path
    bundle: Bundle
    model: Classifier
    recipe: Recipe
    manifest: Manifest


@dataclass(frozen=True)
class Joined:
    """The result of `make_ensemble`."""

    folder: Path

    metrics: dict[str, dict[str, Any]]
    """Split -> metrics of the ensemble."""

    kept: tuple[str, ...]
    """Run folders of the members that are in the bundle; a soup may leave some out."""

    example: Example
    """Pictures to try the model on."""


def make_ensemble(runs: Sequence[Path], out: Path, *, soup: bool = False, device: str = "auto") -> Joined:
    """The ensemble of `runs`, written into `out` as a bundle and evaluated.

    soup: average weights instead of probabilities.
    Raises DataError when the runs differ in classes, views, splits or other settings that members must share, and
    OutputError when `out` holds other files.
    """
    with explained(out, "try a smaller evaluation.batch_size, or --device cpu"):
        _require_free(out)
        parts = [_read(path) for path in runs]
        for part in parts[1:]:
            _require_fit(parts[0], part, soup=soup)
        splits = [split for split in ("val", "test") if _is_same_split(parts, split)]
        is_set = parts[0].bundle.multi_label
        if (soup or is_set) and any(part.bundle.trained.get("refit") for part in parts):
            raise DataError("a soup and thresholds are chosen on val, and training.refit has trained on it; take runs "
                            "without refit")  # fmt: skip
        if (soup or is_set) and "val" not in splits:
            what = "a soup is" if soup else "the thresholds of label sets are"
            raise DataError(f"{what} chosen on val, and these runs have different val samples; train them on one split")
        if splits[-1:] not in (["test"], ["val"]) or (parts[0].manifest.split("test") and "test" not in splits):
            raise DataError("these runs have different test samples, so some members were trained on what others are "
                            "measured on; train them on one split (data.split.stored)")  # fmt: skip
        place = resolve_device(device)
        if soup:
            bundle, weights, kept = _soup(parts, place)
            model = bundle.build()
            model.load_state_dict(weights)
        else:
            bundle, model, kept = _averaged(parts)
        if "val" in splits and not any(part.bundle.trained.get("refit") for part in parts):
            bundle = _fitted(bundle, model, parts[0], place)
        write_bundle(out / "bundle", bundle, model.state_dict())
        return _measured(out, parts, bundle, model.to(place), kept=kept, splits=splits)


def _averaged(parts: Sequence[Part]) -> tuple[Bundle, Classifier, tuple[str, ...]]:
    first, members = parts[0].bundle, tuple(part.bundle.as_member() for part in parts)
    names = tuple(str(part.path) for part in parts)
    output = OutputSpec(kind="binary" if first.multi_label else "classes", decode=first.output.decode)
    bundle = replace(
        first, members=members, output=output, trained={"ensemble": list(names)} | _common_facts(parts), detector=None
    )
    models = [part.model for part in parts]
    return bundle, join(models, members, num_views=len(first.views), mean=first.mean, std=first.std), names


def _soup(parts: Sequence[Part], device: torch.device) -> tuple[Bundle, State, tuple[str, ...]]:
    """Bundle, weights and members of a greedy soup: the best run, plus each further run that does not make val worse.

    Runs are tried in the order of their own value on val.
    """
    # A run's calibration is not that of averaged weights.
    parts = [replace(part, bundle=_without_calibration(part.bundle)) for part in parts]
    select = parts[0].recipe.training.select
    alone = [_val_value(parts[0], part.model, part.bundle, select, device) for part in parts]
    better_first = sorted(range(len(parts)), key=lambda n: _rank(select, alone[n]))
    best = alone[better_first[0]]
    kept = [better_first[0]]
    states = [{name: tensor.cpu() for name, tensor in part.model.state_dict().items()} for part in parts]
    bundle = parts[kept[0]].bundle
    model = bundle.build()
    for number in better_first[1:]:
        model.load_state_dict(mean_state([states[n] for n in (*kept, number)]))
        value = _val_value(parts[0], model, bundle, select, device)
        if not is_better(select, best, value):
            best, kept = value, [*kept, number]
    names = tuple(str(parts[n].path) for n in kept)
    trained = {"soup": list(names), "select": select, "value": best} | _common_facts([parts[n] for n in kept])
    return replace(bundle, trained=trained), mean_state([states[n] for n in kept]), names


def _common_facts(parts: Sequence[Part]) -> dict[str, Any]:
    """Facts of the bundle from all members: the licences of their weights, and the least share of mirrored pictures."""
    names = dict.fromkeys(part.bundle.trained.get("licence") for part in parts)
    known = ", ".join(sorted(name for name in names if isinstance(name, str)))
    share = min(part.bundle.trained.get(MIRRORED, 0) for part in parts)
    return ({"licence": known} if known else {}) | ({MIRRORED: share} if share else {})


def _without_calibration(bundle: Bundle) -> Bundle:
    return replace(bundle, output=bundle.output.changed({"calibration": None}), detector=None)


def mean_state(states: Sequence[State]) -> State:
    """The mean of all floating-point tensors, computed in float64. Integer tensors (counters) are those of the first
    state.
    """
    if len(states) == 1:
        return dict(states[0])
    mean = {}
    for name, tensor in states[0].items():
        stacked = torch.stack([state[name].double() for state in states])
        mean[name] = stacked.mean(0).to(tensor.dtype) if tensor.is_floating_point() else tensor
    return mean


def _rank(select: str, value: float) -> float:
    return value if is_better(select, 0.0, 1.0) else -value


def _fitted(bundle: Bundle, model: Classifier, data: Part, device: torch.device) -> Bundle:
    """The bundle with what is fitted on val, and its outlier score, as for a single model."""
    outputs = _val_outputs(data, model, bundle, device)
    fitted = replace(bundle, output=fitted_output(outputs, bundle, data.manifest, recipe=data.recipe))
    with closing(TorchEngine.from_bundle(bundle, model, device=device)) as engine:
        train = data.manifest.split("train")
        places = typical_places(train, len(bundle.classes), seed=data.recipe.training.seed)
        fitted = with_detector(fitted, outputs_on_train(engine, bundle, data.manifest, places, recipe=data.recipe))
    shipped = replace(outputs, logits_NK=shipped_logits(outputs, bundle.output, fitted.output))
    return with_outlier_limit(fitted, shipped)


def _val_value(data: Part, model: Classifier, bundle: Bundle, select: str, device: torch.device) -> float:
    """The model's value of the metric `select` on the val samples of `data`."""
    outputs = _val_outputs(data, model, bundle, device)
    return selection_value(select, outputs.logits_NK, outputs.truth, bundle.kind)


def _val_outputs(data: Part, model: Classifier, bundle: Bundle, device: torch.device) -> Outputs:
    dataset = PictureDataset(data.manifest, data.manifest.split("val"), bundle.geometry)
    with closing(TorchEngine.from_bundle(bundle, model, device=device)) as engine:
        batches = Loader(dataset, data.recipe.evaluation.batch_size).epoch()
        return run_engine(engine, batches)


def _measured(
    out: Path, parts: Sequence[Part], bundle: Bundle, model: Classifier, *, kept: tuple[str, ...], splits: Sequence[str]
) -> Joined:
    first = parts[0]
    device = next(model.parameters()).device
    ready = Ready(bundle, TorchEngine.from_bundle(bundle, model, device=device))
    what = "weights averaged over" if "soup" in bundle.trained else "probabilities averaged over"
    facts = shared_facts([read_story(RunFolder(part.path)).facts for part in parts])
    facts = {name: value for name, value in facts.items() if name in OF_THE_DATA}
    facts |= {"model": f"{what} {len(kept)} of {len(parts)} runs", "members": ", ".join(kept)}
    facts["parameters"] = f"{model.num_parameters():,}"
    metrics = {}
    for split in splits:
        folder = RunFolder(out).evaluation(split)
        metrics[split] = report_split(folder, split, first.manifest, ready, recipe=first.recipe, story=RunStory(facts))
    alone = [{"run": str(part.path), "kept": str(part.path) in kept} for part in parts]
    write_text(out / FILE, json.dumps({"kind": what, "members": alone, "trained": bundle.trained}, indent=2) + "\n")
    return Joined(out, metrics, kept, example_of(first.manifest))


def _read(path: Path) -> Part:
    run = RunFolder(path)
    bundle, model = read_bundle(path)
    if bundle.members or "soup" in bundle.trained:
        raise DataError(f"{str(path)!r} is an ensemble already; name its members")
    if not run.recipe.is_file():
        raise DataError(f"{str(path)!r} is a bundle without its run; an ensemble is made of run folders, whose splits "
                        "are known")  # fmt: skip
    recipe = run_recipe(run)
    return Part(path, bundle, model, recipe, run_manifest(run, recipe, bundle))


def _require_fit(first: Part, other: Part, *, soup: bool) -> None:
    a, b = first.bundle, other.bundle
    pairs = {"classes": (a.classes, b.classes), "views": (a.views, b.views), "class order": (a.ordered, b.ordered)}
    pairs |= {"extra columns": (a.columns, b.columns), "kind of answer": (a.multi_label, b.multi_label)}
    pairs |= {"input size": (a.geometry, b.geometry), "decoding": (a.output.decode, b.output.decode)}
    if soup:
        pairs |= {"model": (a.model.model_dump(exclude=WEIGHTS), b.model.model_dump(exclude=WEIGHTS))}
        # Prior, calibration and thresholds were fitted on val and differ between runs, so they need not match: a soup
        # takes the prior of its best run, and gets a calibration and thresholds of its own.
        one, two = (bundle.output.changed({"prior": None, "thresholds": None}) for bundle in (a, b))
        pairs |= {"output": (one, two), "normalisation": ((a.mean, a.std), (b.mean, b.std))}
        pairs |= {"training.select": (first.recipe.training.select, other.recipe.training.select)}
    odd = [name for name, (one, two) in pairs.items() if one != two]
    if odd:
        raise DataError(f"{str(first.path)!r} and {str(other.path)!r} cannot be joined: they differ in "
                        f"{', '.join(odd)}")  # fmt: skip


WEIGHTS = {"backbone": {"pretrained"}}


def _is_same_split(parts: Sequence[Part], split: str) -> bool:
    """Whether all runs have predicted the same samples of the split, with the same labels; DataError when damaged."""
    if not parts[0].manifest.split(split):
        return False
    first = _truth(parts[0], split)
    others = [part for part in parts[1:] if RunFolder(part.path).evaluation(split).is_dir()]
    return len(others) == len(parts) - 1 and all(_truth(part, split) == first for part in others)


def _truth(part: Part, split: str) -> dict[str, Any]:
    """Sample id -> label (or label set) in a run's stored predictions of the split."""
    predictions = Predictions.read(RunFolder(part.path).evaluation(split))
    return dict(zip(predictions.ids, predictions.truth.tolist(), strict=True))


def _require_free(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / FILE).is_file()):
        raise OutputError(f"{str(out)!r} is not empty and holds no ensemble; choose another --out")


def require_several(runs: Sequence[Path]) -> None:
    """Raise RecipeError for fewer than two runs, or a run given twice."""
    if len(runs) < 2:
        raise RecipeError("an ensemble needs at least two runs")
    if len({run.resolve() for run in runs}) < len(runs):
        raise RecipeError("a run is given twice, and would count twice")
