"""What judges the labels of a manifest: predictions that did not learn them, features, and the evidence from both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obverse.decisions import Kind
from obverse.evaluation import OUT_OF_FOLD, Predictions
from obverse.manifest import Manifest, Samples

from .evidence import Evidence
from .neighbours import NUM_NEIGHBOURS, Neighbours, joined_neighbours, nearest

FROZEN = "frozen features"
VOTE = "samples of one group (copies, or pictures of one object) have no vote on each other."


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenJudge:
    """Out-of-fold answers for every sample of a manifest by a head on frozen features."""

    probabilities_NK: npt.NDArray[np.float64]
    features_ND: npt.NDArray[np.float32]

    words: str
    """The head and the features in words, after `judged by`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Judges:
    """All that knows something about the labels of a manifest without having learned them."""

    manifest: Manifest
    kind: Kind
    frozen: FrozenJudge | None = None

    evaluations: Mapping[str, Predictions]
    """Split, or `OUT_OF_FOLD` -> predictions of a model that was not trained on the samples; earlier ones win."""

    spaces: Sequence[Predictions] = ()
    """Predictions with embeddings, each of a model that was not trained on these samples."""

    notes: Sequence[str] = ()
    """Further sentences on what the labels were judged by."""


@dataclass(frozen=True, eq=False)
class Case:
    """The evidence on all samples that something judges."""

    evidence: Evidence

    samples: Samples
    """The samples of the evidence, in its order."""

    sentences: tuple[str, ...]
    """What the labels were judged by."""


def evaluations_of(folder: Path) -> dict[str, Predictions]:
    """The stored predictions of a run or a study that did not train on their samples, the preferred ones first."""
    paths = {split: folder / "evaluation" / split for split in (OUT_OF_FOLD, "val", "test")}
    return {split: Predictions.read(path) for split, path in paths.items() if (path / "names.json").is_file()}


def spaces_of(runs: Iterable[Path]) -> list[Predictions]:
    """The stored predictions of runs that have embeddings."""
    held = [run / "evaluation" / split for run in runs for split in ("val", "test")]
    return [Predictions.read(path) for path in held if (path / "embeddings.npy").is_file()]


def case_of(judges: Judges) -> Case:
    """The evidence on all samples that something judges."""
    manifest, samples = judges.manifest, judges.manifest.samples
    probabilities_NK = np.full((len(samples), len(manifest.classes)), np.nan)
    names = [""] * len(samples)
    if judges.frozen is not None:
        probabilities_NK[:] = judges.frozen.probabilities_NK
        names = [FROZEN] * len(samples)
    place_of = {name: place for place, name in enumerate(samples.ids)}
    for split, predictions in reversed([*judges.evaluations.items()]):
        rows = [row for row, name in enumerate(predictions.ids) if name in place_of]
        here = [place_of[predictions.ids[row]] for row in rows]
        probabilities_NK[here] = predictions.probabilities_NK[rows]
        for place in here:
            names[place] = "the model of its fold" if split == OUT_OF_FOLD else f"the run ({split})"
    places = np.flatnonzero(np.isfinite(probabilities_NK).all(1)).tolist()
    neighbours, words = _neighbours(judges, places, place_of)
    evidence = Evidence(
        ids=tuple(samples.ids[place] for place in places),
        classes=manifest.classes,
        given_NK=_given(manifest)[places],
        probabilities_NK=probabilities_NK[places],
        judges=tuple(names[place] for place in places),
        neighbours=neighbours,
        ordered=judges.kind.ordered,
        is_set=judges.kind.is_set,
    )
    return Case(evidence, samples.take(places), (*_sentences(names, judges.frozen), words, *judges.notes))


def _given(manifest: Manifest) -> npt.NDArray[np.bool_]:
    given_NK = np.zeros((len(manifest.samples), len(manifest.classes)), dtype=np.bool_)
    for place, sample in enumerate(manifest.samples):
        given_NK[place, [manifest.class_index[name] for name in manifest.classes_of(sample)]] = True
    return given_NK


def _sentences(names: Sequence[str], frozen: FrozenJudge | None) -> list[str]:
    """What judged how many samples. names: of each sample's judge, empty without one."""
    sentences = []
    for name in sorted({*names} - {""}):
        what = f"{names.count(name):,} samples are judged by "
        if name == FROZEN and frozen is not None:
            sentences.append(f"{what}{frozen.words}: no sample's own label was used.")
        else:
            sentences.append(f"{what}{name}, which was not trained on them.")
    if names.count(""):
        sentences.append(
            f"{names.count('')} samples are not judged, because the run was trained on them and has no pretrained "
            "weights; `obverse folds DATA` predicts every sample by a model that did not see it."
        )
    return sentences


def _neighbours(judges: Judges, places: Sequence[int], place_of: Mapping[str, int]) -> tuple[Neighbours | None, str]:
    """Neighbours among the judged samples, and a sentence about them."""
    groups = judges.manifest.samples.groups
    if judges.frozen is not None:
        near = nearest(judges.frozen.features_ND[list(places)], [groups[place] for place in places])
        return near, f"Neighbours are the {NUM_NEIGHBOURS} nearest samples by the frozen features; {VOTE}"
    row_of = {place: row for row, place in enumerate(places)}
    parts = []
    for space in judges.spaces:
        rows = [n for n, name in enumerate(space.ids) if place_of.get(name, -1) in row_of]
        if len(rows) > 1 and space.embeddings_ND is not None:
            here = [place_of[space.ids[n]] for n in rows]
            near = nearest(space.embeddings_ND[rows], [groups[place] for place in here])
            parts.append(([row_of[place] for place in here], near))
    if not parts:
        return None, "There are no features, so neighbours have no vote."
    words = f"Neighbours are the {NUM_NEIGHBOURS} nearest samples of the same evaluation by the model's embeddings"
    return joined_neighbours(parts, len(places)), f"{words}; {VOTE}"
