"""The table of suspects, which a person edits and `obverse train --fixes` applies.

Columns: those of `obverse.manifest.sources.fixes`, then score, why and the pictures. Every action is `keep`: nothing
changes before a person has looked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from obverse.files import write_whole
from obverse.manifest import FIX_COLUMNS, Sample

from .ranking import Ranking

SEPARATOR = "|"


def write_table(ranking: Ranking, samples: Sequence[Sample], views: Sequence[str], path: Path) -> None:
    """Write the suspects as CSV. samples: those of the evidence, in its order. OSError when it cannot be written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(table_rows(ranking, samples, views))
    # The mark tells spreadsheets that the table is UTF-8.
    write_whole(path, text.getvalue().encode("utf-8-sig", "surrogateescape"))


def table_rows(ranking: Ranking, samples: Sequence[Sample], views: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the header of the table, then a row for each suspect."""
    pictures = tuple(f"picture {view}" for view in views) if len(views) > 1 else ("picture",)
    yield (*FIX_COLUMNS, "score", "why", *pictures)
    for suspect in ranking.suspects:
        sample = samples[suspect.place]
        labels = (SEPARATOR.join(suspect.given), SEPARATOR.join(suspect.suggested))
        paths = (sample.views.get(view, "") for view in views)
        yield (sample.id, *labels, "keep", f"{suspect.score:.4f}", suspect.why, *paths)
