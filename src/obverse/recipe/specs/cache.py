"""Where pictures are kept at their working size, so that only the first epoch decodes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .spec import MAX_FLOAT, Auto, Spec

CacheKind = Literal["none", "memory", "raw", "jpeg"]


class CacheSpec(Spec):
    """Where decoded pictures are kept at their working size, so that only the first epoch decodes.

    No kind but `jpeg` changes a result.
    """

    kind: Literal[Auto, CacheKind] = "auto"
    """`memory` keeps pixels in memory that all workers share; `raw` keeps them in a file below `folder`, where later
    runs find them; `jpeg` does so at quality 95, a fifth as large, and is an approximation for training pictures only;
    `none` decodes in every epoch. `auto` is `memory` where the budget allows it, else `raw` where the originals are
    much larger than needed, else `none`; never `jpeg`."""

    memory_gigabytes: float = Field(default=2.0, ge=0, le=MAX_FLOAT)
    """Most memory that the pictures of this run may take, in GB (1e9 bytes)."""

    disk_gigabytes: float = Field(default=20.0, ge=0, le=MAX_FLOAT)
    """Most disk space that the pictures of this run may take, in GB (1e9 bytes). `auto` also leaves half of what is
    free."""

    folder: str | None = None
    """Folder of the cache files. `null`: $OBVERSE_CACHE, or `obverse` in the user's cache directory."""

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        for name in ("memory_gigabytes", "disk_gigabytes", "folder"):
            kinds = ("auto", "memory") if name == "memory_gigabytes" else ("auto", "raw", "jpeg")
            if self.kind not in kinds and getattr(self, name) != CacheSpec.model_fields[name].default:
                raise ValueError(f"{name} has no effect with `kind: {self.kind}`; say {' or '.join(kinds[1:])}")
        return self
