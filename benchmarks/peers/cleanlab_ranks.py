"""cleanlab's ranking of labels, from the same out-of-fold probabilities; run by its own Python, with cleanlab 2.9.

python cleanlab_ranks.py IN.npz OUT.json     IN: given (N), probabilities (N, K)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

METHODS = ("self_confidence", "normalized_margin")


def main() -> None:
    arrays = np.load(sys.argv[1])
    given, probabilities = arrays["given"], arrays["probabilities"]
    scores = {
        method: get_label_quality_scores(given, probabilities, method=method, adjust_pred_probs=False).tolist()
        for method in METHODS
    }
    flagged = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    Path(sys.argv[2]).write_text(json.dumps({"scores": scores, "flagged": len(flagged)}))


if __name__ == "__main__":
    main()
