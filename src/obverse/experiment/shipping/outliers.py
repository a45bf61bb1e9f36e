"""The score of samples that are unlike the training pictures, fitted with the model that ships."""

from __future__ import annotations

from dataclasses import replace

from obverse.bundle import Bundle
from obverse.decisions import to_probabilities
from obverse.engines import Outputs
from obverse.runtime import ALONE, Process
from obverse.trust import fit_detector, scaled_on_val


def with_detector(bundle: Bundle, train: Outputs, process: Process = ALONE) -> Bundle:
    """The bundle with Gaussians of the training embeddings. A collective call of all ranks.

    train: of training samples without augmentation, as many of a rare class as of a frequent one.
    """
    return replace(bundle, detector=process.from_main(lambda: fit_detector(train.embeddings_ND, train.truth)))


def with_outlier_limit(bundle: Bundle, val: Outputs, process: Process = ALONE) -> Bundle:
    """The bundle with the scale and limit of the score, fitted on val. A collective call of all ranks.

    val: class logits as the bundle gives them, and embeddings.
    """

    def fitted() -> Bundle:
        spec = None
        if bundle.detector is not None:
            spec = scaled_on_val(bundle.detector, to_probabilities(val.logits_NK, bundle.kind), val.embeddings_ND)
        output = bundle.output.changed({"outliers": spec})
        return replace(bundle, output=output, detector=bundle.detector if spec else None)

    return process.from_main(fitted)
