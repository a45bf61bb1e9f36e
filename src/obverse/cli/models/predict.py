"""`obverse predict MODEL PATHS`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.cli.options import Device, Engine
from obverse.cli.printing.answers import print_answers, require_answers
from obverse.cli.printing.csv_rows import Spreadsheet
from obverse.cli.printing.progress import show_predicted, show_written
from obverse.errors import RecipeError, printable

if TYPE_CHECKING:
    from obverse.cli.printing.answers import Answer
    from obverse.inference import Predictor, Requests, RowOptions
    from obverse.inference.showing import Showing

View = Annotated[
    list[str] | None, typer.Option(help="One view of a sample, VIEW=PICTURE: obverse=a.jpg; repeat for each view.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(help="A value beside the pictures, if the model sees it, COLUMN=VALUE: year=1909; repeat."),
]
TopK = Annotated[int | None, typer.Option(min=1, help="Number of classes to show, the likeliest first; by default 3.")]
Similar = Annotated[
    int,
    typer.Option(
        min=0, help="Number of most similar training pictures to show with each answer; needs the run's data."
    ),
]
AllowUrls = Annotated[
    bool, typer.Option("--allow-urls", help="Fetch pictures that are named by an http or https address.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="A new file for the rows instead, .csv, .jsonl or .parquet; a killed command is continued."),
]
Shard = Annotated[
    str, typer.Option(help="Only this part of the samples, for one of several machines: 1/4, 2/4, 3/4, 4/4.")
]
Html = Annotated[
    Path | None, typer.Option(help="A new page with the pictures and their answers: FILE.html, or its folder.")
]
SaveImages = Annotated[
    Path | None, typer.Option(help="A new folder for copies of the pictures with the answer drawn below them.")
]
Tta = Annotated[
    bool, typer.Option("--tta", help="Answer by the mean over each picture and its mirror image; takes twice the time.")
]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Pictures, and folders, archives, tables or lists of pictures; - reads paths from stdin."),
    ] = None,
    view: View = None,
    column: Column = None,
    top_k: TopK = None,
    similar: Similar = 0,
    format: Annotated[Format, typer.Option(help="Form of the output.")] = Format.table,
    spreadsheet: Spreadsheet = False,
    allow_urls: AllowUrls = False,
    out: Out = None,
    shard: Shard = "",
    html: Html = None,
    save_images: SaveImages = None,
    device: Device = "auto",
    engine: Engine = "torch",
    tta: Tta = False,
) -> None:
    """Predict pictures with a trained model; exit 65 at the end when some could not be read."""
    inputs = given_inputs(paths, view)
    warn_of_unread(paths or [])
    if spreadsheet and out is None and format is not Format.csv:
        raise RecipeError("--spreadsheet is for --format csv")
    if out is not None and format is not Format.table:
        raise RecipeError("--format is for what is printed; with --out the ending of the file says it")
    if out is not None and (html or save_images):
        raise RecipeError("--html and --save-images go with what is printed, because a file of --out may be continued "
                          "without its first pictures; leave --out out")  # fmt: skip
    wanted = _showing(html, save_images, model)
    from obverse.inference import RowOptions, shard_of

    options = {"device": device, "allow_urls": allow_urls, "engine": engine, "tta": tta, "notify": _notify}
    predictor = _loaded(model, similar, options)
    items, num_top = predictor.find(inputs, given_columns(column)), predictor.num_top(top_k)
    if out is not None:
        _write(predictor, items, out, RowOptions(num_top, spreadsheet=spreadsheet, part=shard))
        return
    items = shard_of(items, shard)
    answers = predictor.each(items, top_k=top_k, progress=show_predicted)
    with _displayed(predictor, items, answers, wanted) as displayed:
        print_answers(predictor, displayed, format.value, num_top=num_top, spreadsheet=spreadsheet)


def _loaded(model: Path, similar: int, options: dict[str, Any]) -> Predictor:
    if similar:
        from obverse.experiment import load_with_evidence

        return load_with_evidence(model, similar, **options)
    from obverse.inference import load

    return load(model, **options)


def _showing(html: Path | None, save_images: Path | None, model: Path) -> Showing | None:
    """Where answers are to be seen; None: nowhere. OutputError when something is there already."""
    if html is None and save_images is None:
        return None
    from obverse.inference.showing import Showing

    wanted = Showing(html, save_images, f"Predictions of {model.name or model}", notify=_notify)
    wanted.require_free()
    return wanted


def _displayed(
    predictor: Predictor, items: Requests, answers: Iterator[Answer], wanted: Showing | None
) -> AbstractContextManager[Iterator[Answer]]:
    """The answers, which are also shown when that is wanted; a page is written even when the block is interrupted."""
    if wanted is None:
        return nullcontext(answers)
    from obverse.inference.showing import show

    return closing(show(predictor, items, answers, wanted))


def _notify(line: str) -> None:
    typer.echo(printable(line), err=True)


def _write(predictor: Predictor, items: Requests, out: Path, options: RowOptions) -> None:
    """Write the file, and say what it holds; DataError when something had no answer."""
    from obverse.inference import write_results

    written = write_results(predictor, items, out, options=options, progress=show_written)
    kept = f", {written.num_kept:,} of them by an earlier command" * (written.num_kept > 0)
    typer.echo(printable(f"{written.path}: {written.num_rows:,} rows{kept}"))
    require_answers(written.num_rows, written.num_failures, written.first_error)


def given_inputs(paths: Sequence[Path] | None, view: Sequence[str] | None) -> list[Any]:
    """What a predictor takes, from the command line."""
    inputs: list[Any] = []
    for path in paths or []:
        inputs += _listed_on_stdin() if str(path) == "-" else [path]
    if view:
        inputs.append({name: Path(file) for name, file in _pairs("view", view, "obverse=coin.jpg").items()})
    if not inputs:
        if paths:
            raise RecipeError("nothing to predict: standard input holds no paths")
        raise RecipeError("nothing to predict: give at least one picture, a folder, or --view NAME=FILE")
    return inputs


def _listed_on_stdin() -> list[str]:
    """The paths on standard input, one per line."""
    if sys.stdin is None:  # a caller closed it
        raise RecipeError("standard input is closed, and `-` reads paths from it")
    return [line for line in map(str.strip, sys.stdin) if line]


def warn_of_unread(paths: Sequence[Path]) -> None:
    """On the console: pictures in folders and archives that get no answer, because nothing here reads their format."""
    from obverse.inference import unread_in

    for path in paths:
        if unread := unread_in(path):
            typer.echo(printable(f"Warning: {path}: {unread}"), err=True)


def given_columns(column: Sequence[str] | None) -> dict[str, str]:
    """Values of extra columns, from the command line."""
    return _pairs("column", column or [], "year=1909")


def _pairs(option: str, pairs: Sequence[str], example: str) -> dict[str, str]:
    values, what = {}, "FILE" if option == "view" else "VALUE"
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise RecipeError(f"--{option} {pair}: write it as NAME={what}, for example {example}")
        if name in values:
            raise RecipeError(f"--{option} {name} is given twice; one command takes it once")
        values[name] = value
    return values
