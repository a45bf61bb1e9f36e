"""Attributes of samples' pictures: size, shape, file format, camera, brightness and contrast.

A manifest does not have them, so pictures are read once more, in the sandbox and small; of many samples a part is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from obverse.evaluation import Float32Array
from obverse.imaging import PRINT_SIDE, unit_intervals
from obverse.manifest import Manifest, PictureFacts, Samples, shortcut_findings, verify_pictures
from obverse.metrics import FloatArray, IntArray

from .attributes import Attribute, by_number, by_value

# Samples whose pictures are read: enough for slices of a quarter, in seconds.
MOST_SAMPLES = 2000
# Height over width up to which a picture counts as square.
SQUARE = 1.05


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of at most MOST_SAMPLES of the samples, chosen by their ids."""

    num_samples: int
    """Number of samples among which they were chosen."""

    rows_M: IntArray
    """Row numbers of the chosen samples."""

    chosen: Samples
    facts: PictureFacts

    @classmethod
    def of(cls, samples: Samples, manifest: Manifest) -> Pictures:
        """The pictures, which are read here."""
        rows_M = _selected(samples)
        chosen = samples.take(rows_M.tolist())
        facts = verify_pictures(manifest.store, list(chosen.paths()), details=True, use=(64, 64))
        return cls(len(samples), rows_M, chosen, facts)

    def attributes(self) -> Iterator[Attribute]:
        """Attributes of the pictures; unknown for samples that were not chosen."""
        for attribute in _of_pictures(self.facts, _places(self.chosen, self.facts)):
            slice_N = np.full(self.num_samples, -1, np.int64)
            slice_N[self.rows_M] = attribute.slice_N
            yield Attribute(attribute.name, slice_N, attribute.words)

    def shortcuts(self) -> list[str]:
        """What gives the class away although the object cannot explain it, in words."""
        findings = shortcut_findings(self.chosen, self.facts) if len(self.chosen) else []
        return [finding.message for finding in findings if finding.severity == "warning"]


def _selected(samples: Samples) -> IntArray:
    """Row numbers of the samples whose pictures are read."""
    keys_N = np.fromiter(unit_intervals(samples.ids, "slices"), np.float64, len(samples))
    return np.sort(np.argsort(keys_N, kind="stable")[:MOST_SAMPLES]).astype(np.int64)


def _places(samples: Samples, facts: PictureFacts) -> IntArray:
    """Row in the facts of each view of each sample (V, M); -1 for a view that is missing or cannot be read."""
    rows = [[-1 if cell is None else facts.place_of[cell] for cell in cells] for cells in samples.views.values()]
    places_VM = np.array(rows, np.int64)
    return np.where((places_VM >= 0) & facts.usable_N[places_VM], places_VM, -1)


def _of_pictures(facts: PictureFacts, places_VM: IntArray) -> Iterator[Attribute]:
    # Of several views the smallest side counts, because it limits what can be seen, and the mean of their light.
    sides_VM = _of_views(facts.sizes_N2.min(axis=1), places_VM)
    yield by_number(
        "size of the picture",
        np.where(np.isnan(sides_VM).all(axis=0), np.nan, np.fmin.reduce(sides_VM, axis=0)),
        lambda value: f"photographed at {value} pixels (shorter side)",
    )
    first_M = _first(places_VM)
    yield by_value("shape of the picture", [_shape(facts, place) for place in first_M.tolist()], str)
    formats = [None if place < 0 else facts.formats_N[place].decode() for place in first_M.tolist()]
    yield by_value("file format", formats, lambda value: f"stored as {value}")
    cameras = [None if place < 0 else facts.cameras.get(facts.paths[place]) for place in first_M.tolist()]
    yield by_value("camera", cameras, lambda value: f"taken with {value}")
    luminance_NP: Float32Array = facts.prints_NP[:, : PRINT_SIDE**2].astype(np.float32)
    light = {"brightness": luminance_NP.mean(axis=1), "contrast": luminance_NP.std(axis=1)}
    for name, values_N in light.items():
        yield by_number(name, _mean(_of_views(values_N, places_VM)), f"with {name} {{}} (of 255)".format)


def _of_views(values_N: Float32Array | IntArray, places_VM: IntArray) -> FloatArray:
    """A value for each view (V, M); NaN where the view is missing."""
    return np.where(places_VM >= 0, values_N[places_VM].astype(np.float64), np.nan)


def _mean(values_VM: FloatArray) -> FloatArray:
    """The mean over the views that there are (M); NaN where there is none."""
    count_M = np.isfinite(values_VM).sum(axis=0)
    mean_M: FloatArray = np.where(count_M > 0, np.nansum(values_VM, axis=0) / np.maximum(1, count_M), np.nan)
    return mean_M


def _first(places_VM: IntArray) -> IntArray:
    """The row in the facts of each sample's first view (M); -1 without any."""
    first_M: IntArray = np.take_along_axis(places_VM, (places_VM >= 0).argmax(axis=0)[None], axis=0)[0]
    return first_M


def _shape(facts: PictureFacts, place: int) -> str | None:
    if place < 0:
        return None
    height, width = facts.sizes_N2[place].tolist()
    if max(height, width) <= SQUARE * min(height, width):
        return "with square pictures"
    return "with upright pictures" if height > width else "with wide pictures"
