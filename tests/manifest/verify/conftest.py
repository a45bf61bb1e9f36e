"""A clean set of small, smooth, colourful pictures, into which tests plant one fault each."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import Sandbox
from obverse.manifest import Finding
from obverse.manifest.check.check import check_data
from obverse.recipe import DataSpec

Draw = Callable[..., Image.Image]


def draw_picture(seed: int, size: tuple[int, int] = (40, 50)) -> Image.Image:
    """Coloured blobs; size is (height, width)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def write_set(root: Path, *, classes=("ant", "bee"), per_class: int = 12, views: tuple[str, ...] = ()) -> Path:
    for k, name in enumerate(classes):
        for number in range(per_class):
            for v, view in enumerate(views or ("",)):
                path = root / name / view / f"{number:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode(draw_picture((k * 100 + number) * 4 + v)))
    return root


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data")


@pytest.fixture(scope="session")
def make_set() -> Callable[..., Path]:
    return write_set


@pytest.fixture(scope="session")
def draw() -> Draw:
    return draw_picture


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    return encode


@pytest.fixture(scope="session")
def findings(sandbox: Sandbox) -> Callable[..., dict[str, list[Finding]]]:
    """Findings of a check by code."""

    def check(root: Path, **settings: object) -> dict[str, list[Finding]]:
        by_code: dict[str, list[Finding]] = {}
        for finding in check_data(root, DataSpec.model_validate(settings), sandbox=sandbox).findings:
            by_code.setdefault(finding.code, []).append(finding)
        return by_code

    return check
