"""The 12-megapixel photographs: cached, turned upright, and predicted, far larger than what the network looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from obverse.data import Geometry, PictureDataset
from obverse.experiment import start_run
from obverse.experiment.auto.caching import open_cache
from obverse.inference import load
from obverse.manifest import build_index
from obverse.recipe import CacheSpec, DataSpec
from obverse.runs import RunFolder

Unpack = Callable[[str], Path]
ORIENTATION = 0x0112


@pytest.fixture
def photographs(unpacked: Unpack) -> Path:
    return unpacked("euro_coins_large")


def test_cached_pixels_are_the_decoded_ones(photographs: Path, tmp_path: Path) -> None:
    manifest = build_index(photographs, DataSpec()).manifest
    geometry = Geometry(224, 224, 224, 224)
    places = [(0, index, True) for index in range(len(manifest.samples))]
    plain = PictureDataset(manifest, manifest.samples, geometry)[places]
    spec = CacheSpec(kind="raw", disk_gigabytes=1, folder=str(tmp_path / "cache"))
    for _ in range(2):  # made, then found
        cache, _ = open_cache(spec, manifest, manifest.samples, geometry, is_training=True)
        cached = PictureDataset(manifest, manifest.samples, geometry, cache=cache)[places]
        np.testing.assert_array_equal(cached.images_BVCHW, plain.images_BVCHW)
    # 151 KB of pixels each, whatever the originals take.
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 2_000_000


def test_they_are_predicted_as_they_would_be_seen(
    photographs: Path, draw_classes: Any, make_recipe: Any, tmp_path: Path
) -> None:
    """A photograph that a flag turns, and the same one turned in its pixels, are one picture to the model."""
    start_run(draw_classes(tmp_path / "data", per_class=10), make_recipe(), RunFolder(tmp_path / "run"))
    model = load(tmp_path / "run", device="cpu")
    found = {prediction.id: dict(prediction.top) for prediction in model.predict(photographs, top_k=9)}
    assert len(found) == 8
    num_turned = 0
    for number, path in enumerate(path for path in sorted(photographs.rglob("*")) if path.suffix.lower() == ".jpg"):
        upright = tmp_path / f"{number}.png"
        with Image.open(path) as image:
            num_turned += image.getexif().get(ORIENTATION, 1) > 1
            ImageOps.exif_transpose(image).save(upright, compress_level=0)
        (again,) = model.predict([upright], top_k=9)
        (expected,) = [top for name, top in found.items() if Path(name).name == path.name]
        assert dict(again.top) == pytest.approx(expected, abs=0.02)
    assert num_turned == 7
