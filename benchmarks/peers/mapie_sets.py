"""Prediction sets of MAPIE 1.6 for probabilities that are given, in an environment of its own.

    python benchmarks/peers/mapie_sets.py FILE.npz LEVEL RULE...

The file has `fit_DNK`, `fit_truth_DN`, `new_DMK` and `new_truth_DM` for D draws. Prints coverage and size per rule and
draw as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose input is its probabilities."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(X.shape[1])
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(1)


def main() -> None:
    file, level, *rules = sys.argv[1:]
    arrays, found = np.load(file), {rule: [] for rule in rules}
    for rows_NK, truth_N, new_MK, new_M in zip(
        *(arrays[name] for name in ("fit_DNK", "fit_truth_DN", "new_DMK", "new_truth_DM")), strict=True
    ):
        for rule in rules:
            given = Given().fit(rows_NK)
            model = SplitConformalClassifier(
                given, confidence_level=float(level), conformity_score=rule, prefit=True, random_state=0
            )
            try:
                model.conformalize(rows_NK, truth_N)
            except ValueError:  # its RAPS divides val by class, which needs two samples of each
                continue
            sets_MK = model.predict_set(new_MK)[1][:, :, 0]
            found[rule].append([float(sets_MK[np.arange(len(new_M)), new_M].mean()), float(sets_MK.sum(1).mean())])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
