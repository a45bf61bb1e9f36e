"""Source: a run folder, or the manifest in it, with the samples, splits and class order of that run."""

from __future__ import annotations

import json
from pathlib import Path

from obverse.errors import DataError
from obverse.files import read_text
from obverse.manifest.manifest import read_manifest
from obverse.manifest.sources.folders.tree import data_root
from obverse.manifest.split.stored import MANIFEST_FILE
from obverse.recipe import load_recipe

from .listing import Listing


def run_folder_of(path: Path) -> Path | None:
    """The run folder at `path`, or the one whose manifest is at `path`; None when it is neither."""
    folder = path.parent if path.name == MANIFEST_FILE else path
    return folder if all((folder / name).is_file() for name in (MANIFEST_FILE, "recipe.yaml")) else None


def read_run_folder(folder: Path) -> Listing:
    """The listing of a run's manifest, with its pictures in the data that the run's recipe names.

    DataError when that data is gone, or when the run's recipe, config or manifest cannot be read.
    """
    spec = load_recipe(str(folder / "recipe.yaml")).data
    if spec.path is None or spec.views == "auto":
        raise DataError(f"{str(folder / 'recipe.yaml')!r} does not say where the data lies")
    data = Path(spec.path)
    try:
        root = data_root(data)
    except DataError:
        raise DataError(f"{str(data)!r}, the data of {str(folder)!r}, is no longer there") from None
    try:
        classes = json.loads(read_text(folder / "config.json"))["classes"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{str(folder / 'config.json')!r} cannot be read: {error}") from None
    order = spec.order if isinstance(spec.order, tuple) else None
    file = folder / MANIFEST_FILE
    manifest = read_manifest(file, root=root, classes=classes, views=spec.views, ordered=order is not None,
                             multi_label=spec.labels == "multi")  # fmt: skip
    return Listing(
        root,
        manifest.samples,
        manifest.views,
        f"the manifest of a run on {str(data)!r}: {len(classes)} classes, {len(manifest.samples)} samples, its splits",
        spec.layout,
        keeps_missing_views=True,
        source=data,
        stored=file,
        order=order,
        multi_label=manifest.multi_label,
    )
