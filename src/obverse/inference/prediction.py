"""The answer to one sample, of a model of either kind: one class, or a label set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from obverse.decisions import Kind, LabelSet, require_numbers, to_answers, to_probabilities
from obverse.engines import Outputs

Labels = tuple[tuple[str, float], ...]
"""Classes with their probabilities."""


@dataclass(frozen=True)
class Prediction:
    """The answer to one sample, with its probabilities.

    The probabilities are the model's output, not calibrated: they order classes, they are not a promise of accuracy.
    """

    id: str

    labels: Labels
    """The answer: one class, or of a label set every class that reaches its threshold, the likeliest first, perhaps
    none."""

    top: Labels
    """The answer, then the other classes from the likeliest down, `top_k` of them. Of a label set all classes, the
    likeliest first. The median or mean of ordered classes need not be the likeliest class."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """The probability from which each class belongs to a label set, in class order; empty for one class."""

    by_view: Mapping[str, Labels] = field(default_factory=dict)
    """The answer when one view is seen alone, for a model of several views."""

    view_grades: Mapping[str, Labels] = field(default_factory=dict)
    """The answer of each view's own head, for a model that has them."""

    @property
    def is_set(self) -> bool:
        """Whether the answer is a label set."""
        return bool(self.thresholds)

    @property
    def label(self) -> str:
        """The class; AttributeError for a label set, which has any number of them (`labels`)."""
        return self._only()[0]

    @property
    def probability(self) -> float:
        """The probability of the class; AttributeError for a label set."""
        return self._only()[1]

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each class of `top`; of a label set all classes, in class order."""
        by_class = dict(self.top)
        return {name: by_class[name] for name in self.thresholds} if self.is_set else by_class

    @property
    def views_disagree(self) -> bool:
        """Whether the views, each for itself, give different answers."""
        own = (self.view_grades or self.by_view).values()
        return len({frozenset(name for name, _ in labels) for labels in own}) > 1

    def _only(self) -> tuple[str, float]:
        if self.is_set:
            raise AttributeError("the answer is a label set of any number of classes; use `labels`")
        return self.labels[0]

    def _repr_html_(self) -> str:
        # Here, because whoever predicts needs no renderer of reports.
        from obverse.report import Table, to_html_fragment

        chosen = {name for name, _ in self.labels}
        rows = [(name, f"{probability:.2%}", "yes" if name in chosen else "") for name, probability in self.top]
        return to_html_fragment([Table(("class", "probability", "answer"), tuple(rows))], label=self.id)


def read_predictions(
    outputs: Outputs, kind: Kind, *, classes: Sequence[str], views: Sequence[str], top_k: int
) -> Iterator[Prediction]:
    """The predictions of an engine's outputs, row by row. DataError when a row is no finite number."""
    rows_NK = to_probabilities(outputs.logits_NK, kind)
    require_numbers(rows_NK, outputs.ids)
    alone = [to_probabilities(of_view, kind) for of_view in outputs.alone_VNK]
    grades = [to_probabilities(of_view, kind) for of_view in outputs.grades_VNK]
    of_class = kind.thresholds_of(len(classes)) if isinstance(kind, LabelSet) else ()
    thresholds = dict(zip(classes, of_class, strict=False))

    def labels(probabilities_K: npt.NDArray[np.float32]) -> Labels:
        return _named(_answer(probabilities_K, kind), probabilities_K, classes)

    def of_views(row: int, rows_VNK: Sequence[npt.NDArray[np.float32]]) -> dict[str, Labels]:
        pairs = zip(views, (rows_NK[row] for rows_NK in rows_VNK), strict=False)
        return {view: labels(row_K) for view, row_K in pairs if not np.isnan(row_K).any()}

    for row, name in enumerate(outputs.ids):
        top = _named(_top(rows_NK[row], kind, top_k), rows_NK[row], classes)
        yield Prediction(name, labels(rows_NK[row]), top, thresholds, of_views(row, alone), of_views(row, grades))


def _top(probabilities_K: npt.NDArray[np.float32], kind: Kind, top_k: int) -> list[int]:
    """Class indices in the order of `Prediction.top`."""
    ranked = _ranked(probabilities_K)
    if kind.is_set:
        return ranked
    (answer,) = _answer(probabilities_K, kind)
    return [answer, *(k for k in ranked if k != answer)][:top_k]


def _answer(probabilities_K: npt.NDArray[np.float32], kind: Kind) -> list[int]:
    """Class indices of the answer, the likeliest first."""
    answer = to_answers(probabilities_K[None], kind)[0]
    return [k for k in _ranked(probabilities_K) if answer[k]] if kind.is_set else [int(answer)]


def _ranked(probabilities_K: npt.NDArray[np.float32]) -> list[int]:
    """Class indices, the likeliest first; of equals the lower."""
    places: list[int] = np.argsort(-probabilities_K, kind="stable").tolist()
    return places


def _named(places: Sequence[int], probabilities_K: npt.NDArray[np.float32], classes: Sequence[str]) -> Labels:
    return tuple((classes[k], float(probabilities_K[k])) for k in places)
