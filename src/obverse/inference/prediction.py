"""Prediction for one sample: one class or a label set, with probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from obverse.decisions import (
    Kind,
    LabelSet,
    OutlierDetector,
    Verdict,
    confidence_of,
    decide,
    outlier_scores,
    require_numbers,
    sets_of,
    to_answers,
    to_probabilities,
)
from obverse.engines import Outputs
from obverse.recipe import OutputSpec

if TYPE_CHECKING:  # explanation brings evaluation and reports, which prediction itself does not need
    from obverse.explain import LabelledEmbeddings, Similar

# Names of a set in words; of more, the number of the rest is given.
MOST_NAMES = 8
Labels = tuple[tuple[str, float], ...]
"""Classes with their probabilities."""
NO_RULE = OutputSpec()


@dataclass(frozen=True)
class Prediction:
    """The predicted class or label set of one sample, with probabilities.

    Where the bundle has a calibration (`bundle.output.calibration`), a probability states how often such answers are
    right. Without one it only ranks classes.
    """

    id: str
    """Name of the sample."""

    labels: Labels
    """The predicted class; of a multi-label model all classes that reach their thresholds, most probable first."""

    top: Labels
    """The predicted class, then the most probable others, `top_k` in all; of a multi-label model all classes by
    probability. With ordered classes the predicted class, a median or mean, need not be the most probable one."""

    thresholds: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Class -> probability from which it belongs to the label set, in class order; empty for one class."""

    by_view: Mapping[str, Labels] = field(default_factory=dict, hash=False)
    """View -> `labels` predicted from that view alone, for a model of several views."""

    view_grades: Mapping[str, Labels] = field(default_factory=dict, hash=False)
    """View -> `labels` predicted by that view's own head, for a model with such heads."""

    likeliest: str = ""
    """The most probable class. With ordered classes the predicted class may be another one."""

    set: tuple[str, ...] = ()
    """Classes that hold the true one as often as `set_level` says, in class order; for ordered classes a range from the
    first to the last. All classes where val was too small for that. Empty for a model without a rule of sets."""

    set_level: float | None = None
    """Promised share of samples whose `set` holds the true class; of a multi-label model, of the true classes that it
    holds. None for a model without a rule of sets."""

    set_words: str = ""
    """`set` in words: `MS63 to MS65`, `cat or dog`, `any`. Empty for a model without a rule of sets."""
    confidence: float | None = None
    """The probability that the prediction is right: of the predicted class. For a label set a score that only ranks:
    the product of the probabilities of all classes' decisions, as if they were independent."""

    decision: Verdict | None = None
    """`accept`, `review` (leave it to a person) or `reject` (unlike the training pictures); None for bundles of earlier
    versions, which have no rule for it."""

    reason: str = ""
    """Why that decision, in words."""

    similar: tuple[Similar, ...] = ()
    """The most similar training samples with their labels, the most similar first, where the predictor looks for them.
    `cosine` is the cosine similarity of both embeddings, 1 for the same picture."""

    embedding: tuple[float, ...] = field(default=(), repr=False)
    """Fused features of all views, the input of the head; empty unless asked for."""

    @property
    def is_set(self) -> bool:
        """Whether the prediction is a label set."""
        return bool(self.thresholds)

    @property
    def label(self) -> str:
        """The predicted class; AttributeError for a label set, which has any number of classes (`labels`)."""
        return self._only()[0]

    @property
    def probability(self) -> float:
        """The probability of the predicted class; AttributeError for a label set."""
        return self._only()[1]

    @property
    def probabilities(self) -> dict[str, float]:
        """Class -> probability, for the classes of `top`; for a label set all classes, in class order."""
        by_class = dict(self.top)
        return {name: by_class[name] for name in self.thresholds} if self.is_set else by_class

    @property
    def views_disagree(self) -> bool:
        """Whether single views give different predictions, by `view_grades` if the model has them, else `by_view`."""
        own = (self.view_grades or self.by_view).values()
        return len({frozenset(name for name, _ in labels) for labels in own}) > 1

    def _only(self) -> tuple[str, float]:
        if self.is_set:
            raise AttributeError("the answer is a label set of any number of classes; use `labels`")
        return self.labels[0]

    def _repr_html_(self) -> str:
        # Imported here, because prediction itself needs no reports.
        from obverse.report import Table, to_html_fragment

        chosen = {name for name, _ in self.labels}
        rows = [(name, f"{probability:.2%}", "yes" if name in chosen else "") for name, probability in self.top]
        return to_html_fragment([Table(("class", "probability", "answer"), tuple(rows))], label=self.id)


def read_predictions(
    outputs: Outputs,
    kind: Kind,
    *,
    classes: Sequence[str],
    views: Sequence[str],
    top_k: int,
    rule: OutputSpec = NO_RULE,
    detector: OutlierDetector | None = None,
) -> Iterator[Prediction]:
    """Yield the prediction of each row of an engine's outputs. DataError when a logit is not finite.

    rule: what was fitted for prediction sets and for the decision on an answer. detector: for `rule.outliers`.
    """
    rows_NK = to_probabilities(outputs.logits_NK, kind)
    require_numbers(rows_NK, outputs.ids)
    confidence_N = confidence_of(rows_NK, to_answers(rows_NK, kind), kind)
    scores_N = None
    if rule.outliers is not None and detector is not None:
        scores_N = outlier_scores(rule.outliers, detector, rows_NK, outputs.embeddings_ND)
    decisions = decide(confidence_N, rule, outlier_scores_N=scores_N, is_set=kind.is_set)
    alone = [to_probabilities(of_view, kind) for of_view in outputs.alone_VNK]
    grades = [to_probabilities(of_view, kind) for of_view in outputs.grades_VNK]
    of_class = kind.thresholds_of(len(classes)) if isinstance(kind, LabelSet) else ()
    thresholds = dict(zip(classes, of_class, strict=False))

    def labels(probabilities_K: npt.NDArray[np.float32]) -> Labels:
        return _named(_answer(probabilities_K, kind), probabilities_K, classes)

    def of_views(row: int, rows_VNK: Sequence[npt.NDArray[np.float32]]) -> dict[str, Labels]:
        pairs = zip(views, (rows_NK[row] for rows_NK in rows_VNK), strict=False)
        return {view: labels(row_K) for view, row_K in pairs if not np.isnan(row_K).any()}

    sets_NK = None if rule.sets is None else sets_of(rows_NK, kind, rule.sets)
    for row, name in enumerate(outputs.ids):
        top = _named(_top(rows_NK[row], kind, top_k), rows_NK[row], classes)
        likeliest, by_view, by_grade = classes[int(rows_NK[row].argmax())], of_views(row, alone), of_views(row, grades)
        decision = decisions[row] if decisions else None
        prediction = Prediction(
            name, labels(rows_NK[row]), top, thresholds, by_view, by_grade, likeliest,
            confidence=float(confidence_N[row]),
            decision=decision.verdict if decision else None, reason=decision.reason if decision else "",
        )  # fmt: skip
        if rule.sets is not None and sets_NK is not None:
            within = tuple(classes[int(k)] for k in np.flatnonzero(sets_NK[row]))
            words = set_words(within, num_classes=len(classes), kind=kind)
            prediction = replace(prediction, set=within, set_level=rule.sets.level, set_words=words)
        yield prediction


def with_similar(
    predictions: Iterable[Prediction], embeddings_ND: npt.NDArray[np.float32], among: LabelledEmbeddings, num: int
) -> Iterator[Prediction]:
    """Yield the predictions with the `num` most similar samples of `among` as evidence, also in the reason."""
    for prediction, similar in zip(predictions, among.similar(embeddings_ND, num), strict=True):
        labels = ", ".join(f"{sample.label} ({sample.cosine:.2f})" for sample in similar)
        evidence = f"; most similar training samples: {labels}" if prediction.reason and similar else ""
        yield replace(prediction, similar=similar, reason=prediction.reason + evidence)


def set_words(names: Sequence[str], *, num_classes: int, kind: Kind) -> str:
    """A prediction set in words. names: its classes, in class order."""
    if len(names) == num_classes:
        return "any"
    if kind.ordered and len(names) > 1:
        return f"{names[0]} to {names[-1]}"
    if not names:
        return "none"
    *first, last = (
        names if len(names) <= MOST_NAMES else (*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more")
    )
    joint = " and " if kind.is_set else " or "
    return f"{', '.join(first)}{joint}{last}" if first else last


def _top(probabilities_K: npt.NDArray[np.float32], kind: Kind, top_k: int) -> list[int]:
    """Class indices in the order of `Prediction.top`."""
    ranked = _ranked(probabilities_K)
    if kind.is_set:
        return ranked
    (answer,) = _answer(probabilities_K, kind)
    return [answer, *(k for k in ranked if k != answer)][:top_k]


def _answer(probabilities_K: npt.NDArray[np.float32], kind: Kind) -> list[int]:
    """Indices of the predicted classes, most probable first."""
    answer = to_answers(probabilities_K[None], kind)[0]
    return [k for k in _ranked(probabilities_K) if answer[k]] if kind.is_set else [int(answer)]


def _ranked(probabilities_K: npt.NDArray[np.float32]) -> list[int]:
    """Class indices by falling probability; ties in class order."""
    places: list[int] = np.argsort(-probabilities_K, kind="stable").tolist()
    return places


def _named(places: Sequence[int], probabilities_K: npt.NDArray[np.float32], classes: Sequence[str]) -> Labels:
    return tuple((classes[k], float(probabilities_K[k])) for k in places)
