"""Explanation maps as files and as a section of the report.

attention_maps/
  000012.png     row 12 of the prediction arrays: for each view, the picture and then each map as an overlay
  maps.csv       file, row, id, label, predicted, probability, methods, explained, influence
  overview.png   some of them, for the report
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

from PIL import Image

from obverse.data import PictureDataset
from obverse.decisions import Kind, to_probabilities
from obverse.engines import TorchEngine
from obverse.errors import ObverseError, OutputError
from obverse.evaluation import Predictions, surest_mistakes
from obverse.report import Block, Figure, Picture, Section, Table, Text

from .explain import Explanation, explain
from .influence import Influence, influence_sentences
from .methods import METHODS
from .picture import draw, overlay
from .thumbnails import thumbnail

FOLDER, INDEX, OVERVIEW = "attention_maps", "maps.csv", "overview.png"
REPORT_TILE, NUM_SHEETS = 224, 4
TITLE = "Where the model looks"
# What tells an index of ours from any other table, whatever its version.
OWN = ("file", "row", "id", "label", "predicted", "probability")
MAP_NAME = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class Drawn:
    """One row of maps.csv."""

    file: str
    row: int
    id: str
    label: str
    predicted: str
    probability: float
    methods: str

    explained: str
    """The class that the maps are of: the predicted one, unless another one was asked for."""

    influence: str = ""
    """What each view adds to the probability of that class, in points of per cent; empty for a sample of one view."""


@dataclass(frozen=True)
class ReportMaps:
    """What a report shows of maps."""

    section: Section | None = None

    thumbnails: Mapping[int, tuple[Picture, ...]] = field(default_factory=dict)
    """Row -> its maps, small, for the galleries."""


class MapFolder:
    """Writer of a folder of maps, picture by picture. Earlier maps are removed, other files are not touched."""

    def __init__(self, path: Path, classes: Sequence[str], kind: Kind, *, tile: int) -> None:
        self.path, self.classes, self.kind, self.tile = path, classes, kind, tile
        self.drawn: list[Drawn] = []
        self.influences: list[Influence] = []
        self.thumbnails: dict[int, tuple[Picture, ...]] = {}
        self._sheets: list[Image.Image] = []
        path.mkdir(parents=True, exist_ok=True)
        for old in _earlier(path):
            old.unlink(missing_ok=True)

    def add(self, row: int, explanation: Explanation, label: str = "") -> Drawn:
        """Draw and save one sample."""
        answer, target = self.classes[explanation.answer], self.classes[explanation.target]
        probability = float(to_probabilities(explanation.logits_K[None], self.kind)[0, explanation.answer])
        sheet = draw(explanation, target, tile=self.tile, title=_title(answer, probability, label))
        file = f"{row:06d}.png"
        sheet.save(self.path / file, compress_level=1)
        self.thumbnails[row] = tuple(_thumbnails(explanation))
        if len(self._sheets) < NUM_SHEETS:
            self._sheets.append(sheet)
        methods = " ".join(next(iter(explanation.maps.values())))
        moved = explanation.influence
        self.influences += [] if moved is None else [moved]
        influence = "" if moved is None else moved.words
        self.drawn.append(Drawn(file, row, explanation.id, label, answer, probability, methods, target, influence))
        return self.drawn[-1]

    def close(self) -> None:
        """Write the index and the overview."""
        with (self.path / INDEX).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(column.name for column in fields(Drawn))
            writer.writerows(astuple(drawn) for drawn in self.drawn)
        if self._sheets:
            _stacked(self._sheets).save(self.path / OVERVIEW, compress_level=1)


def _thumbnails(explanation: Explanation) -> Iterator[Picture]:
    """The first map of each view, small."""
    for view, maps in explanation.maps.items():
        for method, heat_HW in list(maps.items())[:1]:
            yield thumbnail(overlay(explanation.views[view], heat_HW), f"{view}: {method}")


def _title(answer: str, probability: float, label: str) -> str:
    """The true label, where it is known, and the answer."""
    return f"{f'true: {label}, ' if label else ''}predicted: {answer} {100 * probability:.0f} %"


def require_free(path: Path) -> None:
    """Raise OutputError when `path` is a file, or a folder with anything but maps."""
    if path.is_dir() and any(path.iterdir()) and _listed(path) is None:
        raise OutputError(f"{str(path)!r} is not empty and holds no maps; choose another --out")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{str(path)!r} is a file; choose another --out")


def report_maps(
    folder: Path,
    predictions: Predictions,
    dataset: PictureDataset,
    engine: TorchEngine | None,
    num: int,
) -> ReportMaps:
    """The maps of `num` samples, which are drawn into folder/attention_maps, for the report.

    Half of them are the most confident mistakes, which come first, the rest the first samples of the split. In
    multi-label data the map is of the likeliest class. A network that cannot be explained gives a note in the report,
    not an error.
    """
    if num == 0 or engine is None:
        return ReportMaps()
    try:
        maps = MapFolder(folder / FOLDER, predictions.classes, engine.forward.kind, tile=REPORT_TILE)
        for row in chosen_rows(predictions, num):
            batch = dataset[[(0, row, True)]]
            for explanation in explain(engine, batch, dataset.manifest.views):
                maps.add(row, explanation, dataset.samples[row].label)
        maps.close()
    except (OSError, ObverseError):
        raise
    except Exception as error:  # a network of unknown structure may fail in any way
        fault = " ".join(str(error).split())[:300]
        return ReportMaps(Section(TITLE, (Table(("maps",), ((f"could not be drawn: {fault}",),)),), topic="maps"))
    return ReportMaps(_section(maps), maps.thumbnails)


def chosen_rows(predictions: Predictions, num: int) -> list[int]:
    """Row numbers: up to num / 2 of the most confident mistakes, the surest first, then the first other rows."""
    mistakes = surest_mistakes(predictions)[: num // 2].tolist()
    first = [row for row in range(len(predictions.ids)) if row not in mistakes][: num - len(mistakes)]
    return [*mistakes, *first]


def _section(maps: MapFolder) -> Section:
    methods = " ".join(drawn.methods for drawn in maps.drawn).split()
    named = "; ".join(f"{name}: {text}" for name, text in METHODS.items() if name in methods)
    num_sheets = min(NUM_SHEETS, len(maps.drawn))
    has_views = bool(maps.influences)
    header = ("file", "sample", "label", "predicted", *["moved by"] * has_views)
    rows = tuple(
        (drawn.file, drawn.id, drawn.label, drawn.predicted, *[drawn.influence or "one view"] * has_views)
        for drawn in maps.drawn
    )
    blocks: tuple[Block, ...] = (
        Text(f"{named}. Bright is strong, each map on its own scale."),
        Text(f"{num_sheets} of {len(maps.drawn)}, the surest mistakes first; all are in {FOLDER}."),
        Figure(maps.path / OVERVIEW, "maps", f"Pictures of {num_sheets} samples, each beside its maps."),
        *map(Text, influence_sentences(maps.influences)),
        Table(header, rows),
    )
    return Section(TITLE, blocks, topic="maps")


def _earlier(path: Path) -> Iterator[Path]:
    """The maps in a folder, with their index and overview; none where another program wrote the index."""
    names = _listed(path)
    if names is not None:
        yield from (path / name for name in (*names, OVERVIEW, INDEX))


def _listed(path: Path) -> list[str] | None:
    """The names of the maps in a folder's index; None without an index of ours, so that no file of others goes."""
    index = path / INDEX
    if not index.is_file():
        return None
    with suppress(OSError, ValueError, csv.Error), index.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ())[: len(OWN)] == OWN:
            return [row["file"] for row in reader if MAP_NAME.fullmatch(row["file"] or "")]
    return None


def earlier_maps(folder: Path) -> Iterator[str]:
    """The maps of an earlier report in `folder`, as paths from there."""
    yield from (path.relative_to(folder).as_posix() for path in _earlier(folder / FOLDER))


def _stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
