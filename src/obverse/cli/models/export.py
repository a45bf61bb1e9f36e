"""`obverse export MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.errors import OutputError, printable
from obverse.registry import EXPORT_FORMATS


def _check_format(name: str) -> str:
    if name not in EXPORT_FORMATS:
        raise typer.BadParameter(f"no format `{name}`; choose {' or '.join(EXPORT_FORMATS)}")
    return name


FORMATS_HELP = "; ".join(f"{name}: {kind.summary}" for name, kind in EXPORT_FORMATS.items()) + "."


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    format: Annotated[str, typer.Option(help=FORMATS_HELP, callback=_check_format)],
    out: Annotated[Path | None, typer.Option(help="The file to write; by default in the bundle.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older file.")] = False,
) -> None:
    """Write a trained model for other programs."""
    from obverse.bundle import find_bundle, read_bundle
    from obverse.export import write_model

    kind = EXPORT_FORMATS[format]
    path = out or find_bundle(model) / kind.default_name
    if path.is_dir() or (path.exists() and not force):
        what = "is a folder" if path.is_dir() else "exists; --force replaces it"
        raise OutputError(f"{str(path)!r} {what}, or choose another file with --out")
    bundle, classifier = read_bundle(model)
    write_model(path, format, bundle, classifier)
    typer.echo(f"wrote {printable(str(path))}: {classifier.num_parameters():,} parameters, "
               f"{len(bundle.classes)} classes; {kind.reader} reads it")  # fmt: skip
