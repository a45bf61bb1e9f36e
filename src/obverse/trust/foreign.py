"""How well the outlier score tells pictures that do not belong from those of a run's own split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import GEN_WEIGHT, generalised_entropy, percent
from obverse.errors import DataError
from obverse.evaluation import Estimate, Predictions, estimate_share
from obverse.metrics import FloatArray, OneLabel, Units, metric_named
from obverse.recipe import OutlierSpec
from obverse.report import Page, Row, Section, Table, Text, to_html, to_markdown

from .outliers import FALSE_ALARMS

# AUROC of chance, and from which the score tells pictures apart fairly and well.
CHANCE, FAIRLY, WELL = 0.5, 0.7, 0.9
# Pictures and samples below which the metric has no interval.
FEW = 10
# Multiple of the intended share of rejected samples from which the reason is given.
MANY = 3
NAMES = {
    "combined": "the score that ships",
    "distance": "Mahalanobis distance alone",
    "gen": "GEN alone",
    "maximum_softmax": "lowest probability of the answer (for comparison)",
}


def measure_foreign(
    own: Predictions, probabilities_NK: npt.NDArray[np.float32], scores_N: FloatArray, *, data: str
) -> dict[str, Any]:
    """AUROC of each score with its interval, and the shares rejected, as plain JSON values.

    own: predictions of the run's own split. probabilities_NK, scores_N: of the foreign samples.
    Raises DataError when the predictions have no outlier scores.
    """
    spec = own.rule.outliers
    if spec is None or own.outlier_scores_N is None:
        raise DataError("these predictions have no scores of outliers; evaluate the run again")
    ours = _parts(spec, own.probabilities_NK, own.outlier_scores_N)
    theirs = _parts(spec, probabilities_NK, scores_N)
    num = len(scores_N)
    units = Units(np.concatenate([own.units.of_N, own.units.num + np.arange(num)]))
    return {
        "data": data,
        "split": own.split,
        "num_foreign": num,
        "num_own": len(own.ids),
        "auroc": {name: asdict(_auroc(ours[name], theirs[name], units, split=own.split)) for name in NAMES},
        "rejected_foreign": asdict(estimate_share(scores_N > spec.reject_above, Units.alone(num))),
        "rejected_own": asdict(estimate_share(own.outlier_scores_N > spec.reject_above, own.units)),
        "num_val": spec.num_samples,
    }


def write_foreign(folder: Path, values: Mapping[str, Any]) -> None:
    """Write foreign.json, summary.md and report.html into an existing folder."""
    page = Page("Pictures that do not belong", (_section(values),))
    (folder / "foreign.json").write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    for name, text in (("summary.md", to_markdown(page, folder)), ("report.html", to_html(page))):
        (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def foreign_sentence(values: Mapping[str, Any]) -> str:
    """The shares that are rejected, in one sentence."""
    foreign, own = values["rejected_foreign"]["value"], values["rejected_own"]["value"]
    return (
        f"Of {values['num_foreign']:,} pictures that do not belong {100 * foreign:.1f} % are rejected, and of "
        f"{values['num_own']:,} samples of {values['split']} {100 * own:.1f} %."
    )


def foreign_verdict(values: Mapping[str, Any]) -> str:
    """How well the score that ships tells the pictures from the run's own, in words."""
    auroc = values["auroc"]["combined"]
    share, low, high = auroc["value"], auroc["low"], auroc["high"]
    ends = f"{100 * low:.0f} to {100 * high:.0f}" if low is not None else f"no interval: {auroc['reason']}"
    # Without an interval so few pictures must be far from chance before a direction is claimed.
    if (high if high is not None else share + 0.2) < CHANCE:
        how = "the wrong way round"
    elif (low if low is not None else share - 0.2) <= CHANCE or share < FAIRLY:
        how = "hardly"
    else:
        how = "well" if share >= WELL else "fairly well"
    return (
        f"The score tells them apart {how}: {percent(share)} ({ends}). In so many of all pairs of such a picture and "
        f"one of {values['split']}, the picture that does not belong has the higher score (AUROC); 50 % is chance, "
        "100 % is perfect."
    )


def foreign_warnings(values: Mapping[str, Any]) -> list[str]:
    """Sentences about pictures that were left out, and about a limit that rejects too many of the run's own."""
    sentences = []
    if num := values.get("num_own_left_out"):
        sentences.append(
            f"{num:,} {_pictures(num)} left out, because {'it is' if num == 1 else 'they are'} the run's own"
        )
    elif values.get("num_own_left_out", 0) is None:
        sentences.append("whether some of the pictures are the run's own is not known, because its data is gone")
    if num := values.get("num_unreadable"):
        names = ", ".join(map(repr, values["unreadable"])) + (" ..." if num > len(values["unreadable"]) else "")
        sentences.append(
            f"{num:,} {_pictures(num)} left out, because {'it' if num == 1 else 'they'} cannot be read: {names}"
        )
    own, num_val = values["rejected_own"], values["num_val"]
    # Of so few the highest score is the limit, and 1 % of them is less than one.
    is_highest = num_val < 1 / FALSE_ALARMS - 1
    if own["value"] > MANY * FALSE_ALARMS and (is_highest or (own["low"] or 0) > FALSE_ALARMS):
        why = (
            f"the highest score of only {num_val} val samples" if is_highest else f"that of 99 % of {num_val:,} of val"
        )
        sentences.append(
            f"{percent(own['value'])} of {values['split']} are rejected, where 1 % are meant to be: the limit is {why}"
        )
    return sentences


def _pictures(num: int) -> str:
    return "picture is" if num == 1 else "pictures are"


def _parts(spec: OutlierSpec, probabilities_NK: npt.NDArray[np.float32], scores_N: FloatArray) -> dict[str, FloatArray]:
    """Name -> score of each sample, higher for one that belongs less."""
    gen_N = (generalised_entropy(probabilities_NK) - spec.gen_centre) / spec.gen_scale
    # Of label sets the surest class stands for the answer.
    least_N = 1 - probabilities_NK.max(axis=1).astype(np.float64)
    return {"combined": scores_N, "distance": scores_N - GEN_WEIGHT * gen_N, "gen": gen_N, "maximum_softmax": least_N}


def _auroc(own_N: FloatArray, foreign_M: FloatArray, units: Units, *, split: str) -> Estimate:
    """The probability that a foreign sample has a higher score than one of the run's own."""
    scores_N = np.concatenate([own_N, foreign_M])
    # Ranks instead of scores, because the metric takes probabilities.
    _, ranks_N = np.unique(scores_N, return_inverse=True)
    share_N = ranks_N / max(1, ranks_N.max())
    labels_N = np.repeat([0, 1], [len(own_N), len(foreign_M)]).astype(np.int64)
    answers = OneLabel(labels_N, labels_N, np.stack([1 - share_N, share_N], axis=1), units)
    metric = metric_named("auroc")
    assert metric is not None
    interval = metric.interval(answers)
    low, high = (None if np.isnan(end) else float(end) for end in (interval.low, interval.high))
    reason = interval.reason
    num, num_own = len(foreign_M), units.num - len(foreign_M)
    sizes = {f"foreign picture{'s' * (num != 1)}": num, f"sample{'s' * (num_own != 1)} of {split}": num_own}
    few = [f"{size} {what}" for what, size in sizes.items() if size < FEW]
    if low is None and few:
        reason = f"{' and '.join(few)}, {FEW} are needed"
    return Estimate(float(metric.value(answers)), low, high, reason)


def _section(values: Mapping[str, Any]) -> Section:
    rows = [_row(title, values["auroc"][name]) for name, title in NAMES.items()]
    table = Table(("score", "AUROC", "95 % interval"), tuple(rows))
    warnings = (Text(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in foreign_warnings(values))
    texts = (Text(foreign_verdict(values), is_lead=True), Text(foreign_sentence(values)), *warnings)
    return Section("How well the score finds them", (*texts, table))


def _row(title: str, estimate: Mapping[str, Any]) -> Row:
    if estimate["low"] is None:
        return title, f"{100 * estimate['value']:.1f} %", f"– ({estimate['reason']})"
    return title, f"{100 * estimate['value']:.1f} %", f"{100 * estimate['low']:.1f} % to {100 * estimate['high']:.1f} %"
