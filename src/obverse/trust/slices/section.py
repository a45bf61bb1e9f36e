"""The report's section on slices, with its values for metrics.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from obverse.decisions import percent
from obverse.evaluation import Predictions, Topic
from obverse.manifest import Manifest
from obverse.metrics import Units
from obverse.report import Section, Table, Text

from .attributes import class_attribute, manifest_attributes
from .find import NUM_HALVINGS, POWER, Slices, WeakSlice, find_slices
from .losses import Losses, sample_losses
from .pictures import MOST_SAMPLES, Pictures

TITLE = "Where the model is worse"


def slices_topic(predictions: Predictions, manifest: Manifest, *, select: str) -> Topic:
    """The section on weak slices of an evaluation. select: the metric by which the best epoch was chosen."""
    labelled = predictions.labelled()
    place = {name: row for row, name in enumerate(manifest.samples.ids)}
    samples = manifest.samples.take([place[name] for name in labelled.ids])
    losses, units = sample_losses(labelled, select), labelled.units
    pictures = Pictures.of(samples, manifest)
    attributes = [*manifest_attributes(samples, manifest), *pictures.attributes(), *class_attribute(labelled)]
    result = find_slices(losses, units, attributes)
    num_pictures = min(len(samples), MOST_SAMPLES)
    values = {
        "measure": losses.measure,
        **asdict(result),
        "sentences": [sentence(one, losses, units) for one in result.weak],
        "num_samples_with_pictures": num_pictures,
        # One class per sample: multi-label samples have no single class that a cue could give away.
        "shortcuts": [] if labelled.kind.is_set else pictures.shortcuts(),
    }
    return Topic(slices_section(result, losses, units, num_pictures=num_pictures), "slices", values)


def slices_section(result: Slices, losses: Losses, units: Units, *, num_pictures: int) -> Section:
    """The section: the weak slices in words and as a table, or what would have been seen."""
    if result.num_examined == 0:
        few = "No slice has 10 independent samples with as many beside it, so none could be compared with the rest."
        return Section(TITLE, (Text(few),), topic="slices")
    how = Text(" ".join(_how(result, losses, units, num_pictures)), is_quiet=True)
    if not result.weak:
        return Section(TITLE, (Text(none_is_worse(result, losses)), how), topic="slices")
    sentences = (Text(sentence(one, losses, units)) for one in result.weak)
    header = (
        "samples",
        "number",
        "here",
        "elsewhere",
        "difference",
        "95 % interval",
        "p after Holm",
        "shares samples with",
    )
    rows = tuple(_row(one, losses) for one in result.weak)
    return Section(TITLE, (*sentences, Table(header, rows), how), topic="slices")


def sentence(one: WeakSlice, losses: Losses, units: Units) -> str:
    """A weak slice in words."""
    low, high = (_amount(value, losses) for value in (one.low, one.high))
    groups = f" of {one.num_units} groups" if units.are_groups else ""
    worse = f"{_amount(one.difference, losses)} {_unit(losses)} than the rest ({low} to {high})"
    return f"Samples {one.words}: {worse}, {one.num_samples} samples{groups}."


def none_is_worse(result: Slices, losses: Losses) -> str:
    """One sentence for a search without result: what was looked at, and what could have been seen."""
    assert result.detectable is not None
    beside = f"{result.num_examined} slices by {', '.join(result.attributes)}"
    most = losses.most - float(losses.values_N.mean())
    if result.detectable > most:
        if most < losses.most / 2:
            return (
                f"None of {beside} is worse beyond chance. {_already(losses)} already, so that a slice can be at most "
                f"{_amount(most, losses)} {_unit(losses)} than the rest: less than would have been seen reliably "
                f"in one of {result.usual_size} samples (the usual size)."
            )
        return (
            f"None of {beside} is worse beyond chance; with so few samples, no difference that is possible in a slice "
            f"of {result.usual_size} samples (the usual size) would have been seen reliably."
        )
    return (
        f"None of {beside} is worse beyond chance; a slice of {result.usual_size} samples (the usual size) would have "
        f"been seen, with a chance of {100 * POWER:.0f} %, from about {_amount(result.detectable, losses)} "
        f"{_unit(losses)} on."
    )


def _already(losses: Losses) -> str:
    mean = float(losses.values_N.mean())
    return {
        "error": f"{percent(mean)} of all answers are wrong",
        "steps": f"Answers are {mean:.2f} steps off on average",
        "overlap": f"Answers differ from the label sets by {percent(mean)} on average (1 less the F1)",
    }[losses.measure]


def _how(result: Slices, losses: Losses, units: Units, num_pictures: int) -> Iterator[str]:
    what = "groups" if units.are_groups else "samples"
    yield f"Compared is {losses.explained}; {result.num_examined} slices were examined"
    yield (
        f"(the first of more; by {', '.join(result.attributes)})."
        if result.is_cut
        else (f"(by {', '.join(result.attributes)}).")
    )
    yield (
        "A slice is named where it is worse after Holm's correction for all of them, and where one half of the "
        f"{what} shows it and the other confirms it in most of {NUM_HALVINGS} random halvings."
    )
    if result.weak:
        yield "It need not be the cause: whatever differs along with it, such as the mix of classes, may be."
    if num_pictures < len(losses.values_N):
        yield f"Sizes, formats, cameras and light are those of {num_pictures:,} samples chosen at random."


def _row(one: WeakSlice, losses: Losses) -> tuple[str, ...]:
    here, elsewhere, difference = (_amount(value, losses) for value in (one.loss, one.rest, one.difference))
    interval = f"{_amount(one.low, losses)} to {_amount(one.high, losses)}"
    unit = "" if losses.measure == "steps" else " %"
    p_value = "<0.001" if one.p_value < 0.001 else f"{one.p_value:.3f}"
    also = "; ".join(one.also)
    return (one.words, str(one.num_samples), f"{here}{unit}", f"{elsewhere}{unit}", difference, interval, p_value, also)


def _amount(value: float, losses: Losses) -> str:
    return f"{value:.2f}" if losses.measure == "steps" else f"{100 * value:.0f}"


def _unit(losses: Losses) -> str:
    return "steps farther off" if losses.measure == "steps" else "points worse"
