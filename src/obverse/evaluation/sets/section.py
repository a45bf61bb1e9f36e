"""The report's section on prediction sets."""

from __future__ import annotations

from collections.abc import Iterator

from obverse.decisions import promise
from obverse.evaluation.estimates import Estimate
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.sections import metric_row
from obverse.report import Block, Row, Section, Table, Text

from .measure import ClassCoverage, SetsMetrics

# Rows of the table of classes, and sizes that have a row of their own.
NUM_WORST = 5
NUM_SIZES = 6


def sets_section(predictions: Predictions, measured: SetsMetrics) -> Section:
    """The section: the promise, what holds here, sizes, and the classes with the lowest coverage."""
    is_set = predictions.kind.is_set
    texts = tuple(map(Text, _sentences(predictions, measured)))
    what = "true classes in the set" if is_set else "sets with the true class"
    rows = (
        metric_row(what, measured.coverage, share=True),
        metric_row("classes in a set, on average", measured.mean_size),
    )
    blocks: tuple[Block, ...] = (
        *texts,
        Table(("metric", "value", "95 % interval"), rows),
        Table(("classes in the set", "samples", "share"), tuple(_size_rows(measured))),
    )
    if measured.classes:
        header = ("class", "samples", "in the set", "interval for all classes at once")
        lowest = tuple(_class_row(of_class) for of_class in measured.lowest_first[:NUM_WORST])
        blocks = (*blocks, Text(_about_classes(measured)), Table(header, lowest))
    return Section("Prediction sets", blocks, topic="sets")


def _sentences(predictions: Predictions, measured: SetsMetrics) -> Iterator[str]:
    kind, rules = predictions.kind, measured.rules
    if kind.is_set:
        yield "A set is the answer with all classes that may be there, too."
    elif kind.ordered:
        yield "A set is a range of classes around the answer in which the true class lies."
    else:
        yield "A set is the answer with the other classes that it could be."
    if len(rules) == 1:
        yield f"The promise: {promise(rules[0])}."
        if predictions.split == "val":
            yield "The rule was fitted on these very samples, so that their coverage says nothing about new ones."
        elif rules[0].fitted_on == "val":
            yield (
                "Val has chosen the epoch and fitted the calibration before it fitted the rule, so that the promise is "
                "a little kind; here is what holds on samples that chose nothing."
            )
    else:
        yield f"Each of {len(rules)} folds has a rule of its own; the first promises {promise(rules[0])}."
    held = "of the true classes are in their set" if kind.is_set else "of the sets hold the true class"
    size = f"{measured.mean_size.value:.3g}"
    yield f"Here {_with_interval(measured.coverage)} {held}, and a set has {size} classes on average."
    if measured.is_short:
        yield (
            "That is less than the size of val explains: these samples are not like those of val, for example of "
            "another camera or with other class frequencies."
        )


def _with_interval(share: Estimate) -> str:
    if share.low is None or share.high is None:
        return f"{100 * share.value:.1f} % (no interval: {share.reason})"
    return f"{100 * share.value:.1f} % (95 % interval {100 * share.low:.1f} to {100 * share.high:.1f})"


def _size_rows(measured: SetsMetrics) -> Iterator[Row]:
    """Rows of the sizes: each up to NUM_SIZES, the rest together, and sets of every class apart."""
    total, any_class = sum(measured.sizes.values()), measured.num_classes
    rest = {size: num for size, num in measured.sizes.items() if size > NUM_SIZES and size != any_class}
    rows = [(str(size), num) for size, num in measured.sizes.items() if size <= NUM_SIZES and size != any_class]
    rows += [(f"{min(rest)} to {max(rest)}", sum(rest.values()))] if rest else []
    rows += [(f"any ({any_class})", measured.sizes[any_class])] if any_class in measured.sizes else []
    for name, num in rows:
        yield name, f"{num:,}", f"{100 * num / total:.1f} %"


def _about_classes(measured: SetsMetrics) -> str:
    worst, num = measured.lowest_first[0], len(measured.classes)
    first = (
        f"Lowest coverage of a class: {worst.name}, {100 * worst.value:.0f} % of {worst.num_samples} samples. Of {num} "
        "classes some are low by chance, so the intervals below are wide enough for all at once."
    )
    if num > NUM_WORST:
        first += f" The table has the {NUM_WORST} lowest of {num:,}; metrics.json has all."
    if not measured.below:
        return f"{first} No class is below {100 * measured.level:g} % beyond chance."
    names = ", ".join(of_class.name for of_class in measured.below[:NUM_WORST])
    more = f" and {len(measured.below) - NUM_WORST} more" if len(measured.below) > NUM_WORST else ""
    return f"{first} Below {100 * measured.level:g} % beyond chance: {names}{more}."


def _class_row(of_class: ClassCoverage) -> Row:
    ends = f"{100 * of_class.low:.0f} to {100 * of_class.high:.0f} %"
    return of_class.name, str(of_class.num_samples), f"{100 * of_class.value:.1f} %", ends
