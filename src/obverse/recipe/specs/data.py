"""What is read: where, which layout, views, class order, size, split."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

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
    width: Side


def _square(size: Any) -> Any:
    """One number is both sides."""
    is_side = isinstance(size, int) and not isinstance(size, bool)
    return {"height": size, "width": size} if is_side else size


def _or_one_side(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"type": "integer", "exclusiveMinimum": 0, "description": "both sides"})


class TilesSpec(Spec):
    """One picture as a grid of views, its tiles."""

    rows: PositiveInt
    columns: PositiveInt

    @model_validator(mode="after")
    def _several(self) -> Self:
        if not 1 < self.rows * self.columns <= MAX_TILES:
            raise ValueError(f"rows x columns must be 2 to {MAX_TILES} tiles, not {self.rows * self.columns}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the views, row by row."""
        return tuple(f"r{row}c{column}" for row in range(1, self.rows + 1) for column in range(1, self.columns + 1))


Layout = Literal[
    "auto",
    "class-folders",
    "view-folders",
    "object-folders",
    "suffix-views",
    "split-horizontal",
    "table",
    "json-index",
    "parquet",
    "cifar",
    "manifest",
]


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
    """From a source to samples of one size. path_map: for JSON indexes, original folder or file -> where it lies.

    archive_encoding: of names in a zip that says none, where they are not UTF-8.
    columns: extra columns of the data that the model sees beside the pictures, name -> kind.
    largest_classes: only so many classes, those with the most training samples; of equals the first by name.
    size: `auto` is what the pretrained weights know best, else from the pictures; one number is a square. fit: pad
    keeps the whole picture, squash ignores its aspect ratio, crop fills the size and cuts the rest, in evaluation to
    the middle `crop_fraction` of what is left (0.875 is "resize 256, centre crop 224"; `auto` is what the weights say
    of themselves). decode: scaled reads a JPEG that is much larger than needed at 1/2, 1/4 or 1/8; full always reads
    every pixel.
    labels: `multi` when a sample has any number of classes, which lists say in one cell per sample, separated by
    `label_separator`, or with a column of 0 and 1 for each class, named by `label_columns`. `auto` is `single`, unless
    the cells are lists (JSON, Parquet) or label_columns are given.
    label_column: of a table, the column of the label where it is called otherwise. image_root: of a table, the folder
    that its paths start at, relative to the table's own. table_encoding: of a text table, where it is not UTF-8.
    """

    path: str | None = None
    layout: Layout = "auto"
    archive_encoding: ArchiveEncoding | None = None
    path_map: Mapping[str, str] = Field(default_factory=dict)
    views: Auto | tuple[str, ...] = "auto"
    labels: Literal["auto", "single", "multi"] = "auto"
    label_separator: str = Field(default="|", min_length=1)
    label_columns: tuple[str, ...] = ()
    label_column: str | None = Field(default=None, min_length=1)
    image_root: str | None = Field(default=None, min_length=1)
    table_encoding: str | None = Field(default=None, min_length=1)
    order: Literal["auto", "none"] | tuple[str, ...] = "auto"
    exclude_classes: tuple[str, ...] = ()
    tiles: TilesSpec | None = None
    columns: Mapping[str, ColumnKind] = Field(default_factory=dict)
    largest_classes: int | None = Field(default=None, ge=2, le=MAX_COUNT)
    missing_view: Literal["auto", "exclude", "keep"] = "auto"
    on_bad_picture: Literal["stop", "quarantine"] = "stop"
    size: Annotated[Auto | Size, BeforeValidator(_square), Field(json_schema_extra=_or_one_side)] = "auto"
    fit: Literal["pad", "squash", "crop"] = "pad"
    round_to_multiple: Literal["up", "down"] = "up"
    crop_fraction: Auto | Annotated[float, Field(gt=0, le=1)] = "auto"
    decode: Literal["scaled", "full"] = "scaled"
    cache: CacheSpec = CacheSpec()
    split: SplitSpec = SplitSpec()

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
