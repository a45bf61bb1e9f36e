"""Rules on answers as a module of torch: prediction sets, verdicts and outlier scores, where they were fitted."""

from __future__ import annotations

import torch
from torch import nn

from obverse.recipe import OutputSpec

from .acceptance import verdicts
from .conformal import prediction_sets
from .outliers import Distance, OutlierDetector, entropy, joint_score

SET, DECISION, OUTLIER_SCORE = "set", "decision", "outlier_score"
Values = dict[str, torch.Tensor]
# Error of a probability in single precision. It matters near 1, where the entropy has no bounded slope.
ROUNDING = 2.0**-22


class Rules(nn.Module):
    """Rules of an output spec, in one floating type.

    They give by name, where they were fitted: which classes are in the `set`, bool (N, K); the `decision`, int64 (N),
    as the place of a verdict in `VERDICTS`; and the `outlier_score` (N).
    """

    def __init__(self, output: OutputSpec, detector: OutlierDetector | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.output = output
        self.distance = Distance(detector, dtype) if output.outliers is not None and detector is not None else None

    def forward(
        self,
        probabilities_NK: torch.Tensor,
        answers: torch.Tensor,
        confidence_N: torch.Tensor,
        embeddings_ND: torch.Tensor,
    ) -> Values:
        """The values by name. answers: class indices (N) or label sets (N, K)."""
        scores_N = self._scores(probabilities_NK, embeddings_ND)
        return self._values(probabilities_NK, answers, confidence_N, scores_N)

    def bounds(
        self,
        probabilities_NK: torch.Tensor,
        answers: torch.Tensor,
        confidence_N: torch.Tensor,
        embeddings_ND: torch.Tensor,
        *,
        slack: float,
        score_slack: float,
    ) -> tuple[Values, Values]:
        """The lowest and the highest values that may be given for inputs that are slightly wrong.

        Every value grows: sets with their limits, the decision as the confidence falls and as the outlier score rises.
        slack: error of confidences and of scores of classes. score_slack: error of an outlier score relative to 1 + its
        size.
        """

        def moved(sign: int) -> Values:
            moved_NK = torch.where(probabilities_NK > 0.5, probabilities_NK - sign * ROUNDING, probabilities_NK)
            scores_N = self._scores(moved_NK, embeddings_ND)
            if scores_N is not None:
                scores_N = scores_N + sign * score_slack * (1 + scores_N.abs())
            return self._values(probabilities_NK, answers, confidence_N - sign * slack, scores_N, slack=sign * slack)

        return moved(-1), moved(1)

    def _scores(self, probabilities_NK: torch.Tensor, embeddings_ND: torch.Tensor) -> torch.Tensor | None:
        if self.output.outliers is None or self.distance is None:
            return None
        squares_N: torch.Tensor = self.distance(embeddings_ND)
        return joint_score(self.output.outliers, entropy(probabilities_NK), squares_N)

    def _values(
        self,
        probabilities_NK: torch.Tensor,
        answers: torch.Tensor,
        confidence_N: torch.Tensor,
        scores_N: torch.Tensor | None,
        *,
        slack: float = 0.0,
    ) -> Values:
        values = {}
        if self.output.sets is not None:
            values[SET] = prediction_sets(probabilities_NK, answers, self.output.sets, slack=slack)
        if self.output.acceptance is not None:
            values[DECISION] = verdicts(confidence_N, self.output, outlier_scores_N=scores_N)
        if scores_N is not None:
            values[OUTLIER_SCORE] = scores_N
        return values
