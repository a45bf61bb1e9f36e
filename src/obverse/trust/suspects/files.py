"""The table and the page of suspects in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.data import PictureDataset
from obverse.errors import OutputError
from obverse.explain import thumbnails_of
from obverse.files import write_whole
from obverse.report import to_html

from .page import suspects_page
from .ranking import Ranking
from .table import write_table

TABLE, PAGE = "suspects.csv", "suspects.html"


def write_suspects(
    out: Path, ranking: Ranking, dataset: PictureDataset, *, title: str, used: Sequence[str]
) -> tuple[Path, Path]:
    """Paths of the table and the page, after writing them into the folder `out`.

    dataset: the samples of the ranking, in its order. title: name of what was judged. used: sentences on the judges.
    Raises OutputError when a file cannot be written.
    """
    page = suspects_page(ranking, title, used=used, thumbnails=thumbnails_of(dataset, {}))
    try:
        write_table(ranking, dataset.samples, dataset.manifest.views, out / TABLE)
        write_whole(out / PAGE, to_html(page).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"{str(out)!r} cannot be written: {error.strerror or error}; choose another --out") from None
    return out / TABLE, out / PAGE
