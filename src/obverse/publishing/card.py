"""Model card: what a model answers, how good it is, what it is for, and under which licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from obverse.bundle import Bundle
from obverse.decisions import limit_words, most_of_val, percent, promise, why_none
from obverse.evaluation import Measured, data_name, measured_section, model_card, shortened
from obverse.report import Page, Row, Section, Table, Text, plain_text, to_markdown

from .front_matter import front_matter, weights_words

MOST_CLASSES = 100
TRAINING = ("data", "samples", "trained", "recipe", "model", "parameters", "loss", "epochs", "training time")
"""Facts of the run that tell how it was trained."""
UNMEASURED = "No test numbers: this model was published without an evaluation on a test split. Measure it on labelled "
MEASURE = "pictures of your own before you rely on it: `obverse evaluate . --data PICTURES --out FOLDER`."


@dataclass(frozen=True)
class Origin:
    """Facts about the run that a model came from."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Name -> value, as reports show them."""

    measured: Measured | None = None
    """The numbers on test; None where there are none."""


def write_card(path: Path, name: str, bundle: Bundle, *, origin: Origin, licence: str, no_timm: str) -> None:
    """Write README.md. name: of the model. no_timm: why timm cannot load the weights; empty where it can."""
    facts = shortened(origin.facts) | {"licence of the weights": weights_words(bundle)}
    measured = origin.measured
    head = front_matter(
        name,
        bundle,
        licence=licence,
        data=data_name(facts),
        estimates=measured.estimates if measured else {},
        has_timm=not no_timm,
    )
    numbers = measured_section(measured) if measured else Section("Numbers on test", (Text(UNMEASURED + MEASURE),))
    what = "any number" if bundle.multi_label else "one"
    sections = (
        numbers,
        _answers(bundle),
        model_card(
            facts, bundle.classes, num_trained=facts.get("samples", ""), what=what, licence=licence or "not stated"
        ),
        _training(bundle, facts),
        _classes(bundle),
    )
    page = to_markdown(Page(name, sections, (Text(_lead(bundle, facts)),)), path.parent)
    text = f"{head}\n{page}\n{_usage(bundle, no_timm)}"
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _lead(bundle: Bundle, facts: Mapping[str, str]) -> str:
    number = "any number" if bundle.multi_label else "one"
    order = ", which have an order," if bundle.ordered else ""
    several = len(bundle.views) > 1
    views = f"an object in {len(bundle.views)} views ({', '.join(bundle.views)})" if several else "a picture"
    data = f" It was trained on {data_name(facts)}." if data_name(facts) else ""
    return f"An image classifier that answers {number} of {len(bundle.classes)} classes{order} for {views}.{data}"


def _answers(bundle: Bundle) -> Section:
    """How to read an answer: probabilities, sets and decisions."""
    return Section("How to read an answer", tuple(Text(sentence) for sentence in _answer_sentences(bundle)))


def _answer_sentences(bundle: Bundle) -> Iterator[str]:
    output = bundle.output
    if output.calibration is None:
        yield "Probabilities rank classes. They are not calibrated: do not read them as how often answers are right."
    else:
        num = f"{output.calibration.num_samples:,} samples of val"
        what = "classes at 80 % about 80 % are there" if bundle.multi_label else "answers at 80 % about 80 % are right"
        yield f"Probabilities are calibrated on {num}: of {what}, for pictures of the same kind."
    if output.sets is not None:
        yield f"Every answer comes with a set of classes. What it promises: {promise(output.sets)}."
    acceptance = output.acceptance
    if acceptance is None:
        return
    if acceptance.threshold is None:
        yield f"All answers are left to a person, because {why_none(acceptance)}."
    else:
        yield (
            f"{limit_words(acceptance.threshold, is_set=bundle.multi_label)} are accepted, of which with 95 % "
            f"confidence at most {percent(acceptance.wanted_error)} are wrong; the others are left to a person."
        )
    if output.outliers is not None:
        yield f"A sample less like the training pictures than {most_of_val(output.outliers)} is rejected."


def _training(bundle: Bundle, facts: Mapping[str, str]) -> Section:
    size = f"{bundle.geometry.width}x{bundle.geometry.height} (width x height), {bundle.geometry.fit}"
    rows: list[Row] = [(name, facts[name]) for name in TRAINING if facts.get(name)]
    return Section("How it was trained", (Table(("what", "value"), (*rows, ("input", size))),))


def _classes(bundle: Bundle) -> Section:
    rows = tuple((str(place), name) for place, name in enumerate(bundle.classes[:MOST_CLASSES]))
    more = len(bundle.classes) - len(rows)
    rest = (Text(f"And {more:,} more; all of them are in bundle/model.json."),) if more else ()
    return Section("Classes", (Table(("number", "class"), rows), *rest))


def _usage(bundle: Bundle, no_timm: str) -> str:
    """The section on loading, as Markdown. Names in it are Python literals of one line."""
    views = {plain_text(view): f"{place}.jpg" for place, view in enumerate(bundle.views, 1)}
    example = repr(views) if len(views) > 1 else '"picture.jpg"'
    command = (
        "" if len(views) > 1 else "obverse predict FOLDER picture.jpg        # FOLDER: a copy of this repository\n"
    )
    lines = [
        "## How to use it\n",
        "With Obverse (`pip install obverse`), which reads the folder `bundle`: pixels, calibration and decisions are "
        "those of the numbers above.\n",
        f"```text\n{command}obverse serve FOLDER --ui\n```\n",
        f"```python\nimport obverse\n\nobverse.load(\"FOLDER\").predict({example})\n```\n",
    ]  # fmt: skip
    if no_timm:
        return "\n".join([*lines, f"timm does not load these weights, because {no_timm}.\n"])
    function = "sigmoid" if bundle.multi_label else "softmax"
    return "\n".join([
        *lines,
        f"With timm alone; the {function} of its logits are the same probabilities for the same pixels, but timm "
        "resizes in its own way, so that answers may differ a little:\n",
        '```python\nimport timm\n\nmodel = timm.create_model("hf-hub:OWNER/NAME", pretrained=True).eval()'
        "      # or local-dir:FOLDER\n```\n",
    ])  # fmt: skip
