"""Where pictures are kept at their working size, so that only the first epoch decodes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .spec import MAX_FLOAT, Spec


class CacheSpec(Spec):
    """It never changes a result, but for jpeg.

    kind: memory; raw and jpeg are files in `folder` that later runs share. jpeg (quality 95) is a fifth as large and
    an approximation, so it serves training only and `auto` never takes it. The budgets are the most that this run's
    pictures may take. folder: by default $OBVERSE_CACHE, or obverse in the user's cache directory.
    """

    kind: Literal["auto", "none", "memory", "raw", "jpeg"] = "auto"
    memory_gigabytes: float = Field(default=2.0, ge=0, le=MAX_FLOAT)
    disk_gigabytes: float = Field(default=20.0, ge=0, le=MAX_FLOAT)
    folder: str | None = None

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        for name in ("memory_gigabytes", "disk_gigabytes", "folder"):
            kinds = ("auto", "memory") if name == "memory_gigabytes" else ("auto", "raw", "jpeg")
            if self.kind not in kinds and getattr(self, name) != CacheSpec.model_fields[name].default:
                raise ValueError(f"{name} has no effect with `kind: {self.kind}`; say {' or '.join(kinds[1:])}")
        return self
