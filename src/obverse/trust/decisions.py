"""Decisions on the answers of a split: how many are accepted, left to a person or rejected, and how good that is."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from obverse.decisions import PROMISE, VERDICTS, limit_words, most_of_val, percent, why_none
from obverse.evaluation import Predictions, Topic, estimate_share, items_of
from obverse.metrics import FloatArray, IntArray
from obverse.recipe import OutlierSpec
from obverse.report import Facet, Gallery, Row, Section, Table, Text

FILE = "decisions.csv"
# Points of the risk-coverage curve in metrics.json.
NUM_POINTS = 100
NUM_RESAMPLES = 200
NUM_OUTLIERS = 5
WORDS = {"accept": "accepted", "review": "left to a person", "reject": "rejected"}


def decision_topics(predictions: Predictions) -> list[Topic]:
    """The section on decisions, with the keys `acceptance` and `outliers` of metrics.json; none for older bundles."""
    decisions, acceptance, outliers = predictions.decisions, predictions.rule.acceptance, predictions.rule.outliers
    if decisions is None or acceptance is None:
        return []
    verdicts_N = np.array([decision.verdict for decision in decisions])
    values = {
        **acceptance.model_dump(mode="json"),
        "promise": PROMISE,
        "why_none": why_none(acceptance) if acceptance.threshold is None else None,
        "accepted": asdict(estimate_share(verdicts_N == "accept", predictions.units)),
        "decisions": {verdict: _group(predictions, verdicts_N == verdict) for verdict in VERDICTS},
        **_risk_coverage(predictions.labelled()),
    }
    topics = [Topic(_section(predictions, verdicts_N, values), "acceptance", values)]
    if outliers is None or predictions.outlier_scores_N is None:
        return topics
    scores_N = predictions.outlier_scores_N
    rejected = asdict(estimate_share(scores_N > outliers.reject_above, predictions.units))
    quantiles = {f"{share:g}": float(np.quantile(scores_N, share)) for share in (0.5, 0.9, 0.99)}
    values = {**outliers.model_dump(), "rejected": rejected, "scores": quantiles}
    return [*topics, Topic(_outlier_section(predictions, scores_N, outliers), "outliers", values)]


def decision_facet(predictions: Predictions) -> tuple[Facet, ...]:
    """The decision as a property by which a report's panels filter; empty for older bundles."""
    decisions = predictions.decisions
    if decisions is None:
        return ()
    return (Facet("decision", VERDICTS, np.array([VERDICTS.index(each.verdict) for each in decisions], np.int64)),)


def write_decisions(folder: Path, predictions: Predictions) -> None:
    """Write decisions.csv, a row per sample; nothing for older bundles."""
    decisions = predictions.decisions
    if decisions is None:
        return
    scores_N = predictions.outlier_scores_N
    scores = [""] * len(decisions) if scores_N is None else [f"{score:.4f}" for score in scores_N.tolist()]
    rows = zip(predictions.ids, predictions.confidence_N.tolist(), decisions, scores, strict=True)
    with (folder / FILE).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "confidence", "decision", "reason", "outlier_score"))
        writer.writerows((name, f"{sure:.6f}", each.verdict, each.reason, score) for name, sure, each, score in rows)


def _group(predictions: Predictions, among_N: Any) -> dict[str, Any]:
    """Number of samples with one decision, and the share of wrong answers among those with a label."""
    labelled_N = among_N & predictions.known_N
    is_wrong_M, units = ~predictions.is_right_N[labelled_N], predictions.units.take(labelled_N)
    error = asdict(estimate_share(is_wrong_M, units)) if is_wrong_M.size else None
    return {"count": int(among_N.sum()), "error": error}


def _section(predictions: Predictions, verdicts_N: Any, values: dict[str, Any]) -> Section:
    acceptance = predictions.rule.acceptance
    assert acceptance is not None
    num, aside = len(verdicts_N), int((verdicts_N != "accept").sum())
    texts = [f"{aside:,} of {num:,} were set aside for a person."]
    at_most = percent(acceptance.wanted_error)
    what = "groups" if acceptance.are_groups else "samples"
    place = "val" if acceptance.fitted_on == "val" else "the folds"
    if acceptance.threshold is None:
        texts += [f"No answer is accepted: {values['why_none']} with {100 * PROMISE:.0f} % confidence."]
    else:
        texts += [
            f"{limit_words(acceptance.threshold, is_set=predictions.kind.is_set)} are accepted. From "
            f"{acceptance.num_units:,} {what} of {place} follows with {100 * PROMISE:.0f} % confidence that at "
            f"most {at_most} of such answers are wrong, for pictures of the same kind."
        ]
    rows = tuple(_row(verdict, values["decisions"][verdict]) for verdict in VERDICTS)
    header = ("decision", "samples", "wrong among them", "95 % interval")
    area = values["area"]
    ends = "" if area["low"] is None else f" (95 % interval {area['low']:.3f} to {area['high']:.3f})"
    quiet = Text(f"Area under the risk-coverage curve {area['value']:.3f}{ends}; 0 is best.", is_quiet=True)
    paragraphs = [Text(text) for text in texts]
    return Section("Accept, review, reject", (*paragraphs, Table(header, rows), quiet), topic="acceptance")


def _outlier_section(predictions: Predictions, scores_N: FloatArray, outliers: OutlierSpec) -> Section:
    """The samples that are least like the training pictures."""
    num, limit = int((scores_N > outliers.reject_above).sum()), outliers.reject_above
    text = Text(
        f"{num:,} of {len(scores_N):,} {'is' if num == 1 else 'are'} rejected, whatever their confidence. "
        "A sample is rejected where it is less "
        f"like the training pictures than {most_of_val(outliers)} ({outliers.num_samples:,} samples). The score is "
        "made of the distance from the training pictures and of how evenly the probability is spread over classes."
    )
    order = np.argsort(-scores_N, kind="stable")[:NUM_OUTLIERS].tolist()
    items = items_of(predictions, order, {}, facets=decision_facet(predictions))
    notes = [f"score {scores_N[n]:.2f}, limit {limit:.2f}" for n in order]
    gallery = Gallery(tuple(replace(items[n], note=note) for n, note in zip(order, notes, strict=True)))
    return Section("Least like the training pictures", (text, gallery), topic="acceptance")


def _row(verdict: str, group: dict[str, Any]) -> Row:
    error = group["error"]
    if error is None:
        return WORDS[verdict], f"{group['count']:,}", "–", "– (no labelled samples)"
    ends = (
        f"{100 * error['low']:.1f} to {100 * error['high']:.1f} %"
        if error["low"] is not None
        else f"– ({error['reason']})"
    )
    return WORDS[verdict], f"{group['count']:,}", f"{100 * error['value']:.1f} %", ends


def _risk_coverage(labelled: Predictions) -> dict[str, Any]:
    """Share of wrong answers among the most confident ones, at each share, and the area under that curve."""
    sure_N, wrong_N = labelled.confidence_N, (~labelled.is_right_N).astype(np.float64)
    order_N, num = np.argsort(-sure_N, kind="stable"), len(sure_N)
    error_N = np.cumsum(wrong_N[order_N]) / np.arange(1, num + 1)
    ranks = sorted({-(-num * point // NUM_POINTS) for point in range(1, NUM_POINTS + 1)})
    points = [
        {"share": n / num, "error": float(error_N[n - 1]), "threshold": float(sure_N[order_N[n - 1]])} for n in ranks
    ]
    return {"risk_coverage": points, "area": _area(wrong_N[order_N], labelled.units.of_N[order_N])}


def _area(wrong_N: FloatArray, of_N: IntArray) -> dict[str, Any]:
    """The area with its bootstrap interval over units. wrong_N: the most confident answer first."""

    def area(counts_N: FloatArray) -> float:
        covered_N = counts_N.cumsum()
        errors_N = (wrong_N * counts_N).cumsum() / np.maximum(covered_N, 1.0)
        return float((errors_N * counts_N).sum() / covered_N[-1])

    value, num = area(np.ones(len(wrong_N))), int(of_N.max()) + 1
    if num < 2 or wrong_N.min() == wrong_N.max():
        return {"value": value, "low": None, "high": None, "reason": "all answers are alike, right or wrong"}
    generator = np.random.default_rng(0)
    shares_G = np.full(num, 1 / num)
    areas = [area(generator.multinomial(num, shares_G)[of_N].astype(np.float64)) for _ in range(NUM_RESAMPLES)]
    low, high = np.quantile(areas, (0.025, 0.975)).tolist()
    return {"value": value, "low": low, "high": high, "reason": ""}
