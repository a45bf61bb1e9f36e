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
    return lines + [f"top-{k} accuracy {share['value']:.4f}" for k, share in metrics["top_k"].items()]


def result_line(metrics: Mapping[str, Any]) -> str:
    """One line: the split, the headline and the number of samples."""
    split, num_samples = metrics["split"], metrics["num_samples"]
    if _is_set(metrics):
        return f"{split} {', '.join(measured_lines(metrics))} ({num_samples} samples)"
    accuracy = metrics["accuracy"]
    return f"{split} accuracy {accuracy['value']:.1%} ({format_interval(accuracy, '.1%')}, {num_samples} samples)"


def _is_set(metrics: Mapping[str, Any]) -> bool:
    return metrics.get("labels") == "multi"
