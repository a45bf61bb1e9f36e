"""The score of samples that are unlike the training pictures: fitted after a training, with the model that ships."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from obverse.bundle import Bundle
from obverse.data import Loader, PictureDataset
from obverse.decisions import to_probabilities
from obverse.engines import Engine, Outputs, run_engine
from obverse.imaging import unit_interval
from obverse.manifest import Manifest, Samples
from obverse.recipe import Recipe
from obverse.runtime import ALONE, Process
from obverse.trust import fit_detector, scaled_on_val

# Training samples from which the Gaussians are fitted. More take time, and change little.
MOST_SAMPLES = 2_000
PER_CLASS = 10


def with_detector(
    bundle: Bundle, engine: Engine, manifest: Manifest, *, recipe: Recipe, process: Process = ALONE
) -> Bundle:
    """The bundle with Gaussians of the training embeddings, without augmentation. A collective call of all ranks."""
    samples = _some(manifest.split("train"), len(bundle.classes), seed=recipe.training.seed)
    dataset = PictureDataset(manifest, samples, bundle.geometry)
    loader = Loader(dataset, recipe.evaluation.batch_size, process=process)
    outputs = run_engine(engine, loader.epoch(), process=process)
    detector = process.from_main(lambda: fit_detector(outputs.embeddings_ND, outputs.truth))
    return replace(bundle, detector=detector)


def with_outlier_limit(
    bundle: Bundle, logits_NK: npt.NDArray[np.float32], val: Outputs, process: Process = ALONE
) -> Bundle:
    """The bundle with the scale and limit of the score, fitted on val. A collective call of all ranks.

    logits_NK: class logits of val, as the bundle gives them. val: the same samples with their embeddings.
    """

    def fitted() -> Bundle:
        spec = None
        if bundle.detector is not None:
            spec = scaled_on_val(bundle.detector, to_probabilities(logits_NK, bundle.kind), val.embeddings_ND)
        output = bundle.output.changed({"outliers": spec})
        return replace(bundle, output=output, detector=bundle.detector if spec else None)

    return process.from_main(fitted)


def _some(samples: Samples, num_classes: int, *, seed: int) -> Samples:
    """Some samples at random, as many of a rare class as of a frequent one, in the order of the manifest."""
    limit = max(MOST_SAMPLES, PER_CLASS * num_classes)
    if len(samples) <= limit:
        return samples
    order = sorted(range(len(samples)), key=lambda place: unit_interval("outliers", seed, samples.ids[place]))
    counts: Counter[str] = Counter()
    ranks = {}
    for place in order:
        ranks[place] = counts[samples.labels[place]]
        counts[samples.labels[place]] += 1
    # A stable sort: within one rank the order stays random.
    return samples.take(sorted(sorted(order, key=ranks.__getitem__)[:limit]))
