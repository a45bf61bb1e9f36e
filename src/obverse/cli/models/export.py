"""`obverse export MODEL`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from obverse.errors import OutputError, printable


class ExportFormat(StrEnum):
    """What can be written."""

    pth = "pth"


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    format: Annotated[ExportFormat, typer.Option(help="pth: tensors and builtins for torch.load(weights_only=True).")],
    out: Annotated[Path | None, typer.Option(help="The file; by default best_model.pth in the bundle.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older file.")] = False,
) -> None:
    """Write a trained model for other programs."""
    from obverse.bundle import find_bundle, read_bundle
    from obverse.export import PTH_NAME, write_pth

    path = out or find_bundle(model) / PTH_NAME
    if path.is_dir() or (path.exists() and not force):
        what = "is a folder" if path.is_dir() else "exists; --force replaces it"
        raise OutputError(f"{str(path)!r} {what}, or choose another file with --out")
    bundle, classifier = read_bundle(model)
    write_pth(path, bundle, classifier)
    typer.echo(f"wrote {printable(str(path))}: {classifier.num_parameters():,} parameters, "
               f"{len(bundle.classes)} classes; torch.load(..., weights_only=True) reads it")  # fmt: skip
