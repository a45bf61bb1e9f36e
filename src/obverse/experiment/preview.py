"""A sheet of training pictures exactly as the model will see them: `obverse check DATA --preview`.

    sample, view | as in evaluation | epoch 1 | epoch 2 | ...

Every picture goes through the run's own decoding, geometry, augmentation, mixing and normalisation; the normalisation
is then inverted to show pixels. One pixel of the sheet is one pixel of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from obverse.data import Batch, PictureDataset, mix
from obverse.engines import Forward
from obverse.errors import OutputError, printable
from obverse.experiment.auto.resolve import resolve
from obverse.files import open_regular, written_aside
from obverse.imaging import Pixels
from obverse.manifest import Manifest, build_index
from obverse.recipe import Recipe

from .setup import describe
from .teacher import with_digest

NAME = "preview.png"
MARK = "obverse check --preview"
# Target width and height of the sheet in pixels: about 12 million pixels, whatever the input's size.
SHEET_SIDE = 3500
MOST_EPOCHS, MOST_SAMPLES = 6, 12
GAP, LINE = 4, 14


def write_preview(
    data: Path, recipe: Recipe, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Path, tuple[str, ...]]:
    """Path of the written preview.png, and the reasons for values chosen for `auto`.

    Raises DataError when the data cannot be trained on, and OutputError when the path holds another file.
    """
    path = folder / NAME
    require_ours(path)
    index = build_index(data, recipe.data, progress)
    resolved = resolve(with_digest(recipe), index)
    bundle = describe(resolved.recipe, index.manifest)
    geometry, forward = bundle.geometry, Forward.from_bundle(bundle, torch.device("cpu"))
    train = index.manifest.split("train")
    num_epochs = max(1, min(MOST_EPOCHS, SHEET_SIDE // geometry.canvas_width - 1))
    fitting = SHEET_SIDE // (geometry.canvas_height * len(index.manifest.views))
    # Even, because mixup and cutmix mix pairs. Evenly spaced in the split, to show many classes.
    num_samples = min(len(train), max(2, min(MOST_SAMPLES, fitting) // 2 * 2))
    places = np.linspace(0, len(train) - 1, num_samples).round().astype(int).tolist()

    def seen(epoch: int | None) -> Pixels:
        augment = None if epoch is None else resolved.recipe.augment
        dataset = PictureDataset(index.manifest, train, geometry, augment=augment, seed=resolved.recipe.training.seed)
        batch = dataset[[(epoch or 0, place, True) for place in places]]
        return as_seen(batch if epoch is None else _mixed(batch, resolved.recipe, index.manifest, epoch), forward)

    columns = [seen(None), *map(seen, range(num_epochs))]
    names = [f"{train[place].id}  {view}" for place in places for view in index.manifest.views]
    _save(_sheet(columns, names), path)
    return path, resolved.reasons


def as_seen(batch: Batch, forward: Forward) -> Pixels:
    """The model's input with the normalisation inverted: pixels, uint8 (B, V, H, W, 3)."""
    mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (forward.mean, forward.std))
    images_BVCHW = (forward.inputs(batch) * std + mean) * 255
    pixels: Pixels = images_BVCHW.round().clamp(0, 255).byte().permute(0, 1, 3, 4, 2).numpy()
    return pixels


def require_ours(path: Path) -> None:
    """Raise OutputError when `path` is a file that no earlier preview has written."""
    try:
        with open_regular(path) as file:
            is_ours = MARK.encode() in file.read(1000)
    except FileNotFoundError:
        return
    except OSError:
        is_ours = False
    if not is_ours:
        raise OutputError(f"{str(path)!r} is not a preview of an earlier check; choose another folder with --out")


def _mixed(batch: Batch, recipe: Recipe, manifest: Manifest, epoch: int) -> Batch:
    if not recipe.mixing.is_on:
        return batch
    num_classes, seed = len(manifest.classes), recipe.training.seed
    return mix(batch, recipe.mixing, num_classes=num_classes, seed=seed, epoch=epoch)


def _sheet(columns: list[Pixels], names: list[str]) -> Image.Image:
    """The sheet: one row per sample and view with its name above, one column per entry of `columns`."""
    rows = np.stack([column.reshape(-1, *column.shape[2:]) for column in columns], axis=1)
    num_rows, num_columns, height, width, _ = rows.shape
    step_y, step_x = height + LINE + GAP, width + GAP
    sheet = Image.new("RGB", (num_columns * step_x + GAP, num_rows * step_y + LINE + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(num_columns):
        title = "evaluation" if column == 0 else f"epoch {column}"
        draw.text((GAP + column * step_x, 0), title, fill="gray")
    for row, name in enumerate(names):
        top = LINE + row * step_y
        draw.text((GAP, top), printable(name).encode("ascii", "replace").decode(), fill="black")
        for column in range(num_columns):
            sheet.paste(Image.fromarray(rows[row, column]), (GAP + column * step_x, top + LINE))
    return sheet


def _save(sheet: Image.Image, path: Path) -> None:
    """Write the sheet atomically: `path` is complete or absent. Raises OutputError when it cannot be written."""
    info = PngInfo()
    info.add_text("Software", MARK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside:
            sheet.save(aside, "PNG", pnginfo=info)
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror or error}; choose another --out") from None
