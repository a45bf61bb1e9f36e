"""Evaluation of a trained model on a split of its run or on other labelled data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from obverse.bundle import Bundle, read_bundle
from obverse.data import Loader, PictureDataset
from obverse.errors import DataError, OutputError, RecipeError
from obverse.evaluation import (
    Forward,
    Predictions,
    SetPredictions,
    run_model,
    to_predictions,
    to_set_predictions,
    write_evaluation,
    write_set_evaluation,
)
from obverse.manifest import (
    SPLITS,
    Manifest,
    PictureStore,
    Samples,
    class_counts,
    data_root,
    in_parts,
    is_prepared,
    read_manifest,
    read_source,
    verify_pictures,
)
from obverse.models import Classifier
from obverse.recipe import DataSpec, Recipe, load_recipe
from obverse.runs import RunFolder
from obverse.runs.failures import explained
from obverse.runs.rundir import short_name
from obverse.runtime import resolve_device

from .caching import open_cache
from .facts import RunStory, read_story
from .maps import report_maps

Ready = tuple[Bundle, Classifier, Forward]


def report_split(
    folder: Path,
    split: str,
    manifest: Manifest,
    ready: Ready,
    *,
    recipe: Recipe,
    story: RunStory,
    whole: Classifier | None = None,
) -> dict[str, Any]:
    """Predict one split and write the report; returns the metrics as plain values, on the main process.

    whole: the same model where `ready` has only this process's share of it.
    """
    bundle, model, forward = ready
    samples = manifest.split(split)
    if not samples:
        raise DataError(f"there are no samples in `{split}`")
    cache = None
    if recipe.data.cache.kind == "raw":  # shared with training where the geometry is the same
        cache, _ = open_cache(recipe.data.cache, manifest, samples, bundle.geometry, is_training=False)
    dataset = PictureDataset(manifest, samples, bundle.geometry, cache=cache)
    loader = Loader(dataset, recipe.evaluation.batch_size, process=forward.process)
    outputs = run_model(model, forward, loader.epoch(), each_view=len(bundle.views) > 1)
    if not forward.process.is_main:
        return {}
    predictions: Predictions | SetPredictions
    with_embeddings = recipe.evaluation.embeddings
    if manifest.multi_label:
        predictions = to_set_predictions(outputs, manifest, split, output=bundle.output, embeddings=with_embeddings)
    else:
        decode = bundle.output.decode
        predictions = to_predictions(outputs, manifest, split, decode=decode, embeddings=with_embeddings)
    maps = report_maps(folder, predictions, dataset, whole or model, forward, recipe.evaluation.maps)
    told: dict[str, Any] = {"facts": story.facts, "diagnoses": story.diagnoses, "history_png": story.history_png}
    told["more"] = [maps] if maps else []
    if isinstance(predictions, SetPredictions):
        return write_set_evaluation(folder, predictions, **told).as_json()
    return write_evaluation(folder, predictions, **told).as_json()


def evaluate_run(
    path: Path, *, split: str = "test", data: Path | None = None, out: Path | None = None, device: str = "auto"
) -> tuple[Path, dict[str, Any]]:
    """Evaluate a run on one of its splits, or a run or bundle on other labelled data; the folder and the metrics."""
    if out is not None:
        _require_ours(out)
    with explained(out or path, "try a smaller evaluation.batch_size, or --device cpu"):
        return _evaluate(RunFolder(path), split, data, out, device)


def _evaluate(
    run: RunFolder, split: str, data: Path | None, out: Path | None, device: str
) -> tuple[Path, dict[str, Any]]:
    bundle, model = read_bundle(run.path)
    is_run = run.recipe.is_file()
    if not is_run and (data is None or out is None):
        raise RecipeError(f"{str(run.path)!r} is a bundle without its run: give --data DATA and --out FOLDER")
    recipe = load_recipe(str(run.recipe)) if is_run else Recipe()
    place = resolve_device(device)
    ready = (bundle, model.to(place), Forward(bundle.mean, bundle.std, place, output=bundle.output))
    if data is None:
        if split not in SPLITS:
            raise RecipeError(f"no split `{split}`; choose one of {', '.join(SPLITS)}")
        manifest, name = run_manifest(run, recipe, bundle), split
    else:
        manifest, name = _other_manifest(data, bundle, recipe), "data"
    folder = out or run.evaluation(split if data is None else f"data-{short_name(data)}")
    story = read_story(run.path / "training_log.json")
    if data is not None:
        story.facts["evaluated on"] = _told(data, recipe)
    return folder, report_split(folder, name, manifest, ready, recipe=recipe, story=story)


def _told(data: Path, recipe: Recipe) -> str:
    left_out = recipe.data.exclude_classes
    return f"{data} without the class(es) {', '.join(left_out)}" if left_out else str(data)


def _require_ours(folder: Path) -> None:
    """A report never overwrites somebody's files."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "metrics.json").is_file():
        raise OutputError(f"{str(folder)!r} is not empty and holds no evaluation; choose another --out")


def run_manifest(run: RunFolder, recipe: Recipe, bundle: Bundle) -> Manifest:
    """The samples of a run, with its splits; DataError when the data has gone."""
    assert recipe.data.path is not None
    try:
        root = data_root(Path(recipe.data.path))
    except DataError:
        raise DataError(f"the run's data {recipe.data.path!r} is no longer there; "
                        "give its new place with --data") from None  # fmt: skip
    manifest = read_manifest(
        run.manifest,
        root=root,
        classes=bundle.classes,
        views=bundle.views,
        ordered=bundle.ordered,
        multi_label=bundle.multi_label,
    )
    return replace(manifest, columns=bundle.columns)


def _other_manifest(data: Path, bundle: Bundle, recipe: Recipe) -> Manifest:
    """Labelled data the run has never seen, with the bundle's classes and views; what the run left out, it does too."""
    views = {"views": bundle.views} if len(bundle.views) > 1 and not bundle.parts else {}
    listing = read_source(data, DataSpec().model_copy(update=views | _labels_of(bundle, recipe, data)))
    if bundle.parts and len(listing.views) == 1:
        listing = in_parts(listing, bundle.views, bundle.parts)
    listing.samples = Samples.of(s for s in listing.samples if s.label not in recipe.data.exclude_classes)
    if set(listing.views) != set(bundle.views) and len(bundle.views) > 1:
        raise DataError(f"{str(data)!r} has the views {', '.join(listing.views)}, the model {', '.join(bundle.views)}")
    if len(bundle.views) == 1:
        (view,) = bundle.views
        listing.samples = [replace(s, views={view: next(iter(s.views.values()))}) for s in listing.samples]
    labels = (s.label for s in listing.samples)
    unknown = sorted(class_counts(labels, multi_label=bundle.multi_label).keys() - set(bundle.classes))
    if unknown:
        raise DataError(f"the model does not know the class(es) {', '.join(unknown[:5])}; it knows "
                        f"{', '.join(bundle.classes[:10])}")  # fmt: skip
    facts = verify_pictures(PictureStore(listing.root), [path for s in listing.samples for path in s.views.values()])
    if facts.findings:
        first = facts.findings[0]
        raise DataError(f"{len(facts.findings)} unusable picture(s), the first is {first.paths[0]!r}: {first.message}")
    samples = (replace(sample, split="data") for sample in listing.samples)
    return Manifest(
        listing.root,
        Samples.of(samples),
        bundle.classes,
        bundle.views,
        bundle.ordered,
        bundle.columns,
        bundle.multi_label,
    )


def _labels_of(bundle: Bundle, recipe: Recipe, data: Path) -> dict[str, object]:
    """How the labels of other data are read: as the run's own, but a manifest says it itself."""
    labels = "multi" if bundle.multi_label else "single"
    if not bundle.multi_label or is_prepared(data):
        return {"labels": labels}
    own = recipe.data
    return {"labels": labels, "label_separator": own.label_separator, "label_columns": own.label_columns}
