"""What a reader may rely on in a report, and what not, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from obverse.evaluation.calibration import MOST_ERROR, states_how_often
from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.estimates import Estimate
from obverse.evaluation.sections import counted
from obverse.evaluation.seen import Seen
from obverse.metrics import IntArray
from obverse.report import Row, Section, Table, Text

from .judged import Judged

WIDE_INTERVAL = 0.10
FEW_SAMPLES = 10
SURE = 0.9
"""Probability from which a wrong answer is a reason to look at the label."""
GOOD, CARE = "yes", "with care"


def trust_section(
    judged: Judged, diagnoses: Sequence[Diagnosis], *, has_groups: bool, num_sure_mistakes: int
) -> Section:
    """One row per point: what it is about, whether to rely on it, and why.

    num_sure_mistakes: wrong answers of at least `SURE` probability.
    """
    rows = (
        *_unseen(judged.seen),
        *_sizes(judged.headline, judged.support_K),
        *_probabilities(judged.estimates.get("calibration_error")),
        *_groups(has_groups),
        *_diagnosed(diagnoses),
        *_labels(num_sure_mistakes, judged.topics.get("suspects")),
        *_slices(judged.topics.get("slices")),
    )
    sentence = "Every figure below has its interval: the range that the truth is likely to lie in, given these samples."
    return Section(
        "What to trust, and what not", (Text(sentence), Table(("point", "rely on it", "why"), rows)), topic="trust"
    )


def _unseen(seen: Seen) -> Iterator[Row]:
    warnings = []
    if seen.num_trained:
        warnings.append(f"{seen.num_trained} of these samples {'was' if seen.num_trained == 1 else 'were'} trained on")
    if seen.num_chosen:
        warnings.append(f"{seen.num_chosen} of these samples chose the best epoch")
    if seen.chosen:
        warnings.append(f"these samples chose {', '.join(seen.chosen)}")
    if seen.is_unknown:
        warnings.append("nothing says whether the model was trained on these samples")
    what = "the figures as a forecast"
    yield from ((what, CARE, f"Found in the data: {finding}.") for finding in seen.findings)
    if warnings:
        why = f"{'; '.join(warnings)}: new samples may do worse."
        yield what, CARE, why[0].upper() + why[1:]
    else:
        yield what, GOOD, "These samples trained nothing and chose nothing."


def _sizes(accuracy: Estimate | None, support_K: IntArray) -> Iterator[Row]:
    if accuracy is not None and accuracy.low is not None and accuracy.high is not None:
        width = accuracy.high - accuracy.low
        is_wide = width > WIDE_INTERVAL
        why = f"The interval of the headline is {100 * width:.0f} points wide"
        yield (
            "the headline",
            CARE if is_wide else GOOD,
            f"{why}: label more samples to narrow it." if is_wide else f"{why}.",
        )
    few = int(((support_K > 0) & (support_K < FEW_SAMPLES)).sum())
    none = int((support_K == 0).sum())
    if few:
        yield (
            "figures of single classes",
            CARE,
            f"{few} of {len(support_K)} classes {'has' if few == 1 else 'have'} fewer than {FEW_SAMPLES} samples here.",
        )
    if none:
        yield (
            "classes without samples",
            CARE,
            f"{none} of {len(support_K)} classes {'has' if none == 1 else 'have'} no sample here: nothing is "
            f"known about {'it' if none == 1 else 'them'}.",
        )


def _probabilities(error: Estimate | None) -> Iterator[Row]:
    if error is None:
        return
    ends = f"no interval: {error.reason}" if error.reason else "no interval"
    if error.low is not None and error.high is not None:
        ends = f"{100 * error.low:.1f} to {100 * error.high:.1f}"
    why = f"Stated probabilities are off by {100 * error.value:.1f} % on average ({ends})."
    is_good = states_how_often(error)
    if not is_good and error.value <= MOST_ERROR:
        why += " With so few samples they may also be far off."
    yield "the probabilities", GOOD if is_good else CARE, why


def _groups(has_groups: bool) -> Iterator[Row]:
    if not has_groups:
        why = "Nothing says which samples show one object; if some do, the intervals are too narrow"
        yield "the intervals", CARE, f"{why} (data.split.group_by)."


def _diagnosed(diagnoses: Sequence[Diagnosis]) -> Iterator[Row]:
    for finding in diagnoses:
        yield "the training", CARE, f"{finding.what.removesuffix('.')}."


def _labels(num_sure_mistakes: int, suspects: Any) -> Iterator[Row]:
    num_here = suspects["num_here"] if isinstance(suspects, Mapping) else 0
    if num_here:
        some = counted(num_here, "label of these samples is a suspect", "labels of these samples are suspects")
        agreement = suspects.get("agreement")
        by = "" if agreement is None else f" for models that agree with {100 * agreement:.0f} % of all labels"
        why = "a wrong label counts as an error of the model, or hides one. Look at the suspect labels"
        yield "the labels", CARE, f"{some}{by}: {why}."
    if num_sure_mistakes:
        some = counted(num_sure_mistakes, "answer contradicts its label", "answers contradict their label")
        why = f"{some} with at least {100 * SURE:.0f} %: some labels may be wrong"
        yield "the labels", CARE, f"{why}. Look at the surest mistakes."


def _slices(slices: Any) -> Iterator[Row]:
    for sentence in slices.get("sentences", ()) if isinstance(slices, Mapping) else ():
        yield "the headline, for every kind of picture", CARE, sentence
    for message in slices.get("shortcuts", ()) if isinstance(slices, Mapping) else ():
        yield "the figures as a forecast", CARE, f"In these pictures {message}."
