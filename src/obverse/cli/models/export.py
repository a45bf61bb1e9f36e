"""`obverse export MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.errors import OutputError, printable
from obverse.registry import EXPORT_FORMATS, ExportKind


def _check_format(name: str) -> str:
    if name not in EXPORT_FORMATS:
        raise typer.BadParameter(f"no format `{name}`; choose {' or '.join(EXPORT_FORMATS)}")
    return name


FORMATS_HELP = "; ".join(f"{name}: {kind.summary}" for name, kind in EXPORT_FORMATS.items()) + "."


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    format: Annotated[str, typer.Option(help=FORMATS_HELP, callback=_check_format)],
    out: Annotated[Path | None, typer.Option(help="The file or folder to write; by default in the bundle.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace older files.")] = False,
) -> None:
    """Write a trained model for other programs."""
    from obverse.bundle import find_bundle
    from obverse.export import TrainedModel, write_model

    kind = EXPORT_FORMATS[format]
    path = out or find_bundle(model) / kind.default_name
    _require_free(path, kind, force=force)
    trained = TrainedModel.read(model)
    words = write_model(path, format, trained)
    typer.echo(f"wrote {printable(str(path))}: {trained.classifier.num_parameters():,} parameters, "
               f"{len(trained.bundle.classes)} classes; {kind.reader} reads it")  # fmt: skip
    if words:
        typer.echo(words)


def _require_free(path: Path, kind: ExportKind, *, force: bool) -> None:
    """OutputError when a file of the export exists, or has the name of a folder. force: files may be replaced."""
    companions = (path.with_name(name.replace("*", path.stem)) for name in kind.companions)
    for file in (path, *companions):
        if file.is_dir() and not (kind.is_folder and file == path and force):
            what = "exists; --force replaces it" if kind.is_folder else "is a folder"
        elif file.exists() and not force:
            what = "exists; --force replaces it"
        else:
            continue
        raise OutputError(f"{str(file)!r} {what}, or choose another file with --out")
