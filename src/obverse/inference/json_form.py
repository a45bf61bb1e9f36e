"""JSON form of a prediction, the same from the command and from a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .prediction import Prediction
from .requests import Failure

Labels = Sequence[tuple[str, float]]


def as_json(prediction: Prediction | Failure) -> dict[str, Any]:
    """The prediction, or the reason why there is none, as a JSON object."""
    if isinstance(prediction, Failure):
        return asdict(prediction)
    sets = {} if prediction.set_level is None else {"set": list(prediction.set), "set_level": prediction.set_level}
    decided = {"confidence": prediction.confidence, "decision": prediction.decision, "reason": prediction.reason}
    evidence = {"similar": [asdict(sample) for sample in prediction.similar]} if prediction.similar else {}
    return _labels_as_json(prediction) | sets | decided | evidence


def _labels_as_json(prediction: Prediction) -> dict[str, Any]:
    if prediction.is_set:
        return {
            "id": prediction.id,
            "labels": _as_json(prediction.labels),
            "probabilities": prediction.probabilities,
            "thresholds": prediction.thresholds,
            "by_view": {view: _as_json(labels) for view, labels in prediction.by_view.items()},
        }
    return {
        "id": prediction.id,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": _as_json(prediction.top),
        "by_view": _first_of_each(prediction.by_view),
        "view_grades": _first_of_each(prediction.view_grades),
        "views_disagree": prediction.views_disagree,
    }


def _as_json(labels: Labels) -> list[dict[str, object]]:
    return [{"label": name, "probability": p} for name, p in labels]


def _first_of_each(by_view: Mapping[str, Labels]) -> dict[str, dict[str, object]]:
    """Of one class per sample."""
    return {view: _as_json(labels)[0] for view, labels in by_view.items()}
