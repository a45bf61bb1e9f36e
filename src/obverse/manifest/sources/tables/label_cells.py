"""Label columns: one class in a cell, several in a cell, or a column of 0 and 1 for each class.

Several classes are read only from cells that are lists, or where the recipe says so. Text that merely looks like
several classes is one class, and gives a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obverse.errors import DataError
from obverse.manifest.label_sets import SEPARATOR, joined
from obverse.manifest.sample import Finding
from obverse.recipe import DataSpec, did_you_mean

from .rows import SET_WORDS

# Usual separators of several classes in a cell.
LIKELY_SEPARATORS = ("|", ";", ",")
# Least fraction of the samples whose label has a separator, from which labels are reported as likely sets.
LEAST_SHARE = 0.1
YES_NO = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}


@dataclass(frozen=True)
class LabelCells:
    """Layout of the labels in a table."""

    columns: tuple[str, ...]
    """The label column, or one column of 0 and 1 for each class."""

    multi_label: bool
    """Whether a sample has any number of classes."""

    separator: str | None = None
    """Separator of the classes in a cell; None if a cell is one class, or each class has a column."""

    def label(self, row: Mapping[str, Any], where: str) -> str:
        """The class of a row, or its label set as text."""
        if not self.multi_label:
            return str(row[self.columns[0]]).strip()
        if self.separator is None:
            return joined((name for name in self.columns if _is_yes(row[name], f"{where}, column `{name}`")), where)
        cell = str(row[self.columns[0]]).strip()
        return joined(cell.split(self.separator), where) if cell else ""


def find_label(
    columns: Sequence[str], single: Sequence[str], lists: Collection[str], spec: DataSpec, title: str
) -> LabelCells | None:
    """The label column or columns, by `spec` or by name; None when there are none.

    single: columns named like a single label, the likeliest first. lists: columns whose cells are lists.
    """
    if spec.label_columns:
        for name in spec.label_columns:
            if name not in columns:
                raise DataError(f"{title}: data.label_columns names {name!r}, and there is no such column"
                                f"{did_you_mean(name, list(columns))}")  # fmt: skip
        return LabelCells(spec.label_columns, multi_label=True)
    if spec.label_column is not None:
        if spec.label_column not in columns:
            hint = did_you_mean(spec.label_column, list(columns))
            raise DataError(f"{title}: data.label_column is {spec.label_column!r}, and there is no such column{hint}; "
                            f"the columns are {', '.join(columns)}")  # fmt: skip
        return _of_column(spec.label_column, lists, spec, title)
    several = [column for word in SET_WORDS for column in columns if column.lower() == word]
    by_mode = {"multi": several, "single": single}
    # A column with a plural name and plain text cells is not taken for a single label.
    candidates = by_mode.get(spec.labels) or single or [column for column in several if column in lists]
    if not candidates:
        return None
    return _of_column(candidates[0], lists, spec, title)


def _of_column(column: str, lists: Collection[str], spec: DataSpec, title: str) -> LabelCells:
    if column not in lists:
        is_several = spec.labels == "multi"
        return LabelCells((column,), is_several, spec.label_separator if is_several else None)
    if spec.labels == "single" or spec.label_separator != SEPARATOR:
        wrong = "data.labels=single" if spec.labels == "single" else "data.label_separator"
        raise DataError(f"{title}: the column `{column}` holds lists of classes; leave out {wrong}")
    return LabelCells((column,), multi_label=True, separator=SEPARATOR)


def looks_like_sets(labels: Iterable[str]) -> list[Finding]:
    """A note when labels look like several classes in one cell; they are read as one class all the same.

    Labels look so when their parts recur in other combinations: there are fewer distinct parts than labels.
    """
    counts = Counter(labels)
    for separator in LIKELY_SEPARATORS:
        whole = [label for label in counts if separator in label]
        parts = {part.strip() for label in counts for part in label.split(separator)}
        num_samples = sum(counts[label] for label in whole)
        if whole and num_samples >= LEAST_SHARE * counts.total() and len(parts) < len(counts):
            given = "" if separator == SEPARATOR else f" data.label_separator='{separator}'"
            message = (
                f"{num_samples} label(s) contain `{separator}`, such as {whole[0]!r}, and each is taken as one class; "
                f"if they are several: data.labels=multi{given}"
            )
            return [Finding("note", "several-labels", message)]
    return []


def _is_yes(cell: Any, where: str) -> bool:
    answer = YES_NO.get(str(cell).strip().lower())
    if answer is None:
        raise DataError(f"{where}: expected 0 or 1, found {str(cell)!r}")
    return answer
