"""Maps of where a model looks, as files and as a part of the report.

attention_maps/
  000012.png     row 12 of the arrays beside it: per view the picture, then each map laid over it
  maps.csv       file, row, id, label, predicted, probability, methods
  overview.png   some of them, for the report
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from PIL import Image

from obverse.data import PictureDataset
from obverse.decisions import Kind, to_probabilities
from obverse.engines import TorchEngine
from obverse.errors import ObverseError, OutputError
from obverse.evaluation import Predictions, surest_mistakes
from obverse.report import Figure, Section, Table, Text

from .explain import Explanation, explain
from .picture import draw

FOLDER, INDEX, OVERVIEW = "attention_maps", "maps.csv", "overview.png"
REPORT_TILE, NUM_SHOWN = 224, 4
TITLE = "Where the model looks"


@dataclass(frozen=True)
class Drawn:
    """One line of maps.csv."""

    file: str
    row: int
    id: str
    label: str
    predicted: str
    probability: float
    methods: str


class MapFolder:
    """A folder of maps, written picture by picture; maps of an earlier time go, and nothing else is touched."""

    def __init__(self, path: Path, classes: Sequence[str], kind: Kind, *, tile: int) -> None:
        self.path, self.classes, self.kind, self.tile = path, classes, kind, tile
        self.drawn: list[Drawn] = []
        self._shown: list[Image.Image] = []
        path.mkdir(parents=True, exist_ok=True)
        for old in _earlier(path):
            old.unlink(missing_ok=True)

    def add(self, row: int, explanation: Explanation, label: str = "") -> Drawn:
        """Draw one sample."""
        answer = self.classes[explanation.answer]
        sheet = draw(explanation, answer, tile=self.tile)
        file = f"{row:06d}.png"
        sheet.save(self.path / file, compress_level=1)
        if len(self._shown) < NUM_SHOWN:
            self._shown.append(sheet)
        probability = float(to_probabilities(explanation.logits_K[None], self.kind)[0, explanation.answer])
        methods = " ".join(next(iter(explanation.maps.values())))
        self.drawn.append(Drawn(file, row, explanation.id, label, answer, probability, methods))
        return self.drawn[-1]

    def close(self) -> None:
        """Write the index and the overview."""
        with (self.path / INDEX).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Drawn))
            writer.writerows(astuple(drawn) for drawn in self.drawn)
        if self._shown:
            _stacked(self._shown).save(self.path / OVERVIEW, compress_level=1)


def require_free(path: Path) -> None:
    """OutputError when `path` holds something else than maps."""
    if path.is_dir() and any(path.iterdir()) and not (path / INDEX).is_file():
        raise OutputError(f"{str(path)!r} is not empty and holds no maps; choose another --out")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{str(path)!r} is a file; choose another --out")


def report_maps(
    folder: Path,
    predictions: Predictions,
    dataset: PictureDataset,
    engine: TorchEngine | None,
    num: int,
) -> Section | None:
    """Draw `num` samples of a split into folder/attention_maps; the report's section about them.

    Mistakes are half of them, the surest first, the rest are the first of the split. Of multi-label data the map is of
    the likeliest class. What a network does not show is said in the report, and never costs a run its result.
    """
    if num == 0 or engine is None:
        return None
    try:
        maps = MapFolder(folder / FOLDER, predictions.classes, engine.forward.kind, tile=REPORT_TILE)
        for row in chosen_rows(predictions, num):
            batch = dataset[[(0, row, True)]]
            for explanation in explain(engine, batch, dataset.manifest.views):
                maps.add(row, explanation, dataset.samples[row].label)
        maps.close()
    except (OSError, ObverseError):
        raise
    except Exception as error:  # networks of any kind come here
        fault = " ".join(str(error).split())[:300]
        return Section(TITLE, (Table(("maps",), ((f"could not be drawn: {fault}",),)),))
    return _section(maps)


def chosen_rows(predictions: Predictions, num: int) -> list[int]:
    """Up to num / 2 of the surest mistakes and the first rows, in row order."""
    mistakes = surest_mistakes(predictions)[: num // 2].tolist()
    first = [row for row in range(len(predictions.ids)) if row not in mistakes][: num - len(mistakes)]
    return sorted([*mistakes, *first])


def _section(maps: MapFolder) -> Section:
    kinds = {
        "attention": "attention: what the last layer's class token attends to",
        "rollout": "rollout: attention followed through all layers",
        "grad-cam": "grad-cam: what speaks for the predicted class",
    }
    found = " ".join(drawn.methods for drawn in maps.drawn).split()
    named = "; ".join(text for name, text in kinds.items() if name in found)
    num_shown = min(NUM_SHOWN, len(maps.drawn))
    rows = tuple((drawn.file, drawn.id, drawn.label, drawn.predicted) for drawn in maps.drawn)
    blocks = (
        Text(f"{named or 'This network shows no map'}. Bright is strong, each map on its own scale."),
        Text(f"The first {num_shown} of {len(maps.drawn)}; all are in {FOLDER}."),
        Figure(maps.path / OVERVIEW, "maps", f"Pictures of {num_shown} samples, each beside its maps."),
        Table(("file", "sample", "label", "predicted"), rows),
    )
    return Section(TITLE, blocks)


def _earlier(path: Path) -> Iterator[Path]:
    """The files that an index names."""
    index = path / INDEX
    if index.is_file():
        with index.open(encoding="utf-8", newline="") as file:
            names: Iterable[str] = [row["file"] for row in csv.DictReader(file)]
        yield from (path / name for name in names if Path(name).name == name)
        yield from (path / OVERVIEW, index)


def earlier_maps(folder: Path) -> Iterator[str]:
    """The maps of an earlier report in `folder`, as paths from there."""
    with suppress(OSError, ValueError, KeyError, csv.Error):
        yield from (path.relative_to(folder).as_posix() for path in _earlier(folder / FOLDER))


def _stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
