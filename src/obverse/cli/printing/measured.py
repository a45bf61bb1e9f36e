"""What comes first of an evaluation, of either kind of answer: from the values of `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .intervals import format_interval

SET_NAMES = {"map": "mAP", "macro_f1": "macro F1", "micro_f1": "micro F1", "subset_accuracy": "subset accuracy"}


def measured_lines(metrics: Mapping[str, Any]) -> list[str]:
    """A line per metric."""
    if _is_set(metrics):
        return [f"{name} {metrics[key]['value']:.4f}" for key, name in SET_NAMES.items() if metrics[key]]
    accuracy, macro_f1 = metrics["accuracy"], metrics["macro_f1"]
    lines = [f"accuracy {accuracy['value']:.4f} ({format_interval(accuracy, '.4f')})"]
    lines += [f"macro F1 {macro_f1['value']:.4f}"] if macro_f1 else []
    lines += [f"top-{k} accuracy {share['value']:.4f}" for k, share in metrics["top_k"].items()]
    return lines + decoding_lines(metrics)


def result_line(metrics: Mapping[str, Any]) -> str:
    """One line: the split, the headline and the number of samples."""
    split, num_samples = metrics["split"], metrics["num_samples"]
    if _is_set(metrics):
        return f"{split} {', '.join(measured_lines(metrics))} ({num_samples} samples)"
    accuracy = metrics["accuracy"]
    return f"{split} accuracy {accuracy['value']:.1%} ({format_interval(accuracy, '.1%')}, {num_samples} samples)"


def decoding_lines(metrics: Mapping[str, Any]) -> list[str]:
    """For ordered classes, a line per decision rule with its scores; the rule of the model first."""
    decoding = metrics.get("decoding")
    if decoding is None:
        return []
    used, rules = decoding["used"], sorted(decoding["scores"], key=lambda rule: rule != decoding["used"])
    return [f"by the {rule}{' (the answer)' * (rule == used)}: {_scores(decoding['scores'][rule])}" for rule in rules]


def _scores(scores: Mapping[str, float | None]) -> str:
    """Scores by name, those that are not defined left out."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items() if value is not None)


def _is_set(metrics: Mapping[str, Any]) -> bool:
    return metrics.get("labels") == "multi"
