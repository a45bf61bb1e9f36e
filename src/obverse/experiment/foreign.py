"""How well a run's outlier score finds pictures that do not belong."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from obverse.bundle import Bundle
from obverse.decisions import outlier_scores, to_probabilities
from obverse.engines import run_engine
from obverse.errors import DataError
from obverse.evaluation import Predictions
from obverse.imaging import PictureError, joint_digest
from obverse.inference import Failure, load
from obverse.manifest import splits_by_digest
from obverse.runs import RunFolder, explained
from obverse.staging import staged
from obverse.trust import measure_foreign, write_foreign

from .evaluate import name_of, require_ours, run_manifest
from .identity import run_recipe

BATCH_SIZE = 32


def evaluate_foreign(
    path: Path, foreign: Path, *, split: str = "test", out: Path | None = None, device: str = "auto"
) -> tuple[Path, dict[str, Any]]:
    """Folder and measurements of how well a run's outlier score finds the pictures of `foreign`, which do not belong.

    foreign: a folder, archive or table of pictures of any kind; labels are not read. Pictures that are the run's own,
    and those that cannot be read, are left out and counted. For a model of several views, each picture stands for every
    view. split: the run's own evaluated split to compare with.
    Raises DataError for a run without an outlier score or without the predictions of the split, and where no picture is
    left.
    """
    if out is not None:
        require_ours(out)
    run = RunFolder(path)
    own = Predictions.read(run.evaluation(split))
    predictor = load(path, device=device)
    bundle, folder = predictor.bundle, out or run.evaluation(name_of("foreign", foreign))
    if bundle.output.outliers is None or bundle.detector is None:
        raise DataError(f"{str(path)!r} has no score of outliers: it was made by an older version, or its val is too "
                        "small; train it again")  # fmt: skip
    with explained(folder, "try --device cpu"):
        requests = predictor.find_in_every_view(foreign)
        known = _own_pictures(run, bundle)
        items = [item for item in requests if isinstance(item, Failure) or predictor.digest(item) not in (known or ())]
        if not items:
            raise DataError(f"all {len(requests):,} pictures of {str(foreign)!r} are the run's own; give pictures "
                            "that do not belong")  # fmt: skip
        failures: list[Failure] = []
        batches = predictor.readable_batches(items, BATCH_SIZE, failures)
        first = next(batches, None)
        if first is None:
            which = "other pictures" if len(items) < len(requests) else "pictures"
            raise DataError(f"none of the {len(items):,} {which} of {str(foreign)!r} can be read; the first: "
                            f"{failures[0].error}")  # fmt: skip
        outputs = run_engine(predictor.engine, chain([first], batches))
        probabilities_NK = to_probabilities(outputs.logits_NK, bundle.kind)
        scores_N = outlier_scores(bundle.output.outliers, bundle.detector, probabilities_NK, outputs.embeddings_ND)
        values = measure_foreign(own, probabilities_NK, scores_N, data=foreign.name) | {
            "num_own_left_out": None if known is None else len(requests) - len(items),
            "num_unreadable": len(failures),
            "unreadable": [failure.id for failure in failures[:3]],
        }
        with staged(folder) as stage:
            write_foreign(stage, values)
    return folder, values


def _own_pictures(run: RunFolder, bundle: Bundle) -> frozenset[str] | None:
    """Digests of the run's own pictures, each as that of a sample; None where they are no longer known."""
    if not run.manifest.is_file():
        return None
    if len(bundle.views) == 1 or bundle.parts:
        return frozenset(splits_by_digest(run.manifest))
    # The manifest has one digest for all views of a sample, and a foreign picture may be one of them.
    try:
        manifest = run_manifest(run, run_recipe(run), bundle)
    except DataError:
        return None
    digests = set()
    for path in manifest.samples.paths():
        with suppress(PictureError):
            digests.add(joint_digest([manifest.store.read(path).digest()]))
    return frozenset(digests)
