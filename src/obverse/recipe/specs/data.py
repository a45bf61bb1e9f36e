"""What is read: where, which layout, views, class order, size, split."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from obverse.registry import SOURCES

from .cache import CacheSpec
from .spec import MAX_COUNT, Auto, PositiveInt, Spec
from .split import SplitSpec

MAX_TILES = 64
# Of a picture as the model sees it; a batch of larger ones fits in no memory.
MAX_SIDE = 32_768
Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]


class Size(Spec):
    """Picture size in pixels."""

    height: Side
    """Height in pixels."""

    width: Side
    """Width in pixels."""


def _square(size: Any) -> Any:
    """One number is both sides."""
    is_side = isinstance(size, int) and not isinstance(size, bool)
    return {"height": size, "width": size} if is_side else size


def _or_one_side(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"type": "integer", "exclusiveMinimum": 0, "description": "both sides"})


class TilesSpec(Spec):
    """One picture as a grid of views, its tiles; they are called `r1c1`, `r1c2` and so on."""

    rows: PositiveInt
    """Tiles from top to bottom."""

    columns: PositiveInt
    """Tiles from left to right."""

    @model_validator(mode="after")
    def _several(self) -> Self:
        if not 1 < self.rows * self.columns <= MAX_TILES:
            raise ValueError(f"rows x columns must be 2 to {MAX_TILES} tiles, not {self.rows * self.columns}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the views, row by row."""
        return tuple(f"r{row}c{column}" for row in range(1, self.rows + 1) for column in range(1, self.columns + 1))


if TYPE_CHECKING:
    KnownLayout = str
    Layout = str
else:
    KnownLayout = Literal[*SOURCES]
    Layout = Literal["auto", KnownLayout]


# Of old Windows and DOS programs around the world; gb18030 holds gbk, and cp932 is the Shift-JIS of Windows.
ArchiveEncoding = Literal[
    "utf-8",
    "gb18030",
    "cp932",
    "big5",
    "cp949",
    "euc_jp",
    "cp1252",
    "cp1251",
    "cp1253",
    "cp866",
    "cp850",
    "cp437",
]

ColumnKind = Literal["category", "number"]


class DataSpec(Spec):
    """The data: where it is, how it is read, and how pictures become inputs of one size."""

    path: str | None = None
    """Folder, archive, table, manifest, run folder or URL of the data that a run read: `obverse train DATA` writes it
    there. A recipe's own has no effect, and no setting changes it, because DATA says what is read."""

    layout: Layout = "auto"
    """How the data is laid out. `auto` looks at it and says what it saw; any other name overrides that, for example
    `class-folders`."""

    archive_encoding: ArchiveEncoding | None = None
    """Encoding of file names in a zip that does not name one, where they are not UTF-8. Example: `cp932` for Japanese
    Windows."""

    path_map: Mapping[str, str] = Field(default_factory=dict)
    """Original folder or file -> where it lies here, for JSON indexes whose paths are of another machine. The longest
    match counts. Example: `{/mnt/originals: chips}`."""

    views: Auto | tuple[str, ...] = "auto"
    """Names of the views of a sample, in order. `auto` takes them from folders, file names or columns. Example:
    `[obverse, reverse]`; of a table they are the columns with pictures (`--image-column`)."""

    labels: Literal["auto", "single", "multi"] = "auto"
    """Whether a sample has one class (`single`) or any number of them (`multi`, a label set). `auto` is `single`,
    unless cells are lists (JSON, Parquet) or `label_columns` are given: text is never split unasked."""

    label_separator: str = Field(default="|", min_length=1)
    """Text between the classes of one cell, with `labels: multi`. Example: `;`."""

    label_columns: tuple[str, ...] = ()
    """Columns of a table with 0 and 1, one for each class; they make the data multi-label. Example: `[red, round,
    blue]`."""

    label_column: str | None = Field(default=None, min_length=1)
    """Column of a table that holds the label, where it is not called `label`, `class` or `grade` (`--label-column`).
    Example: `dx`."""

    image_root: str | None = Field(default=None, min_length=1)
    """Folder that the paths in a table start at, relative to the table's own folder (`--image-root`). `null`: the
    table's own folder."""

    table_encoding: str | None = Field(default=None, min_length=1)
    """Encoding of a text table that is neither UTF-8, marked UTF-16 nor Windows-1252. Example: `gbk`."""

    order: Literal["auto", "none"] | tuple[str, ...] = "auto"
    """Class names from lowest to highest, where their order means something; losses, metrics and reports then count how
    far an answer is off. `auto` orders Sheldon grades by themselves; `none` orders nothing."""

    fixes: tuple[str, ...] = ()
    """Tables of label fixes as `obverse suspects` writes them (`--fixes`): they change labels or drop samples by id,
    before the split, and touch no file. Of several, the later one wins. Example: `[suspects.csv]`."""

    exclude_classes: tuple[str, ...] = ()
    """Classes to leave out, by name."""

    tiles: TilesSpec | None = None
    """Grid that cuts each picture into views. `null`: pictures stay whole."""

    columns: Mapping[str, ColumnKind] = Field(default_factory=dict)
    """Further columns of the data that the model sees beside the pictures, name -> `category` or `number`. Example:
    `{mint: category, year: number}`."""

    largest_classes: int | None = Field(default=None, ge=2, le=MAX_COUNT)
    """Number of classes to keep, those with the most training samples; of equals the first by name. `null`: all."""

    missing_view: Literal["auto", "exclude", "keep"] = "auto"
    """What happens to a sample that lacks a view: `exclude` leaves it out, `keep` trains on the views that are there.
    `auto` keeps it where a list says that the view is missing (an empty cell) and leaves it out where a file has no
    partner."""

    on_bad_picture: Literal["stop", "quarantine"] = "stop"
    """What an unreadable picture does: `stop` ends with its name, so that nothing is lost unseen; `quarantine` leaves
    up to 1 % of the samples out, before the split, and lists them with digest and reason."""

    size: Annotated[Auto | Size, BeforeValidator(_square), Field(json_schema_extra=_or_one_side)] = "auto"
    """Input size of the model; one number is a square (`224`), else `{height: 320, width: 640}`. `auto` is what the
    pretrained weights know best, or comes from the pictures: their own size where they are small, else the area of
    128x128."""

    fit: Literal["pad", "squash", "crop"] = "pad"
    """How a picture is brought to the input size: `pad` keeps the whole picture and fills the rest, `squash` ignores
    its aspect ratio, `crop` fills the size and cuts off what hangs over."""

    round_to_multiple: Literal["up", "down"] = "up"
    """Direction in which a size is changed that the backbone does not take (a ViT with patches of 16 takes multiples of
    16): `up` pads, `down` cuts. 1000 becomes 1008 or 992."""

    crop_fraction: Auto | Annotated[float, Field(gt=0, le=1)] = "auto"
    """Share of the picture's side that `fit: crop` keeps in evaluation, the middle of it. 0.875 is "resize 256, centre
    crop 224"; `auto` is what the weights say of themselves."""

    decode: Literal["scaled", "full"] = "scaled"
    """`scaled` reads a JPEG that is much larger than needed at 1/2, 1/4 or 1/8, never below twice the needed size;
    `full` always reads every pixel."""

    cache: CacheSpec = CacheSpec()
    """Where decoded pictures are kept between epochs."""

    split: SplitSpec = SplitSpec()
    """How samples are divided into train, val and test."""

    @field_validator("order", "exclude_classes")
    @classmethod
    def _composed(cls, names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """In the Unicode form that class names have, however a keyboard or a copied folder name spells them."""
        return names if isinstance(names, str) else tuple(unicodedata.normalize("NFC", name) for name in names)

    @model_validator(mode="after")
    def _crop_takes_effect(self) -> Self:
        if self.crop_fraction not in ("auto", 1) and self.fit != "crop":
            raise ValueError(f"crop_fraction has no effect with `fit: {self.fit}`; say crop")
        return self

    @model_validator(mode="after")
    def _one_way_to_cut(self) -> Self:
        if self.tiles and self.layout == "split-horizontal":
            raise ValueError("tiles and `layout: split-horizontal` both cut a picture; choose one")
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        for field in ("views", "order", "exclude_classes", "label_columns"):
            names = getattr(self, field)
            if not isinstance(names, tuple):
                continue
            is_empty = not names and field in ("views", "order")
            if is_empty or len(set(names)) != len(names) or not all(names):
                raise ValueError(f"{field} must be a list of distinct names")
        if isinstance(self.order, tuple) and set(self.order) & set(self.exclude_classes):
            raise ValueError("order and exclude_classes name the same class; leave it out of order")
        return self

    @model_validator(mode="after")
    def _labels_take_effect(self) -> Self:
        if self.label_columns and self.labels == "single":
            raise ValueError("label_columns are for `labels: multi`, and labels is single")
        if self.label_separator != "|" and self.labels != "multi":
            raise ValueError("label_separator has no effect without `labels: multi`")
        if self.label_columns and self.label_column is not None:
            raise ValueError("label_column has no effect with label_columns: choose one")
        if self.label_columns and self.label_separator != "|":
            raise ValueError("label_separator has no effect with label_columns: choose one")
        if self.labels == "multi" or self.label_columns:
            self.require_for_sets()
        return self

    def require_for_sets(self) -> None:
        """ValueError for what has no meaning where a sample may have several classes."""
        if isinstance(self.order, tuple):
            raise ValueError("order has no meaning where a sample may have several classes; leave it out")
        if self.largest_classes is not None:
            raise ValueError("largest_classes is for one class per sample; leave it out")
        if self.exclude_classes:
            raise ValueError("exclude_classes leaves out samples by their only class; in multi-label data, leave them "
                             "out of the list itself")  # fmt: skip
