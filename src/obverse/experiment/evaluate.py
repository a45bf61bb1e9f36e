"""Evaluation of a trained model on a split of its run or on other labelled data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from obverse.bundle import Bundle, read_bundle
from obverse.data import Batch, Loader, PictureDataset, PixelCache
from obverse.engines import Engine, MirrorEngine, Outputs, TorchEngine, run_engine
from obverse.errors import DataError, OutputError, RecipeError
from obverse.evaluation import (
    CONFUSION_PNG,
    EARLIER,
    Extras,
    Predictions,
    Seen,
    measured_of,
    to_predictions,
    write_evaluation,
)
from obverse.experiment.auto.caching import open_cache
from obverse.explain import LabelledEmbeddings, earlier_maps, report_maps, thumbnails_of
from obverse.inference import Predictor, load
from obverse.manifest import SPLITS, Manifest, data_root, read_manifest, splits_by_digest
from obverse.recipe import Recipe, ResolvedCache
from obverse.runs import RunFinished, RunFolder, explained, short_name
from obverse.runtime import ALONE, Process, resolve_device, seconds_of
from obverse.staging import DIGESTS, staged
from obverse.trust import decision_facet, decision_topics, slice_facets, slices_topic, suspects_topic, write_decisions

from .identity import require_unchanged, run_recipe
from .other_data import OTHER, other_manifest
from .story import RunStory, read_story

# Training samples among which similar ones are looked for; a pass over more takes minutes on a CPU.
MAX_TRAINING = 5000


@dataclass(frozen=True)
class Ready:
    """A trained model with the engine that runs it."""

    bundle: Bundle
    engine: Engine

    process: Process = ALONE
    """This rank of the processes that share the samples."""

    whole: TorchEngine | None = None
    """The unsharded model on this rank; None where `engine` already holds all weights."""

    @property
    def network(self) -> TorchEngine | None:
        """The torch engine from which explanation maps are computed; None where the engine is not torch."""
        return self.whole or (self.engine if isinstance(self.engine, TorchEngine) else None)


def report_split(
    folder: Path,
    split: str,
    manifest: Manifest,
    ready: Ready,
    *,
    recipe: Recipe,
    story: RunStory,
    cache: PixelCache | None = None,
) -> dict[str, Any]:
    """Metrics of one split as plain JSON values, after writing predictions and report into `folder`.

    Empty on every rank but the main one. Raises DataError when the split has no samples.
    cache: of the split's pictures in the bundle's geometry; by default the run's disk cache, where it has one.
    """
    bundle, process, with_embeddings = ready.bundle, ready.process, recipe.evaluation.embeddings
    samples = manifest.split(split)
    if not samples:
        raise DataError(f"there are no samples in `{split}`")
    spec = recipe.data.cache
    # The same cache as in training where the geometry is the same. A bundle without its run has no resolved cache.
    if cache is None and isinstance(spec, ResolvedCache) and spec.kind == "raw":
        cache, _ = open_cache(spec, manifest, samples, bundle.geometry, is_training=False)
    dataset = PictureDataset(manifest, samples, bundle.geometry, cache=cache)
    loader = Loader(dataset, recipe.evaluation.batch_size, process=process)
    outputs = run_engine(
        ready.engine,
        loader.epoch(),
        each_view=len(bundle.views) > 1,
        embeddings=with_embeddings or bundle.output.outliers is not None,
        process=process,
    )
    if not process.is_main:
        return {}
    predictions = to_predictions(outputs, manifest, split, bundle=bundle, embeddings=with_embeddings)
    del outputs  # the logits, as large as the probabilities
    with staged(folder, earlier=(*EARLIER, *earlier_maps(folder))) as stage:
        write_decisions(stage, predictions)
        maps = report_maps(stage, predictions, dataset, ready.network, recipe.evaluation.maps)
        return write_evaluation(
            stage,
            predictions,
            facts=story.facts,
            diagnoses=story.diagnoses,
            extras=Extras(
                story.history,
                thumbnails_of(dataset, maps.thumbnails),
                (*decision_facet(predictions), *slice_facets(predictions, manifest)),
            ),
            more=[
                slices_topic(predictions, manifest, select=recipe.training.select),
                suspects_topic(story.suspects, predictions, manifest, bundle.geometry),
                *story.sections,
                *decision_topics(predictions),
                *([maps.section] if maps.section else []),
            ],
            seen=replace(story.seen or seen_split(split, len(samples), recipe, bundle), findings=story.findings),
        ).as_json()


def finished_event(run: RunFolder, values: Mapping[str, Any], *, step: int) -> RunFinished:
    """The event of a run. values: content of metrics.json of its last split. step: of the shipped weights' training."""
    measured = measured_of(values)
    folder = run.evaluation(measured.split)
    confusion = folder / CONFUSION_PNG
    return RunFinished(
        step=step,
        split=measured.split,
        metrics={name: estimate.value for name, estimate in measured.estimates.items() if estimate is not None},
        recipe=str(run.recipe),
        report=str(folder / "report.html"),
        bundle=str(run.bundle),
        confusion=str(confusion) if confusion.is_file() else None,
    )


def evaluate_run(
    path: Path,
    *,
    split: str | None = None,
    data: Path | None = None,
    layout: str | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> tuple[Path, dict[str, Any]]:
    """Evaluation folder and metrics of a run on one of its splits, or of a run or bundle on other labelled data.

    split: of the run, by default test; with `data`, one of the data's own splits, by default all its samples.
    layout: layout of `data`, where the detected one is wrong.
    out: evaluation folder; required for a bundle without its run.
    Raises RecipeError for options that do not go together, and OutputError when `out` holds other files.
    """
    _require_split(split)
    if layout is not None and data is None:
        raise RecipeError("--layout belongs to --data; a run reads its own data as it did before")
    if out is not None:
        require_ours(out)
    with explained(out or path, "try a smaller evaluation.batch_size, or --device cpu"):
        return _evaluate(RunFolder(path), split, data, layout, out, device)


def _require_split(split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise RecipeError(f"no split `{split}`; choose one of {', '.join(SPLITS)}")


def _evaluate(
    run: RunFolder, split: str | None, data: Path | None, layout: str | None, out: Path | None, device: str
) -> tuple[Path, dict[str, Any]]:
    bundle, model = read_bundle(run.path)
    is_run = run.recipe.exists()
    if not is_run and (data is None or out is None):
        raise RecipeError(f"{str(run.path)!r} is a bundle without its run: give --data DATA and --out FOLDER")
    recipe = run_recipe(run) if is_run else Recipe()
    ready = Ready(bundle, TorchEngine.from_bundle(bundle, model, device=resolve_device(device)))
    story = read_story(run)
    if data is None:
        name = split or "test"
        if name == "val" and bundle.trained.get("refit") and out is None:
            what = "out-of-fold figures" if run.choice_file.is_file() else "the figures of the first training"
            raise RecipeError(f"the shipped model was trained on val too (training.refit); evaluation/val holds {what}"
                              ". Give --out FOLDER to evaluate it there all the same"
                              )  # fmt: skip
        manifest, folder = run_manifest(run, recipe, bundle), out or run.evaluation(name)
        require_unchanged(run, manifest, name)
    else:
        name = OTHER
        manifest, about = other_manifest(data, bundle, recipe, split=split, layout=layout)
        # Copies and suspects of the run's data say nothing about other data, whose copies `seen_before` counts.
        story = replace(
            story, facts=story.facts | about, seen=seen_before(run, manifest, bundle), findings=(), suspects=None
        )
        folder = out or run.evaluation(name_of("data", data, split))
    return folder, report_split(folder, name, manifest, ready, recipe=recipe, story=story)


@dataclass(frozen=True)
class Augmented:
    """Answers with test-time augmentation beside those without it, on the same samples."""

    plain: Predictions
    mirrored: Predictions

    seconds: tuple[float, float]
    """Seconds per sample of the model without and with augmentation, decoding left out."""


def measure_augmentation(path: Path, *, split: str = "test", device: str = "auto") -> Augmented:
    """Both answers to every sample of a split of a run.

    RecipeError for a bundle without its run, and for a model to which augmentation does not apply. DataError when the
    split has no samples, or the data is no longer there.
    """
    _require_split(split)
    run, (bundle, model) = RunFolder(path), read_bundle(path)
    if not run.recipe.exists():
        raise RecipeError(f"{str(path)!r} is a bundle without its run, which has no samples to measure on; give a run")
    plain = TorchEngine.from_bundle(bundle, model, device=resolve_device(device))
    engines = (plain, MirrorEngine.of(plain, bundle))
    with explained(path, "try a smaller evaluation.batch_size, or --device cpu"):
        recipe = run_recipe(run)
        manifest = run_manifest(run, recipe, bundle)
        samples = manifest.split(split)
        if not samples:
            raise DataError(f"there are no samples in `{split}`")
        loader = Loader(PictureDataset(manifest, samples, bundle.geometry), recipe.evaluation.batch_size)
        outputs, seconds = _timed(engines, loader.epoch())
    sides = [to_predictions(each, manifest, split, bundle=bundle, embeddings=False) for each in outputs]
    return Augmented(sides[0], sides[1], (seconds[0] / len(samples), seconds[1] / len(samples)))


def _timed(engines: tuple[Engine, Engine], batches: Iterable[Batch]) -> tuple[list[Outputs], list[float]]:
    """Outputs and seconds of both engines, batch by batch in turn, so that disturbances meet both."""
    parts: list[list[Outputs]] = [[], []]
    seconds = [0.0, 0.0]
    for batch in batches:
        for place, engine in enumerate(engines):
            if not parts[place]:  # the first call also allocates
                run_engine(engine, [batch], embeddings=False)
            work = partial(run_engine, engine, [batch], embeddings=False)
            seconds[place] += seconds_of(lambda work=work, place=place: parts[place].append(work()))  # type: ignore[misc]
    return [*map(Outputs.joined, parts)], seconds


def seen_split(split: str, num_samples: int, recipe: Recipe, bundle: Bundle) -> Seen:
    """How a split of the model's own run was used: for training, for choices such as the best epoch, or not at all."""
    if split == "train" or (split == "val" and bundle.trained.get("refit")):
        return Seen(num_trained=num_samples)
    if split != "val":
        return Seen()
    soup = "soup" in bundle.trained
    tuned = {"the best epoch": not bundle.members, "the runs that are averaged": soup}
    tuned |= {"the best epoch of each member": bool(bundle.members)}
    tuned |= {"the calibration": bundle.output.calibration is not None}
    sets = bundle.output.sets
    # Where val is too small for the promise, sets hold any class, and nothing was chosen.
    is_fitted = sets is not None and sets.fitted_on == "val" and any(limit is not None for limit in sets.quantile)
    tuned |= {"the rule of sets": is_fitted}
    acceptance = bundle.output.acceptance
    tuned |= {
        "the rule of acceptance": acceptance is not None
        and acceptance.threshold is not None
        and acceptance.fitted_on == "val"
    }
    tuned |= {"the prior": recipe.loss.prior == "tuned", "the thresholds": bundle.multi_label}
    before = recipe.evaluation.val_chose
    return Seen(chosen=(*(what for what, is_tuned in tuned.items() if is_tuned), *before))


def seen_before(run: RunFolder, manifest: Manifest, bundle: Bundle) -> Seen:
    """Numbers of samples in other data whose pictures are in the run's train or val split, matched by content digest.

    Unknown for a bundle without its run's manifest.
    """
    if not run.manifest.is_file():
        return Seen(is_unknown=True)
    split_of = splits_by_digest(run.manifest)
    splits = Counter(split_of.get(digest or "") for digest in manifest.samples.digests)
    if bundle.trained.get("refit"):
        return Seen(num_trained=splits["train"] + splits["val"])
    return Seen(num_trained=splits["train"], num_chosen=splits["val"])


def name_of(kind: str, data: Path, split: str | None = None) -> str:
    """Folder name of an evaluation on `data`. It has a hash of the full path, to tell data of the same name apart."""
    place = hashlib.blake2b(str(data.resolve()).encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()
    return "-".join([kind, short_name(data), place, *([split] if split else [])])


def require_ours(folder: Path) -> None:
    """Raise OutputError when `folder` has files but no earlier evaluation, so that no other files are overwritten."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{str(folder)!r} is a file; choose another --out")
    is_ours = any((folder / name).is_file() for name in ("metrics.json", DIGESTS))
    if folder.is_dir() and any(folder.iterdir()) and not is_ours:
        raise OutputError(f"{str(folder)!r} is not empty and holds no evaluation; choose another --out")


def run_manifest(run: RunFolder, recipe: Recipe, bundle: Bundle) -> Manifest:
    """The manifest of a run, with its splits. Raises DataError when the data's folder no longer exists."""
    assert recipe.data.path is not None
    try:
        root = data_root(Path(recipe.data.path))
    except DataError:
        raise DataError(f"the run's data {recipe.data.path!r} is no longer there; put it back, or measure elsewhere: "
                        "obverse evaluate RUN --data PLACE") from None  # fmt: skip
    manifest = read_manifest(
        run.manifest,
        root=root,
        classes=bundle.classes,
        views=bundle.views,
        ordered=bundle.ordered,
        multi_label=bundle.multi_label,
    )
    return replace(manifest, columns=bundle.columns)


def load_with_evidence(path: Path, num: int, *, allow_urls: bool = False, **options: Any) -> Predictor:
    """The predictor of a run, whose predictions carry the `num` most similar training samples.

    Other arguments and options: see `load`. Errors: see `training_embeddings`.
    """
    plain = load(path, **options)
    among = training_embeddings(path, plain)
    return Predictor(plain.bundle, plain.engine, allow_urls=allow_urls, among=among, num_similar=num)


def training_embeddings(path: Path, predictor: Predictor) -> LabelledEmbeddings:
    """Embeddings of a run's training samples with their labels, those of `training_dataset`, in order.

    predictor: that of the run. Errors: see `training_dataset`.
    """
    dataset = training_dataset(path, predictor.bundle)
    with explained(path, "try --device cpu"):
        batch_size = run_recipe(RunFolder(path)).evaluation.batch_size
        outputs = run_engine(predictor.engine, Loader(dataset, batch_size).epoch())
        labels = tuple(sample.label for sample in dataset.samples)
        return LabelledEmbeddings(outputs.ids, labels, outputs.embeddings_ND)


def training_dataset(path: Path, bundle: Bundle) -> PictureDataset:
    """A run's training samples among which similar ones are looked for, at most 5,000 evenly spread ones.

    bundle: that of the run. Raises RecipeError for a bundle without its run, and DataError when the data's folder no
    longer exists.
    """
    run = RunFolder(path)
    if not run.recipe.exists():
        raise RecipeError(f"{str(path)!r} is a bundle without its run, which does not know its training pictures; "
                          "use `obverse search` with a folder of them")  # fmt: skip
    manifest = run_manifest(run, run_recipe(run), bundle)
    samples = manifest.split("train")
    return PictureDataset(manifest, samples[:: -(-len(samples) // MAX_TRAINING)], bundle.geometry)
