"""Schema of `model.json`, which validates every field's type and range and rejects unknown fields.

The description decides what the model's outputs mean, so a wrong number would change predictions without an error.
Therefore every value is validated here, and a digest over all values shows whether the file was changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationError, model_validator

from obverse.data import Geometry
from obverse.errors import DataError
from obverse.imaging import Part
from obverse.manifest import Column
from obverse.recipe import AutoBackbone, ModelSpec, OutputSpec, Spec

# Limit of the pixels of one model input; several inputs are in memory as 32-bit floats at a time.
MAX_PIXELS = 2**26
MAX_CLASSES = 1_000_000
MAX_VIEWS = 1024
MAX_MEMBERS = 64
DIGEST = "description_sha256"

S = TypeVar("S", bound=Spec)
T = TypeVar("T")


def _text(value: Any) -> str:
    """The value, validated as a non-empty string.

    pydantic's str would reject surrogates, with which Python represents file names that are no UTF-8.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a name must be text, and not empty")
    return value


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a value must be text")
    return value


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a name is there twice")
    return values


def _spec(kind: type[S]) -> Callable[[Any], S]:
    """Validator that converts plain JSON values to a recipe spec of the given kind."""
    return lambda values: values if isinstance(values, kind) else kind.model_validate_json(json.dumps(values))


def _part(step: Any) -> Part:
    if not (isinstance(step, list) and len(step) == 2 and all(isinstance(word, str) for word in step)):
        raise ValueError("a part is a pair of words")
    return Part.parse(*step)


Name = Annotated[Any, AfterValidator(_text)]
Names = Annotated[tuple[Name, ...], Strict(False), AfterValidator(_unique)]
Cells = Annotated[tuple[Annotated[Any, AfterValidator(_cell)], ...], Strict(False), AfterValidator(_unique)]
Side = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(gt=1e-6, le=1e6)]
Mean = Annotated[tuple[Number, Number, Number], Strict(False)]
Deviation = Annotated[tuple[Positive, Positive, Positive], Strict(False)]
Model = Annotated[ModelSpec, BeforeValidator(_spec(ModelSpec))]
Output = Annotated[OutputSpec, BeforeValidator(_spec(OutputSpec))]


class GeometryValues(Spec):
    """Schema of `obverse.data.Geometry`."""

    height: Side
    """Height of the target in pixels."""

    width: Side
    """Width of the target in pixels."""

    canvas_height: Side
    """Height of the canvas in pixels."""

    canvas_width: Side
    """Width of the canvas in pixels."""

    fit: Literal["pad", "squash", "crop"]
    """How a picture of another aspect ratio is fitted."""

    fill: Annotated[int, Field(ge=0, le=255)]
    """Pixel value of padding."""

    decode: Literal["scaled", "full"]
    """Whether JPEGs may be decoded at a reduced scale."""

    crop_fraction: Annotated[float, Field(gt=0.01, le=1)]
    """Fraction of the sides that a centre crop keeps."""

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        if max(self.height * self.width, self.canvas_height * self.canvas_width) > MAX_PIXELS:
            raise ValueError(f"pictures of more than {MAX_PIXELS:,} pixels cannot be used")
        return self


class ColumnValues(Spec):
    """Schema of `obverse.manifest.Column`."""

    name: Name
    """Name of the column."""

    kind: Literal["category", "number"]
    """Kind of its values."""

    values: Cells
    """Known values of a category; empty for a number."""

    mean: float
    """Mean of a number over the training samples, in the unit of the data."""

    std: Annotated[float, Field(gt=0)]
    """Standard deviation of a number over the training samples, in the unit of the data."""

    @model_validator(mode="after")
    def _values_are_a_category_s(self) -> Self:
        if self.kind == "number" and self.values:
            raise ValueError("a number has no list of values")
        return self


class MemberValues(Spec):
    """Schema of `obverse.bundle.Member`."""

    model: Model
    """Backbone, fusion and head of the member."""

    output: Output
    """Meaning of the member's outputs."""

    mean: Mean
    """Mean of each channel, for pixels from 0 to 1."""

    std: Deviation
    """Standard deviation of each channel, for pixels from 0 to 1."""


class BundleValues(Spec):
    """Schema of `obverse.bundle.Bundle`, with the consistency rules between fields."""

    classes: Annotated[Names, Field(min_length=1, max_length=MAX_CLASSES)]
    """Class names in label order."""

    ordered: bool
    """Whether the classes have an order."""

    views: Annotated[Names, Field(min_length=1, max_length=MAX_VIEWS)]
    """Names of the views, in the order of the model's input."""

    geometry: GeometryValues
    """Resizing, padding and cropping of a picture to the model's input."""

    mean: Mean
    """Mean of each channel, for pixels from 0 to 1."""

    std: Deviation
    """Standard deviation of each channel, for pixels from 0 to 1."""

    model: Model
    """Backbone, fusion and head."""

    output: Output
    """Meaning of the head's outputs."""

    calibration: None = None
    """Null in bundles of earlier versions; the calibration is in `output`."""

    trained: dict[str, Any]
    """Facts about the training, for people."""

    columns: Annotated[tuple[ColumnValues, ...], Strict(False)] = ()
    """Extra columns that the model sees."""

    parts: Annotated[tuple[Annotated[Part, BeforeValidator(_part)], ...], Strict(False)] = ()
    """Part of the picture for each view; empty if every view has its own picture."""

    members: Annotated[tuple[MemberValues, ...], Strict(False), Field(max_length=MAX_MEMBERS)] = ()
    """Members of an ensemble; empty for a single model."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        described = [(self.model, self.output), *((m.model, m.output) for m in self.members)]
        # An ensemble gives class logits, so its own output does not follow from the model of its first member.
        for model, output in described[1:] or described:
            if output.per_view != (model.fusion.kind == "average"):
                raise ValueError(f"output.per_view {output.per_view} does not go with {model.fusion.kind} fusion")
        for model, output in described:
            if isinstance(model.backbone, AutoBackbone):
                raise ValueError("the model is not decided: model.backbone is still `auto`")
            _require_output(output, len(self.classes), ordered=self.ordered)
            if (output.kind == "binary") != (self.output.kind == "binary"):
                raise ValueError("some members predict one class and others label sets")
        if self.parts and len(self.parts) != len(self.views):
            raise ValueError(f"there are {len(self.parts)} parts for {len(self.views)} views")
        _unique(tuple(column.name for column in self.columns))
        return self

    def as_columns(self) -> tuple[Column, ...]:
        """The extra columns as `obverse.manifest.Column`."""
        return tuple(Column(**dict(column)) for column in self.columns)

    def as_geometry(self) -> Geometry:
        """The geometry as `obverse.data.Geometry`."""
        return Geometry(**dict(self.geometry))


def _require_output(output: OutputSpec, num_classes: int, *, ordered: bool) -> None:
    for name, numbers in (("prior", output.prior), ("thresholds", output.thresholds)):
        if numbers is not None and len(numbers) != num_classes:
            raise ValueError(f"output.{name} has {len(numbers)} numbers for {num_classes} classes")
    if output.calibration is not None and not output.calibration.fits(num_classes):
        raise ValueError(f"output.calibration does not have one number for each of {num_classes} classes")
    if output.sets is not None:
        if not output.sets.fits(num_classes):
            raise ValueError(f"output.sets does not have one quantile, or one for each of {num_classes} classes")
        kinds = ("labels",) if output.kind == "binary" else ("range", "rps") if ordered else ("lac", "raps")
        if output.sets.kind not in kinds:
            raise ValueError(f"output.sets.kind {output.sets.kind} does not go with these classes")
    if output.thresholds is not None and (
        output.kind != "binary" or not all(0 <= value <= 1 for value in output.thresholds)
    ):
        raise ValueError("output.thresholds are probabilities, of a multi-label model")
    if output.prior is not None and output.kind not in ("classes", "cosine"):
        raise ValueError(f"output.prior does not go with kind {output.kind}")
    if output.num_outputs(num_classes) < 1:
        raise ValueError(f"{num_classes} class(es) are too few for output.kind {output.kind}")
    if output.decode != "mode" and not ordered:
        raise ValueError(f"output.decode {output.decode} is for classes that have an order")


def checked(values: dict[str, Any], where: str) -> BundleValues:
    """The validated description. DataError, naming `where` it was read and the first faults, when it is invalid."""
    try:
        return BundleValues.model_validate(values)
    except ValidationError as error:
        faults = [_clause(fault) for fault in error.errors(include_url=False)]
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise DataError(f"{where} is incomplete or changed: {'; '.join(faults[:3])}{more}") from None


def _clause(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    message = re.sub(r"\s+", " ", str(fault["msg"]).removeprefix("Value error, "))[:200]
    return f"`{place}`: {message}" if place else message


def digest_of(values: dict[str, Any]) -> str:
    """SHA-256 of a description in plain values, without the digest itself."""
    sealed = {key: value for key, value in values.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
