"""The base of every recipe section: frozen, strict, no unknown keys.

Not a place for fields. Strict means that `epochs: true` and `epochs: "10"` are refused rather than guessed at.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
# No count of epochs, samples of a batch or maps is larger, and no factor or time.
MAX_COUNT = 1_000_000
MAX_FLOAT = 1e9
PositiveInt = Annotated[int, Field(gt=0, le=MAX_COUNT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MAX_COUNT)]
PositiveFloat = Annotated[float, Field(gt=0, le=MAX_FLOAT)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
# What numpy's and torch's generators both take.
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Spec(BaseModel):
    """A frozen recipe section; unknown keys and wrong types are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
