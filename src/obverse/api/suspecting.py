"""The search for suspect labels, as the command and the Python API start it: in a run, in a study of folds, or in data.

A run's own predictions judge the samples that it was not trained on. All other samples are judged by a head on the
frozen features of the pretrained weights, fitted without them: features of a fine-tuned backbone know the labels that
it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import DataError, OutputError, RecipeError, UnavailableError, printable
from obverse.files import write_whole

from .short_forms import given_forms, recipe_of

if TYPE_CHECKING:
    import numpy as np

    from obverse.bundle import Bundle
    from obverse.evaluation import Predictions
    from obverse.manifest import Manifest, Samples
    from obverse.probing import FrozenAnswers
    from obverse.recipe import Recipe, ResolvedRecipe
    from obverse.trust.suspects import Evidence, Neighbours, Ranking

    from .probing import Watching

TABLE, PAGE = "suspects.csv", "suspects.html"
FOLDS = 5
NOTEBOOK_COLUMNS, MOST_ROWS = ("id", "label", "new_label", "score", "why"), 20
SPLITS = ("out-of-fold", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How suspects are searched and written."""

    out: Path | None
    """The folder for table and page; None: neither is written."""

    weights: Sequence[str] = ()
    """For data: files or folders of pretrained weights."""

    most: int | None = None
    """Suspects to list; None: twice the estimated number of errors."""

    force: bool = False
    """Whether an older table may be replaced."""


@dataclass(frozen=True, eq=False)
class Suspects:
    """The ranking of a data set's labels by how badly they fit the pictures, and where it was written."""

    ranking: Ranking

    rows: tuple[Mapping[str, str], ...]
    """The suspects, the most suspect first, with the columns of `suspects.csv`."""

    used: tuple[str, ...]
    """Sentences on what the labels were judged by."""

    table: Path | None = None
    """`suspects.csv`, if it was written."""

    page: Path | None = None
    """`suspects.html`, if it was written."""

    command: str = ""
    """The command that trains on the data with the table's fixes; empty without a table."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the labels were judged by, how many look wrong, and what to do."""
        from obverse.trust.suspects import summary

        return (*self.used, *summary(self.ranking))

    def _repr_html_(self) -> str:
        """The first suspects as HTML for a notebook."""
        from obverse.report import Block, Table, Text, to_html_fragment

        rows = tuple(tuple(row[name] for name in NOTEBOOK_COLUMNS) for row in self.rows[:MOST_ROWS])
        blocks: list[Block] = [*map(Text, self.sentences), *([Table(tuple(NOTEBOOK_COLUMNS), rows)] if rows else [])]
        if self.page is not None:
            blocks.append(Text(f"report: {self.page}"))
        return to_html_fragment(blocks, label="suspect labels")


@dataclass
class _Judged:
    """What is known of the samples of a manifest before they are ranked."""

    recipe: ResolvedRecipe
    manifest: Manifest
    bundle: Bundle
    notes: list[str] = field(default_factory=list)
    frozen: FrozenAnswers | None = None
    predictions: dict[str, Predictions] = field(default_factory=dict)
    """Evaluation of a run or a study -> its predictions."""
    spaces: list[Predictions] = field(default_factory=list)
    """Predictions with embeddings, each of a model that was not trained on these samples."""


def find_suspects(
    source: Path,
    recipe: str | os.PathLike[str] | Recipe,
    settings: Sequence[str],
    forms: Mapping[str, Any],
    *,
    asked: Asked,
    watching: Watching,
) -> Suspects:
    """The suspects in a run, a study of folds or data. forms: options on the data and the device.

    Raises OutputError when the folder holds a table that a person may have edited.
    """
    if asked.out is not None:
        require_free(asked.out, force=asked.force)
    run = _run_of(source)
    if run is not None:
        given = [*asked.weights, *settings, *(name for name in forms if name != "--device")]
        if given or recipe != "auto":
            raise RecipeError(f"{str(source)!r} is judged by its own recipe, weights and data; leave out the options, "
                              "or give its data instead")  # fmt: skip
        judged = _judged_run(source, run, forms.get("--device", "auto"), watching)
        data = judged.recipe.data.path or str(source)
    else:
        judged = _judged_data(source, recipe_of(recipe, settings, forms), asked.weights, watching)
        data = str(source)
    result, samples = _ranked(judged, asked.most)
    return result if asked.out is None else _written(result, judged, samples, (str(source), data), asked.out)


def require_free(out: Path, *, force: bool) -> None:
    """OutputError when the table exists, because a person may have edited it, or when the folder cannot be made."""
    if os.path.lexists(out / TABLE) and not force:
        raise OutputError(f"{str(out / TABLE)!r} exists; --force replaces it and what was changed in it, or choose "
                          "another --out")  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {str(out)!r} cannot be written: {error.strerror}") from None


def _run_of(source: Path) -> Path | None:
    """The run folder at `source`, or of the first fold there; None for data."""
    for folder in (source, source / "fold-0"):
        if (folder / "recipe.yaml").is_file() and (folder / "manifest.csv").is_file():
            return folder
    return None


def _judged_data(source: Path, recipe: Recipe, weights: Sequence[str], watching: Watching) -> _Judged:
    """The samples of a data set with answers by frozen features of the first candidate for weights."""
    from obverse.experiment import Machine, describe, resolve
    from obverse.manifest import build_index
    from obverse.probing import candidates_of

    reasons: list[str] = []
    candidate = candidates_of([recipe], weights, reasons)[0]
    for reason in reasons:
        watching.notify(reason)
    index = build_index(source, recipe.data, watching.reading)
    machine = Machine.here(recipe.runtime)
    resolved = resolve(recipe.changed({"model.backbone": candidate.backbone}), index, machine).recipe
    judged = _Judged(resolved, index.manifest, describe(resolved, index.manifest))
    judged.frozen = _frozen(judged, watching)
    return judged


def _judged_run(source: Path, first: Path, device: str, watching: Watching) -> _Judged:
    """The samples of a run or a study, with its predictions and, where it has pretrained weights, frozen features."""
    from obverse.evaluation import Predictions
    from obverse.experiment import describe, read_inputs
    from obverse.recipe import ResolvedRecipe
    from obverse.runs import RunFolder
    from obverse.runtime import resolve_device

    recipe, manifest = read_inputs(RunFolder(first))
    recipe = ResolvedRecipe.of(recipe.changed({"runtime.device": str(resolve_device(device))}))
    judged = _Judged(recipe, manifest, describe(recipe, manifest))
    for split in SPLITS:
        if (source / "evaluation" / split / "names.json").is_file():
            judged.predictions[split] = Predictions.read(source / "evaluation" / split)
    folders = [source, *sorted(source.glob("fold-*"))] if first != source else [source]
    held = [folder / "evaluation" / split for folder in folders for split in ("val", "test")]
    parts = [Predictions.read(path) for path in held if (path / "embeddings.npy").is_file()]
    judged.spaces = [part for part in parts if part.embeddings_ND is not None]
    if getattr(recipe.model.backbone, "pretrained", "none") != "none":
        try:
            judged.frozen = _frozen(judged, watching)
        except (UnavailableError, DataError) as error:
            judged.notes.append(f"The pretrained weights are not used: {error}.")
    if judged.frozen is None and not judged.predictions:
        raise DataError(f"{str(source)!r} has no predictions and no pretrained weights, so nothing can judge its "
                        "labels; finish the run, or give its data with --weights")  # fmt: skip
    return judged


def _frozen(judged: _Judged, watching: Watching) -> FrozenAnswers:
    from obverse.probing import frozen_answers

    watching.notify(f"features of {len(judged.manifest.samples):,} samples by the pretrained weights")
    frozen = frozen_answers(judged.bundle, judged.recipe, judged.manifest, folds=FOLDS, progress=watching.computing)
    if frozen.complaint:
        watching.notify(frozen.complaint)
    return frozen


def _ranked(judged: _Judged, most: int | None) -> tuple[Suspects, Samples]:
    """The suspects, and the samples of the evidence in its order."""
    from obverse.trust.suspects import rank, table_rows

    evidence, places, used = _evidence(judged)
    ranking, samples = rank(evidence, most=most), judged.manifest.samples.take(places)
    header, *rows = table_rows(ranking, samples, judged.manifest.views)
    return Suspects(ranking, tuple(dict(zip(header, row, strict=True)) for row in rows), used), samples


def _written(result: Suspects, judged: _Judged, samples: Samples, names: tuple[str, str], out: Path) -> Suspects:
    """The suspects after writing their table and page. names: of what was judged, and of its data."""
    import shlex

    from obverse.data import PictureDataset
    from obverse.explain import thumbnails_of
    from obverse.report import to_html
    from obverse.trust.suspects import suspects_page, write_table

    title, data = names
    ranking, manifest = result.ranking, judged.manifest
    thumbnails = thumbnails_of(PictureDataset(manifest, samples, judged.bundle.geometry), {})
    page = suspects_page(ranking, printable(title), used=result.used, thumbnails=thumbnails)
    try:
        write_table(ranking, samples, manifest.views, out / TABLE)
        write_whole(out / PAGE, to_html(page).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"{str(out)!r} cannot be written: {error.strerror or error}; choose another --out") from None
    files = [*judged.recipe.data.fixes, str(out / TABLE)]
    fixes = " ".join(f"--fixes {shlex.quote(file)}" for file in files)
    command = f"obverse train {shlex.quote(data)} {fixes}"
    return replace(result, table=out / TABLE, page=out / PAGE, command=command)


def _evidence(judged: _Judged) -> tuple[Evidence, list[int], tuple[str, ...]]:
    """The evidence on all samples that something judges, their places in the manifest, and sentences about it."""
    import numpy as np

    from obverse.trust.suspects import Evidence

    manifest, samples = judged.manifest, judged.manifest.samples
    probabilities_NK = np.full((len(samples), len(manifest.classes)), np.nan)
    judges, used = [""] * len(samples), []
    if judged.frozen is not None:
        probabilities_NK[:] = judged.frozen.probabilities_NK
        judges = ["frozen features"] * len(samples)
    place_of = {name: place for place, name in enumerate(samples.ids)}
    # The first of the evaluations wins: a pooled one is of models that did not see the sample.
    for split, predictions in reversed(judged.predictions.items()):
        rows = [row for row, name in enumerate(predictions.ids) if name in place_of]
        here = [place_of[predictions.ids[row]] for row in rows]
        probabilities_NK[here] = predictions.probabilities_NK[rows]
        for place in here:
            judges[place] = "the model of its fold" if split == SPLITS[0] else f"the run ({split})"
    given_NK = _given(manifest)
    is_judged_N = np.isfinite(probabilities_NK).all(1)
    places = np.flatnonzero(is_judged_N).tolist()
    neighbours, words = _neighbours(judged, places, place_of)
    used = [*_sentences(judges, judged), words, *judged.notes]
    kind = judged.bundle.kind
    return (
        Evidence(
            ids=tuple(samples.ids[place] for place in places),
            classes=manifest.classes,
            given_NK=given_NK[places],
            probabilities_NK=probabilities_NK[places],
            judges=tuple(judges[place] for place in places),
            neighbours=neighbours,
            ordered=kind.ordered,
            is_set=kind.is_set,
        ),
        places,
        tuple(used),
    )


def _given(manifest: Manifest) -> np.ndarray[Any, np.dtype[np.bool_]]:
    import numpy as np

    given_NK = np.zeros((len(manifest.samples), len(manifest.classes)), dtype=np.bool_)
    for place, sample in enumerate(manifest.samples):
        given_NK[place, [manifest.class_index[name] for name in manifest.classes_of(sample)]] = True
    return given_NK


def _sentences(judges: Sequence[str], judged: _Judged) -> list[str]:
    """What judged how many samples."""
    from obverse.experiment import model_words

    sentences = []
    for judge in sorted({*judges} - {""}):
        what = f"{judges.count(judge):,} samples are judged by "
        if judge == "frozen features":
            assert judged.frozen is not None
            what += f"a head ({judged.frozen.head}) on the frozen features of {model_words(judged.recipe)}, in {FOLDS} "
            sentences.append(f"{what}folds: no sample's own label was used.")
        else:
            sentences.append(f"{what}{judge}, which was not trained on them.")
    if judges.count(""):
        sentences.append(
            f"{judges.count('')} samples are not judged, because the run was trained on them and has no pretrained "
            "weights; `obverse folds DATA` predicts every sample by a model that did not see it."
        )
    return sentences


def _neighbours(judged: _Judged, places: Sequence[int], place_of: Mapping[str, int]) -> tuple[Neighbours | None, str]:
    """Neighbours among the judged samples, and a sentence about them."""
    from obverse.trust.suspects import NUM_NEIGHBOURS, joined_neighbours, nearest

    groups = judged.manifest.samples.groups
    vote = "samples of one group (copies, or pictures of one object) have no vote on each other."
    if judged.frozen is not None:
        near = nearest(judged.frozen.features_ND[list(places)], [groups[place] for place in places])
        return near, f"Neighbours are the {NUM_NEIGHBOURS} nearest samples by the frozen features; {vote}"
    row_of = {place: row for row, place in enumerate(places)}
    parts = []
    for space in judged.spaces:
        rows = [n for n, name in enumerate(space.ids) if row_of.get(place_of.get(name, -1)) is not None]
        if len(rows) > 1 and space.embeddings_ND is not None:
            here = [place_of[space.ids[n]] for n in rows]
            near = nearest(space.embeddings_ND[rows], [groups[place] for place in here])
            parts.append(([row_of[place] for place in here], near))
    if not parts:
        return None, "There are no features, so neighbours have no vote."
    words = f"Neighbours are the {NUM_NEIGHBOURS} nearest samples of the same evaluation by the model's embeddings"
    return joined_neighbours(parts, len(places)), f"{words}; {vote}"


def forms_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options on data and device, of all parameters of the verb; weights are listed apart."""
    return given_forms({name: value for name, value in params.items() if name != "weights"})
