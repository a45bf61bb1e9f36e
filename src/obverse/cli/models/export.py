"""`obverse export MODEL`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.errors import OutputError, RecipeError, printable
from obverse.registry import EXPORT_FORMATS, ExportKind

if TYPE_CHECKING:
    from obverse.export import Method, TrainedModel

QUANTISED_FORMATS = ("onnx", "openvino")


def _check_format(name: str) -> str:
    if name not in EXPORT_FORMATS:
        raise typer.BadParameter(f"no format `{name}`; choose {' or '.join(EXPORT_FORMATS)}")
    return name


FORMATS_HELP = "; ".join(f"{name}: {kind.summary}" for name, kind in EXPORT_FORMATS.items()) + "."

# Percentage points of accuracy that quantisation may lose.
MAX_DROP = 0.5


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    format: Annotated[str, typer.Option(help=FORMATS_HELP, callback=_check_format)],
    out: Annotated[Path | None, typer.Option(help="The file or folder to write; by default in the bundle.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace older files.")] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Compute in 8-bit integers: smaller and faster; measured on the test samples."),
    ] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Store weights in 16 bits: half the size; measured on the test samples.")
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Percentage points of accuracy that --int8 or --fp16 may lose, by default 0.5; else exit 76.",
        ),
    ] = None,
) -> None:
    """Write a trained model for other programs."""
    from obverse.bundle import find_bundle
    from obverse.export import TrainedModel, write_model
    from obverse.runs import explained

    kind, method = EXPORT_FORMATS[format], _method(format, int8=int8, fp16=fp16)
    if max_drop is not None and method is None:
        raise RecipeError("--max-drop is for --int8 and --fp16; add one of them, or leave it out")
    name = Path(kind.default_name)
    path = out or find_bundle(model) / (name.with_suffix(f".{method}{name.suffix}") if method else name)
    # A quantised file comes without a script.
    parts = tuple(part for part in kind.companions if "*" in part)
    _require_free(path, replace(kind, companions=parts) if method else kind, force=force)
    trained = TrainedModel.read(model)
    with explained(path, "export where more is free"):
        if method:
            _write_quantised(path, format, trained, method=method, max_drop=MAX_DROP if max_drop is None else max_drop)
            return
        words = write_model(path, format, trained)
    typer.echo(f"wrote {printable(str(path))}: {trained.classifier.num_parameters():,} parameters, "
               f"{len(trained.bundle.classes)} classes; {kind.reader} reads it")  # fmt: skip
    if words:
        typer.echo(words)


def _method(format: str, *, int8: bool, fp16: bool) -> Method | None:
    """The way of quantisation; None without one."""
    if int8 and fp16:
        raise RecipeError("--int8 and --fp16 exclude each other; write two files")
    if (int8 or fp16) and format not in QUANTISED_FORMATS:
        raise RecipeError(f"--int8 and --fp16 are for the format {' or '.join(QUANTISED_FORMATS)}, not {format}")
    return "int8" if int8 else "fp16" if fp16 else None


def _write_quantised(path: Path, format: str, trained: TrainedModel, *, method: Method, max_drop: float) -> None:
    from obverse.api.quantising import export_quantised
    from obverse.cli.printing.quantised import print_quantised

    export_quantised(path, trained, method, format=format, max_drop=max_drop, notify=print_quantised)
    typer.echo(f"wrote {printable(str(path))}")


def _require_free(path: Path, kind: ExportKind, *, force: bool) -> None:
    """OutputError when a file of the export exists, or has the name of a folder. force: files may be replaced."""
    companions = [path.with_name(name.replace("*", path.stem)) for name in kind.companions]
    if path in companions:
        raise OutputError(f"{str(path)!r} is the name of a file beside the model; choose another one with --out")
    for file in (path, *companions):
        if file.is_dir() and not (kind.is_folder and file == path and force):
            what = "exists; --force replaces it" if kind.is_folder else "is a folder"
        elif file.exists() and not force:
            what = "exists; --force replaces it"
        else:
            continue
        raise OutputError(f"{str(file)!r} {what}, or choose another file with --out")
