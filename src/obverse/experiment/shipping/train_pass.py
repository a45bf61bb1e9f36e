"""One pass of the model that ships over some training samples, without augmentation: for its outlier score and for its
accuracy on train.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from obverse.bundle import Bundle
from obverse.data import Loader, PictureDataset
from obverse.engines import Engine, Outputs, run_engine
from obverse.experiment.setup import Setup
from obverse.experiment.story import TrainAccuracy, train_accuracy
from obverse.imaging import unit_interval, unit_intervals
from obverse.manifest import Manifest, Samples
from obverse.metrics import IntArray
from obverse.recipe import Recipe
from obverse.runtime import ALONE, Process

from .fitting import shipped_logits
from .outliers import with_detector

# Training samples from which the outlier score is fitted. More take time, and change little.
MOST_TYPICAL, TYPICAL_PER_CLASS = 2_000, 10
MOST_RANDOM, LEAST_RANDOM = 2_000, 500


def seen_on_train(bundle: Bundle, setup: Setup, engine: Engine) -> tuple[Bundle, TrainAccuracy]:
    """The bundle with Gaussians of its training embeddings, and its accuracy on train.

    engine: the model with the output spec of `setup.bundle`.
    """
    manifest, seed = setup.manifest, setup.recipe.training.seed
    train = manifest.split("train")
    typical = typical_places(train, len(bundle.classes), seed=seed)
    random = random_places(train, len(manifest.split("val")), seed=seed)
    places, process = np.union1d(typical, random), setup.process
    outputs = outputs_on_train(engine, bundle, manifest, places, recipe=setup.recipe, process=process)
    if not process.is_main:
        return with_detector(bundle, outputs, process), TrainAccuracy(math.nan, 0)
    fitted = with_detector(bundle, outputs.rows(np.searchsorted(places, typical).tolist()), process)
    seen = outputs.rows(np.searchsorted(places, random).tolist())
    del outputs  # as large as both parts
    logits_NK = shipped_logits(seen, setup.bundle.output, bundle.output)
    return fitted, train_accuracy(logits_NK, seen.truth, bundle.kind)


def outputs_on_train(
    engine: Engine, bundle: Bundle, manifest: Manifest, places: IntArray, *, recipe: Recipe, process: Process = ALONE
) -> Outputs:
    """Outputs, with embeddings, of the training samples at `places`, on the main process; no rows on other ranks.

    A collective call of all ranks. bundle: that of the engine.
    """
    dataset = PictureDataset(manifest, manifest.split("train").take(places.tolist()), bundle.geometry)
    loader = Loader(dataset, recipe.evaluation.batch_size, process=process)
    return run_engine(engine, loader.epoch(), process=process)


def typical_places(samples: Samples, num_classes: int, *, seed: int) -> IntArray:
    """Places of some samples at random, as many of a rare class as of a frequent one, in the order of the manifest."""
    limit = max(MOST_TYPICAL, TYPICAL_PER_CLASS * num_classes)
    if len(samples) <= limit:
        return np.arange(len(samples))
    order = sorted(range(len(samples)), key=lambda place: unit_interval("outliers", seed, samples.ids[place]))
    counts: Counter[str] = Counter()
    ranks = {}
    for place in order:
        ranks[place] = counts[samples.labels[place]]
        counts[samples.labels[place]] += 1
    # A stable sort: within one rank the order stays random.
    return np.sort(np.array(sorted(order, key=ranks.__getitem__)[:limit], np.int64))


def random_places(samples: Samples, num_val: int, *, seed: int) -> IntArray:
    """Places of some samples at random, as many as val has, but at least 500 and at most 2,000, in the order of the
    manifest. They depend only on the seed and the ids.
    """
    limit = min(MOST_RANDOM, max(LEAST_RANDOM, num_val))
    keys_N = np.fromiter(unit_intervals(samples.ids, "train accuracy", seed), np.float64, len(samples))
    return np.sort(keys_N.argsort(kind="stable")[:limit]).astype(np.int64)
