"""`obverse prepare DATA`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli.options import (
    Fixes,
    ImageColumn,
    ImageRoot,
    LabelColumn,
    Layout,
    Settings,
    fixes_setting,
    layout_setting,
    table_settings,
)
from obverse.cli.printing.progress import show_progress
from obverse.errors import OutputError, RecipeError, printable

if TYPE_CHECKING:
    from obverse.manifest import Index

MAX_CLASSES = 50


def command(
    data: Annotated[Path, typer.Argument(help="The data: a folder, archive, table or older manifest.")],
    out: Annotated[Path | None, typer.Option(help="The manifest to write; by default DATA-manifest.csv here.")] = None,
    layout: Layout = None,
    label_column: LabelColumn = None,
    image_column: ImageColumn = None,
    image_root: ImageRoot = None,
    fixes: Fixes = None,
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe's name or a YAML file; its `data` section counts.")
    ] = "auto",
    settings: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older manifest.")] = False,
) -> None:
    """Read, verify and split a data set, and write the manifest, to look at, to edit and to train on."""
    from obverse.manifest import build_index, finding_lines, require_free, write_prepared
    from obverse.recipe import load_recipe
    from obverse.runs import short_name

    changes = [*(settings or []), *layout_setting(layout), *table_settings(label_column, image_column, image_root)]
    changes += fixes_setting(fixes)
    strange = next((change for change in changes if not change.startswith("data.")), None)
    if strange is not None:
        raise RecipeError(f"--set {strange}: only fields of `data` matter to a manifest")
    path = out or Path(f"{short_name(data)}-manifest.csv")
    if path.suffix.lower() != ".csv":
        raise OutputError(f"{str(path)!r}: a manifest is a CSV table; let its name end in .csv")
    spec = load_recipe(recipe, changes).data
    require_free(path, force=force)
    index = build_index(data, spec, show_progress)
    for line in (index.summary, *finding_lines(index.findings, "`obverse check` lists them all")):
        typer.echo(printable(line))
    _print_counts(index)
    write_prepared(index.manifest, path)
    typer.echo(f"wrote {printable(str(path))}: {len(index.manifest.samples)} samples; pictures below its folder are "
               "named relative to it, others by their full path")  # fmt: skip
    typer.echo(f"train: obverse train {printable(shlex.quote(str(path)))}")


def _print_counts(index: Index) -> None:
    """Samples per class and split; of very many classes the first."""
    manifest = index.manifest
    counts = {split: manifest.counts(split) for split in ("train", "val", "test")}
    classes = manifest.classes[:MAX_CLASSES]
    width = max(len("class"), *(len(printable(name)) for name in classes))
    typer.echo(f"{'class':{width}}  {'train':>7} {'val':>7} {'test':>7}")
    for name in classes:
        typer.echo(f"{printable(name):{width}}  " + " ".join(f"{counts[split][name]:7}" for split in counts))
    if len(manifest.classes) > len(classes):
        typer.echo(f"and {len(manifest.classes) - len(classes)} more classes")
    typer.echo(f"{'all':{width}}  " + " ".join(f"{sum(counts[split].values()):7}" for split in counts))
