"""Facets of a report: what the manifest knows of the samples, without what restates the class."""

from pathlib import Path

import numpy as np

from obverse.evaluation import Predictions
from obverse.manifest import Manifest, Sample, Samples
from obverse.trust.slices import slice_facets


def manifest_of(samples):
    return Manifest(root=Path(), samples=Samples.of(samples), classes=("a", "b"), views=("image",))


def test_columns_and_folders_are_facets_in_the_order_of_the_predictions():
    samples = [
        Sample(f"{n}", "ab"[n % 2], {"image": f"{'ab'[n % 2]}/{n}.jpg"}, extra={"seller": ("x", "y", "")[n % 3]})
        for n in range(12)
    ]
    order = [5, 0, 7, 2, 9, 4]
    predictions = Predictions(
        split="test",
        classes=("a", "b"),
        ids=tuple(f"{n}" for n in order),
        truth=np.array(order) % 2,
        probabilities_NK=np.full((6, 2), 0.5, np.float32),
    )
    (facet,) = slice_facets(predictions, manifest_of(samples))  # the folder is the class
    assert facet.name == "seller"
    values = [facet.values[code] for code in facet.codes_N]
    expected = {"x": "with seller x", "y": "with seller y", "": "without seller"}
    assert values == [expected[("x", "y", "")[n % 3]] for n in order]
