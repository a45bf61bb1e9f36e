"""Calibration by probmetrics (Apache-2.0) of given logits, in an environment of its own.

    PYTHON calibrators.py GIVEN.npz ANSWERS.npz
GIVEN: logits (N, K), labels (N), halves (R, N). ANSWERS: name of a method -> probabilities (R, N, K).
"""

import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
from probmetrics.calibrators import get_calibrator  # noqa: E402

# Structured vector and matrix scaling are its best on vision models, by its authors' own benchmark.
METHODS = {"probmetrics svs": "svs", "probmetrics sms": "sms"}


def main() -> None:
    with np.load(sys.argv[1]) as given:
        logits_NK, labels_N, halves_RN = (given[name] for name in ("logits", "labels", "halves"))
    exact_NK = logits_NK.astype(np.float64)
    probabilities_NK = np.exp(exact_NK - exact_NK.max(1, keepdims=True))
    probabilities_NK /= probabilities_NK.sum(1, keepdims=True)
    # The calibrators take probabilities and their logarithm.
    probabilities_NK = np.maximum(probabilities_NK, 1e-30)
    answers = {}
    for title, method in METHODS.items():
        rows = []
        for half_N in halves_RN:
            calibrator = get_calibrator(method, **({"svs_print_init_info": False} if method == "svs" else {}))
            calibrator.fit(probabilities_NK[half_N], labels_N[half_N])
            rows.append(calibrator.predict_proba(probabilities_NK).astype(np.float32))
        answers[title] = np.stack(rows)
    np.savez(sys.argv[2], **answers)


if __name__ == "__main__":
    main()
