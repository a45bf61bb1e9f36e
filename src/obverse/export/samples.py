"""Samples for checks of exported files: of the run's own data where its pictures are at hand, else generated ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle
from obverse.data import column_codes
from obverse.errors import DataError
from obverse.manifest import PictureStore, Sample, read_run_folder, remote_url

from .graph import COLUMNS, PRESENT, Names

NUM_SAMPLES = 200
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Samples:
    """Inputs of a graph, one sample each."""

    rows: tuple[Arrays, ...]

    num_real: int
    """How many of the first ones are of the run's own data; the rest is generated."""

    @property
    def words(self) -> str:
        """Number and origin of the samples in words."""
        num, real = len(self.rows), self.num_real
        if not real:
            return f"{num} generated samples"
        origin = f"{real} samples of val and test"
        return origin if real == num else f"{origin} and {num - real} generated ones"


def draw_samples(bundle: Bundle, names: Names, run: Path | None) -> Samples:
    """`NUM_SAMPLES` samples, the same in every call. run: the run folder whose val and test samples come first."""
    real = list(_real(bundle, names, run)) if run is not None else []
    generated = (_generated(names, bundle, number) for number in range(len(real), NUM_SAMPLES))
    return Samples((*real, *generated), len(real))


def _real(bundle: Bundle, names: Names, run: Path) -> Iterator[Arrays]:
    """Samples of val and test, spread over both, as prediction would decode them. None where the data is gone."""
    try:
        listing = read_run_folder(run)
    except DataError:
        return
    if remote_url(listing.root) or tuple(listing.views) != bundle.views:
        return
    samples = [sample for sample in listing.samples if sample.split in ("val", "test")]
    for place in np.random.default_rng(2026).permutation(len(samples))[:NUM_SAMPLES]:
        try:
            yield decoded(samples[int(place)], bundle, names, PictureStore(listing.root))
        except DataError:  # a picture that is gone by now
            continue


def decoded(sample: Sample, bundle: Bundle, names: Names, store: PictureStore) -> Arrays:
    """The inputs of a sample; a missing view is one black pixel. PictureError when a picture cannot be read."""
    min_height, min_width = bundle.geometry.least_decode
    arrays: Arrays = {}
    for view, name in zip(bundle.views, names.views, strict=True):
        pixels = np.zeros((1, 1, 3), np.uint8)
        if view in sample.views:
            pixels = store.decode(sample.views[view], min_height=min_height, min_width=min_width)
        arrays[name] = np.ascontiguousarray(pixels)[None]
    if PRESENT in names.more_inputs:
        arrays[PRESENT] = np.array([[view in sample.views for view in bundle.views]])
    codes_1E = column_codes(bundle.columns, [(sample.id, sample.extra)])
    return arrays if codes_1E is None else {**arrays, COLUMNS: codes_1E.numpy()}


def _generated(names: Names, bundle: Bundle, number: int) -> Arrays:
    """A sample of smooth pictures with edges, of odd sizes, the same for each number; some views are missing."""
    rng = np.random.default_rng([2026, number])
    arrays: Arrays = {}
    for view in names.views:
        height, width = (int(side) for side in rng.integers(17, 700, 2))
        coarse = rng.integers(0, 256, (1, 3, *rng.integers(2, 24, 2)))
        mode = "nearest" if number % 3 == 0 else "bicubic"
        large = torch.nn.functional.interpolate(torch.from_numpy(coarse).float(), (height, width), mode=mode)
        noisy = large[0].permute(1, 2, 0).numpy() + rng.normal(0, 8, (height, width, 3))
        arrays[view] = noisy.clip(0, 255).astype(np.uint8)[None]
    if PRESENT in names.more_inputs:
        present = rng.random((1, len(names.views))) < 0.7
        present[0, int(rng.integers(len(names.views)))] = True
        arrays[PRESENT] = present
    if COLUMNS in names.more_inputs:
        codes = [rng.integers(0, column.size + 1) if column.size else rng.normal() for column in bundle.columns]
        arrays[COLUMNS] = np.array([codes], np.float32)
    return arrays
