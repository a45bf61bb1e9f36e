"""The model card of a report, and how to get the same figures again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obverse.report import Row, Section, Table, Text

from .opening import data_name

MOST_NAMES = 8
LIMITS = (
    "Other cameras, light, backgrounds or kinds of object: not measured here. A picture of something else still gets "
    "one of these answers, unless answers are set aside for a person"
)
PEOPLE = (
    "If pictures show people, or an answer decides about a person: do not rely on it before the errors were measured "
    "for each group of people, and let a person decide."
)
REPRODUCTION = ("command", "trained", "recipe", "precision", "samples", "data")
"""Facts that someone needs who wants the same figures."""


WHERE = {
    "run": "In the run's folder",
    "folds": "In the folder of each fold (fold-0, fold-1 ...)",
    "members": "In the folder of each member",
}
FILES = (
    "recipe.yaml has every setting, manifest.csv every picture with digest and split, environment.json the versions;"
)
AGAIN = {
    "run": "`obverse train DATA --recipe recipe.yaml` trains the same model again.",
    "folds": "the same command with the same options trains the same models again.",
    "members": "`obverse train DATA --recipe recipe.yaml` trains each again, and `obverse ensemble` joins them.",
}


def model_card(
    facts: Mapping[str, str], classes: Sequence[str], *, num_trained: str, what: str, licence: str = ""
) -> Section:
    """Intended use, limits, licence and people.

    num_trained: counts of samples. what: what an answer is, in words. licence: that of a published model.
    """
    data = data_name(facts) or "its training data"
    names = ", ".join(classes[:MOST_NAMES]) + (", ..." if len(classes) > MOST_NAMES else "")
    rows: list[Row] = [
        ("intended use", f"answers {what} of {len(classes)} classes ({names}) for pictures taken like those of {data}"),
        ("limits", LIMITS),
        ("training data", num_trained or "not known"),
        *([("licence of this model", licence)] if licence else []),
        ("licence of the pretrained weights", facts.get("licence of the weights", "not known")),
        ("people", PEOPLE),
    ]
    return Section("Model card", (Table(("about", "what holds"), tuple(rows)),), topic="card")


def reproduction_section(facts: Mapping[str, str]) -> Section:
    """The facts for a second training; empty where none is known."""
    rows = tuple((name, facts[name]) for name in REPRODUCTION if name in facts)
    kind = next((name for name in ("folds", "members") if name in facts), "run")
    sentence = f"{WHERE[kind]} {FILES} {AGAIN[kind]}"
    return Section("How to reproduce", (Text(sentence), Table(("what", "value"), rows)), topic="reproduce")
