"""Attributes of samples as facets, by which readers of a report filter."""

from __future__ import annotations

import numpy as np

from obverse.evaluation import Predictions
from obverse.manifest import Manifest
from obverse.metrics import IntArray
from obverse.report import Facet

from .attributes import Attribute, manifest_attributes

MOST_FACETS = 8
OTHER = "other or not known"


def slice_facets(predictions: Predictions, manifest: Manifest) -> tuple[Facet, ...]:
    """What the manifest knows of the samples, such as extra columns and folders, in the order of the predictions.

    Attributes that only restate the class, as class folders do, are left out.
    """
    place = {name: row for row, name in enumerate(manifest.samples.ids)}
    samples = manifest.samples.take([place[name] for name in predictions.ids])
    facets: dict[str, Facet] = {}
    for attribute in manifest_attributes(samples, manifest):
        facet = _facet(attribute)
        if len(np.unique(facet.codes_N)) > 1 and not _restates_class(facet.codes_N, predictions):
            facets.setdefault(facet.name, facet)
    return tuple(facets.values())[:MOST_FACETS]


def _facet(attribute: Attribute) -> Facet:
    num = len(attribute.words)
    is_other_N = (attribute.slice_N < 0) | (attribute.slice_N >= num)
    names = (*attribute.words, OTHER) if is_other_N.any() else attribute.words
    return Facet(attribute.name, names, np.where(is_other_N, num, attribute.slice_N))


def _restates_class(codes_N: IntArray, predictions: Predictions) -> bool:
    """Whether each class has one code, so that a filter by class does the same."""
    if predictions.kind.is_set:
        return False
    pairs_N2 = np.stack([predictions.truth, codes_N], axis=1)
    return len(np.unique(pairs_N2, axis=0)) == len(np.unique(predictions.truth))
