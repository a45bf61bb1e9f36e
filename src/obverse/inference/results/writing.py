"""Writing of many answers to a file, batch by batch, so that a call that was killed is continued by the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.inference.requests import Failure, RequestOrFailure, Source, Stored, WebPicture
from obverse.interrupts import terminable
from obverse.runs import explained

from .forms import form_of
from .partial import Identity, opened, partial_of
from .rows import Rows
from .shards import BATCH_SIZE, shard_of

if TYPE_CHECKING:  # the predictor writes results itself
    from obverse.inference.predictor import Predictor
    from obverse.inference.requests import Requests

ADVICE = "try device cpu"


@dataclass(frozen=True)
class RowOptions:
    """What the rows of results hold."""

    num_top: int = 3
    """Number of classes with their probabilities."""

    batch_size: int = BATCH_SIZE
    """Samples per forward pass."""

    spreadsheet: bool = False
    """Whether text that a spreadsheet would take for a formula gets a quotation mark in front; for CSV."""

    part: str = ""
    """The shard that the samples are, such as `1/4`; empty for all of them."""


@dataclass(frozen=True)
class Written:
    """A finished file of results."""

    path: Path

    num_rows: int
    """Number of samples, each a row."""

    num_kept: int
    """Number of rows that an earlier call had written."""

    num_failures: int
    """Number of rows without an answer."""

    first_error: str
    """Error of the first such row; empty without one."""


def write_results(
    predictor: Predictor,
    items: Requests,
    path: Path,
    *,
    options: RowOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write a row for each item, or each one of the shard, in order, and give the file its name when all are there.

    Rows that an earlier call wrote before it was killed are kept, and the file is the same as without the kill. In the
    meantime rows are in the folder `PATH.partial`. progress: called with the numbers of finished and of all rows.

    OutputError when the file exists, or when an earlier call wrote answers of another model, of other samples or of
    other options. BusyError while another process writes the file. RecipeError for an unknown ending of the name.
    """
    items = shard_of(items, options.part, batch_size=options.batch_size)
    form = form_of(path, Rows.of(predictor, options.num_top), spreadsheet=options.spreadsheet)
    num_top = None if predictor.bundle.kind.is_set else options.num_top
    with explained(path, ADVICE), opened(path, form, _identity(predictor, items, options)) as partial:
        num_kept = done = partial.keep(options.batch_size, len(items))
        batches = predictor.answers(items[num_kept:], top_k=num_top, batch_size=options.batch_size)
        try:
            with terminable():
                for answers in batches:
                    partial.append(answers)
                    done += len(answers)
                    progress(done, len(items))
                partial.finish()
        except KeyboardInterrupt as stop:
            raise type(stop)(f"stopped by a signal; {done:,} of {len(items):,} rows are in {str(partial_of(path))!r}, "
                             "and the same command continues them") from None  # fmt: skip
    return Written(path, len(items), num_kept, partial.num_failures, partial.first_error)


def _identity(predictor: Predictor, items: Requests, options: RowOptions) -> Identity:
    """What must be the same for rows to be continued, in words."""
    bundle = predictor.bundle
    model = json.dumps({**bundle.to_values(), "digest": bundle.digest}, sort_keys=True)
    return {
        "another model": hashlib.sha256(model.encode()).hexdigest(),
        "another engine": _engine_name(predictor.engine),
        "another list of pictures": _digest(items),
        "another number of classes or of similar pictures": f"{options.num_top}, {Rows.of(predictor, 1).num_similar}",
        "another batch size": options.batch_size,
        "another choice of --spreadsheet": str(options.spreadsheet),
        "another shard": options.part,
    }


def _engine_name(engine: object) -> str:
    """The kinds of an engine and of what it holds: another engine or a session."""
    inner = getattr(engine, "engine", None) or getattr(engine, "session", None)
    return type(engine).__name__ + (f" of {_engine_name(inner)}" if inner else "")


def _digest(items: Iterable[RequestOrFailure]) -> str:
    """SHA-256 over the names of all samples and their pictures, in order; what the pictures hold is not read."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr(_key(item)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _key(item: RequestOrFailure) -> tuple[object, ...]:
    if isinstance(item, Failure):
        return (item.id,)
    pictures = {**item.views, **({} if item.whole is None else {"": item.whole})}
    return item.id, _named(pictures), sorted(item.columns.items())


def _named(pictures: Mapping[str, Source]) -> list[tuple[str, str]]:
    return [(view, _name(picture)) for view, picture in sorted(pictures.items())]


def _name(picture: Source) -> str:
    """The place of a picture; the kind of one that is in memory."""
    if isinstance(picture, (str, Path)):
        return str(picture)
    if isinstance(picture, Stored):
        return picture.locator
    return picture.url if isinstance(picture, WebPicture) else type(picture).__name__
