"""Explanation of a trained model's answers to pictures given by a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from obverse.data import Batch
from obverse.engines import TorchEngine, run_engine
from obverse.errors import RecipeError
from obverse.explain import Drawn, Influence, LabelledEmbeddings, MapFolder, Similar, explain, require_free
from obverse.recipe import did_you_mean
from obverse.runs import explained

from . import Predictor, load
from .requests import Cell, Input

TILE = 448


@dataclass(frozen=True)
class Wish:
    """What is to be explained, and how."""

    methods: tuple[str, ...] = ()
    """Names of `obverse.explain.METHODS`, or `all`; empty for the default of the network's family."""

    label: str | None = None
    """The class to explain; None for the predicted one, or the leading one of a label set."""

    among: LabelledEmbeddings | None = None
    """Samples of which the nearest are given; None for no such samples."""

    num_similar: int = 3
    """Number of nearest samples."""


DEFAULT = Wish()


@dataclass(frozen=True)
class Explained:
    """Explanation of one sample, with the file of its maps."""

    drawn: Drawn

    influence: Influence | None
    """How much each view moved the probability of the explained class; None for a sample of one view."""

    similar: tuple[Similar, ...] = ()
    """Nearest samples among those that were given, the nearest first."""


def explain_pictures(
    model: Path,
    inputs: Input | Sequence[Input],
    out: Path,
    *,
    columns: Mapping[str, Cell] | None = None,
    device: str = "auto",
    wish: Wish = DEFAULT,
) -> Iterator[Explained]:
    """Yield the explanation of each sample, after writing one picture file for it to `out`, in the order of `inputs`.

    columns: see `Predictor.predict`.

    DataError when an input cannot be used, RecipeError for a method or label that the model does not have.
    """
    require_free(out)
    predictor = load(model, device=device)
    target = None if wish.label is None else _class_of(predictor, wish.label)
    engine = predictor.engine
    assert isinstance(engine, TorchEngine), "a bundle holds the network itself"
    batches = predictor.batches(inputs, 1, columns=columns)
    # The first batch is explained now, so that unreadable inputs and unknown methods raise before maps of an earlier
    # call are deleted.
    explanations = (
        (explanation, batch)
        for batch in batches
        for explanation in explain(engine, batch, predictor.views, methods=wish.methods, target=target)
    )
    with explained(out, "try --device cpu"):
        first = list(islice(explanations, 1))
        maps = MapFolder(out, predictor.classes, predictor.bundle.kind, tile=TILE)
        try:
            for row, (explanation, batch) in enumerate(chain(first, explanations)):
                yield Explained(maps.add(row, explanation), explanation.influence, _similar(engine, batch, wish))
        finally:  # list the maps drawn so far, so that the folder is recognised and can be reused
            maps.close()


def _class_of(predictor: Predictor, label: str) -> int:
    if label not in predictor.classes:
        hint = did_you_mean(label, predictor.classes)
        raise RecipeError(f"the model has no class `{label}`{hint}; it has {', '.join(predictor.classes[:20])}")
    return predictor.classes.index(label)


def _similar(engine: TorchEngine, batch: Batch, wish: Wish) -> tuple[Similar, ...]:
    if wish.among is None:
        return ()
    return wish.among.similar(run_engine(engine, [batch]).embeddings_ND, wish.num_similar)[0]
