"""Rows of a table of predictions: the columns of a model, and the cells of each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obverse.inference.prediction import Prediction
from obverse.inference.requests import Failure

if TYPE_CHECKING:  # the predictor writes results itself
    from obverse.inference.predictor import Predictor

Cell = str | float | None
Answer = Prediction | Failure
# Columns about each similar training sample.
SIMILAR = ("similar", "similar_label", "cosine")
# Joins the names of a set in one cell.
JOINT = "|"


# Columns that every table has, whatever the model, and the beginnings of numbered ones.
OWN = ("id", "labels", "set", "confidence", "decision", "reason", "error")
OWN_NUMBERED = ("similar_", "cosine_")


@dataclass(frozen=True)
class Rows:
    """Columns of a table of predictions, and the conversion of an answer to a row's cells."""

    columns: tuple[str, ...]
    """Names of the columns; the first is `id`, the last `error`."""

    numeric: tuple[bool, ...]
    """Whether each column holds numbers; the others hold text."""

    num_similar: int = 0
    """Number of similar training samples that have columns."""

    @classmethod
    def of(cls, predictor: Predictor, num_top: int) -> Rows:
        """The columns for a predictor's answers. num_top: number of classes with their probabilities in a row."""
        bundle = predictor.bundle
        num_similar = 0 if predictor.among is None else predictor.num_similar
        if bundle.kind.is_set:
            places = [("labels", False), *((name, True) for name in _class_columns(predictor.classes))]
        else:
            ranks = range(1, min(num_top, len(predictor.classes)) + 1)
            places = [pair for place in ranks for pair in ((f"class_{place}", False), (f"probability_{place}", True))]
        evidence = [(f"{what}_{place}", what == "cosine") for place in range(1, num_similar + 1) for what in SIMILAR]
        columns = [
            ("id", False),
            *places,
            *[("set", False)] * (bundle.output.sets is not None),
            ("confidence", True),
            ("decision", False),
            ("reason", False),
            *evidence,
            ("error", False),
        ]
        return cls(tuple(name for name, _ in columns), tuple(is_number for _, is_number in columns), num_similar)

    def cells(self, answer: Answer) -> list[Cell]:
        """The cells of an answer's row; None for an empty one."""
        if isinstance(answer, Failure):
            return [answer.id, *[None] * (len(self.columns) - 2), answer.error]
        places: list[Cell] = [cell for pair in answer.top for cell in pair]
        if answer.is_set:
            places = [JOINT.join(sorted(name for name, _ in answer.labels)), *answer.probabilities.values()]
        if answer.set_level is not None:
            places.append(JOINT.join(answer.set))
        evidence: list[Cell] = [cell for one in answer.similar for cell in (one.id, one.label, one.cosine)]
        evidence += [None] * (self.num_similar * len(SIMILAR) - len(evidence))
        return [answer.id, *places, answer.confidence, answer.decision, answer.reason or None, *evidence, None]


def _class_columns(classes: Sequence[str]) -> Iterator[str]:
    """The column of each class's probability: the class's name, with `class ` before it where another column has it."""
    taken = {*OWN, *classes}
    for name in classes:
        column = name
        if name in OWN or name.startswith(OWN_NUMBERED):
            column = f"class {name}"
            while column in taken:
                column = f"class {column}"
        taken.add(column)
        yield column
