"""Opening of a report: what was trained on what, one sentence without jargon, and headline figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from obverse.evaluation.estimates import Estimate
from obverse.evaluation.seen import Seen
from obverse.report import Block, Card, Cards, Text

_PATH = re.compile(r"(?<![\w./])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\,;'\"]+[/\\])+([^\s/\\,;'\"]+)")

PLAIN = {
    "accuracy": ("right answers", "Of 100 {samples} about {value} get the right answer{ends}."),
    "within_one": ("at most one step off", "Of 100 {samples} about {value} are right or one step off{ends}."),
    "mean_absolute_error": ("steps off, on average", "How many steps an answer lies from the true class."),
    "subset_accuracy": ("exact sets", "Of 100 {samples} about {value} get exactly their set of classes{ends}."),
    "balanced_accuracy": ("right, classes alike", "The share of right answers if all classes were equally frequent."),
    "map": ("mean average precision", "How well the samples of each class are ranked before the others; 1 is perfect."),
    "macro_f1": ("macro F1", "How well classes are detected, and how seldom given wrongly, all alike; 1 is perfect."),
    "calibration_error": (
        "off in stated certainty",
        "How far stated probabilities are from how often answers are right.",
    ),
}
"""Metric -> label of its card, and its sentence."""
MOST_CARDS = 4


def without_folders(text: str) -> str:
    """The text with every absolute path shortened to its last part: a reader's page says nothing about this machine."""
    return _PATH.sub(r"\1", text)


def shortened(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts without absolute paths."""
    return {name: data_name(facts) if name == "data" else without_folders(value) for name, value in facts.items()}


def data_name(facts: Mapping[str, str]) -> str:
    """The name of the data, from the fact about them; the folder's name for a table inside it."""
    path = PurePath(facts.get("data", ""))
    return path.parent.name if path.suffix and path.parent.name else path.name


def title_of(facts: Mapping[str, str], split: str) -> str:
    """The title of the page."""
    name = data_name(facts)
    return f"{name}: how good the answers are" if name else f"Evaluation on {split}"


def opening(
    facts: Mapping[str, str], estimates: Mapping[str, Estimate | None], values: Mapping[str, Any], *, num: int,
    split: str, seen: Seen, num_views: int,
) -> tuple[Block, ...]:  # fmt: skip
    """The blocks before the first heading. values: what metrics.json has of further topics."""
    samples = "samples" if num_views > 1 else "pictures"
    new = samples if seen.num_trained or seen.num_chosen or seen.chosen else f"new {samples}"
    sentence = " ".join(_sentences(estimates, values, new))
    lead = Text(sentence, is_lead=True) if sentence else None
    cards = Cards((*_cards(estimates, new), *_aside_card(values.get("acceptance"))))
    return (*filter(None, (lead,)), Text(_origin(facts, num, split, samples), is_quiet=True), cards)


def _origin(facts: Mapping[str, str], num: int, split: str, samples: str) -> str:
    """What was trained on what, when and with which version, and what it was judged by."""
    model, data = facts.get("model", "").split(",")[0], data_name(facts)
    counts = facts.get("samples", "")
    of = f" on {data}" if data else ""
    model = f"A model ({model})," if "members" in facts else model
    trained = f"{model} trained{of}" + (f" ({counts})" if counts else "") if model else "A model"
    when = f", {facts['trained']}" if "trained" in facts else ""
    judged = f"Judged by the {num:,} labelled {samples} of split {split}; under each figure stands its 95 % interval."
    return f"{trained}{when}. {judged}"


def _sentences(estimates: Mapping[str, Estimate | None], values: Mapping[str, Any], new: str) -> Iterator[str]:
    main = next((name for name in ("accuracy", "subset_accuracy") if estimates.get(name)), None)
    estimate = None if main is None else estimates[main]
    if estimate is None:
        return
    what = "the exact class" if main == "accuracy" else "exactly their classes"
    near = estimates.get("within_one")
    more = f", {_of_100(near.value)} are at most one step off{_ends(near)}" if near is not None else ""
    yield f"Of 100 {new} about {_of_100(estimate.value)} get {what}{_ends(estimate)}{more}."
    acceptance = values.get("acceptance")
    aside, why = _set_aside(acceptance), _why_all(acceptance)
    if aside is not None and why:
        yield f"All are left to a person, because {why}."
    elif aside is not None:
        yield f"{_of_100(aside.value)} are set aside for a person{_ends(aside)}{_wrong_among_accepted(acceptance)}."


def _wrong_among_accepted(acceptance: Any) -> str:
    """How many of the accepted answers are wrong, the end of a sentence; empty where that is not known."""
    error = acceptance.get("decisions", {}).get("accept", {}).get("error")
    if not error:
        return ""
    wrong = Estimate(error["value"], error["low"], error["high"])
    return f"; of 100 answers that are accepted, about {_of_100(wrong.value)} are wrong{_ends(wrong)}"


def _set_aside(acceptance: Any) -> Estimate | None:
    """The share of answers that a person is asked about; None without decisions."""
    accepted = acceptance.get("accepted") if isinstance(acceptance, Mapping) else None
    if not isinstance(accepted, Mapping):
        return None
    low, high = (None if accepted[end] is None else 1 - accepted[end] for end in ("high", "low"))
    return Estimate(1 - accepted["value"], low, high, accepted.get("reason", ""))


def _why_all(acceptance: Any) -> str:
    """Why the rule accepts no answer at all; empty where it accepts some."""
    return (acceptance.get("why_none") or "") if isinstance(acceptance, Mapping) else ""


def _cards(estimates: Mapping[str, Estimate | None], new: str) -> Iterator[Card]:
    wanted = [name for name in PLAIN if estimates.get(name) is not None][:MOST_CARDS]
    for name in wanted:
        estimate, (label, sentence) = estimates[name], PLAIN[name]
        assert estimate is not None
        is_share = name not in ("mean_absolute_error", "map", "macro_f1")
        text = sentence.format(samples=new, value=_of_100(estimate.value), ends=_ends(estimate))
        yield Card(label, _number(estimate.value, is_share=is_share), _interval(estimate, is_share=is_share), text)


def _aside_card(acceptance: Any) -> Iterator[Card]:
    aside = _set_aside(acceptance)
    if aside is None:
        return
    if why := _why_all(acceptance):
        yield Card("left to a person", "all", "no interval: the rule accepts no answer", f"Because {why}.")
    else:
        text = f"Of 100 answers about {_of_100(aside.value)} are not accepted unseen{_reasons(acceptance)}."
        yield Card("set aside for a person", _number(aside.value, is_share=True), _interval(aside, is_share=True), text)


def _reasons(acceptance: Mapping[str, Any]) -> str:
    """What happened to the answers that are not accepted; empty where their numbers are not known."""
    groups = acceptance.get("decisions", {})
    unsure, unlike = (groups[verdict]["count"] if verdict in groups else 0 for verdict in ("review", "reject"))
    if unsure and unlike:
        return f": {unsure:,} here are not sure enough, {_of_pictures(unlike)} unlike the training pictures"
    if unlike:
        return ": their pictures are unlike the training pictures"
    return ": they are not sure enough" if unsure else ""


def _of_pictures(num: int) -> str:
    return "1 is of a picture" if num == 1 else f"{num:,} are of pictures"


def _number(value: float, *, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:.2f}"


def _interval(estimate: Estimate, *, is_share: bool) -> str:
    if estimate.low is None or estimate.high is None:
        return f"no interval: {estimate.reason}" if estimate.reason else "no interval"
    if is_share:
        return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def _of_100(share: float) -> int:
    return round(100 * share)


def _ends(estimate: Estimate) -> str:
    """The interval in words that fit into a sentence; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({_of_100(estimate.low)} to {_of_100(estimate.high)})"
