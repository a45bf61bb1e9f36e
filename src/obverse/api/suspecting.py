"""The search for suspect labels, as the command and the Python API start it: in a run, in a study of folds, or in data.

A run's own predictions judge the samples that it was not trained on. All other samples are judged by a head on the
frozen features of the pretrained weights, fitted without them: features of a fine-tuned backbone know the labels that
it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import DataError, OutputError, RecipeError, UnavailableError, printable

from .short_forms import given_forms, recipe_of

if TYPE_CHECKING:
    from obverse.bundle import Bundle
    from obverse.manifest import Manifest
    from obverse.recipe import Recipe, ResolvedRecipe
    from obverse.trust.suspects import Case, FrozenJudge, Judges, Ranking

    from .probing import Watching

FOLDS = 5
NOTEBOOK_COLUMNS, MOST_ROWS = ("id", "label", "new_label", "score", "why"), 20


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
        resolved, judges = _of_run(source, run, forms.get("--device", "auto"), watching)
        data = resolved.data.path or str(source)
    else:
        resolved, judges = _of_data(source, recipe_of(recipe, settings, forms), asked.weights, watching)
        data = str(source)
    result, case = _ranked(judges, asked.most)
    return result if asked.out is None else _written(result, case, judges, resolved, (str(source), data), asked.out)


def require_free(out: Path, *, force: bool) -> None:
    """OutputError when the table exists, because a person may have edited it, or when the folder cannot be made."""
    from obverse.trust.suspects import TABLE

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


def _of_data(source: Path, recipe: Recipe, weights: Sequence[str], watching: Watching) -> tuple[ResolvedRecipe, Judges]:
    """The judges of a data set: frozen features of the first candidate for weights."""
    from obverse.experiment import Machine, describe, resolve
    from obverse.manifest import build_index
    from obverse.probing import candidates_of
    from obverse.trust.suspects import Judges

    reasons: list[str] = []
    candidate = candidates_of([recipe], weights, reasons)[0]
    for reason in reasons:
        watching.notify(reason)
    index = build_index(source, recipe.data, watching.reading)
    machine = Machine.here(recipe.runtime)
    resolved = resolve(recipe.changed({"model.backbone": candidate.backbone}), index, machine).recipe
    bundle = describe(resolved, index.manifest)
    frozen = _frozen(bundle, resolved, index.manifest, watching)
    return resolved, Judges(manifest=index.manifest, kind=bundle.kind, frozen=frozen, evaluations={})


def _of_run(source: Path, first: Path, device: str, watching: Watching) -> tuple[ResolvedRecipe, Judges]:
    """The judges of a run or a study: its predictions and, where it has pretrained weights, frozen features."""
    from obverse.experiment import describe, read_inputs
    from obverse.recipe import ResolvedRecipe
    from obverse.runs import RunFolder
    from obverse.runtime import resolve_device
    from obverse.trust.suspects import Judges, evaluations_of, spaces_of

    recipe, manifest = read_inputs(RunFolder(first))
    recipe = ResolvedRecipe.of(recipe.changed({"runtime.device": str(resolve_device(device))}))
    bundle = describe(recipe, manifest)
    evaluations = evaluations_of(source)
    folders = [source, *sorted(source.glob("fold-*"))] if first != source else [source]
    frozen, notes = None, []
    if getattr(recipe.model.backbone, "pretrained", "none") != "none":
        try:
            frozen = _frozen(bundle, recipe, manifest, watching)
        except (UnavailableError, DataError) as error:
            notes.append(f"The pretrained weights are not used: {error}.")
    if frozen is None and not evaluations:
        raise DataError(f"{str(source)!r} has no predictions and no pretrained weights, so nothing can judge its "
                        "labels; finish the run, or give its data with --weights")  # fmt: skip
    return recipe, Judges(
        manifest=manifest,
        kind=bundle.kind,
        frozen=frozen,
        evaluations=evaluations,
        spaces=spaces_of(folders),
        notes=notes,
    )


def _frozen(bundle: Bundle, recipe: ResolvedRecipe, manifest: Manifest, watching: Watching) -> FrozenJudge:
    from obverse.experiment import model_words
    from obverse.probing import frozen_answers
    from obverse.trust.suspects import FrozenJudge

    watching.notify(f"features of {len(manifest.samples):,} samples by the pretrained weights")
    frozen = frozen_answers(bundle, recipe, manifest, folds=FOLDS, progress=watching.computing)
    if frozen.complaint:
        watching.notify(frozen.complaint)
    words = f"a head ({frozen.head}) on the frozen features of {model_words(recipe)}, in {FOLDS} folds"
    return FrozenJudge(probabilities_NK=frozen.probabilities_NK, features_ND=frozen.features_ND, words=words)


def _ranked(judges: Judges, most: int | None) -> tuple[Suspects, Case]:
    """The suspects, and the case from which they follow."""
    from obverse.trust.suspects import case_of, rank, table_rows

    case = case_of(judges)
    ranking = rank(case.evidence, most=most)
    header, *rows = table_rows(ranking, case.samples, judges.manifest.views)
    return Suspects(ranking, tuple(dict(zip(header, row, strict=True)) for row in rows), case.sentences), case


def _written(
    result: Suspects, case: Case, judges: Judges, recipe: ResolvedRecipe, names: tuple[str, str], out: Path
) -> Suspects:
    """The suspects after writing their table and page. names: of what was judged, and of its data."""
    import shlex

    from obverse.data import PictureDataset
    from obverse.experiment import describe
    from obverse.trust.suspects import write_suspects

    (title, data), manifest = names, judges.manifest
    dataset = PictureDataset(manifest, case.samples, describe(recipe, manifest).geometry)
    table, page = write_suspects(out, result.ranking, dataset, title=printable(title), used=result.used)
    files = [*recipe.data.fixes, str(table)]
    fixes = " ".join(f"--fixes {shlex.quote(file)}" for file in files)
    command = f"obverse train {shlex.quote(data)} {fixes}"
    return replace(result, table=table, page=page, command=command)


def forms_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options on data and device, of all parameters of the verb; weights are listed apart."""
    return given_forms({name: value for name, value in params.items() if name != "weights"})
