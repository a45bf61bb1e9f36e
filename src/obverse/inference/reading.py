"""Reading of requests: decoded in parallel, while the model computes, and stacked to batches in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from obverse.bundle import Bundle
from obverse.cpus import num_allowed_cpus
from obverse.data import Batch, column_codes
from obverse.errors import DataError
from obverse.imaging import PictureError, in_order

from .pixels import load_pixels
from .requests import Failure, Request, RequestOrFailure, Source, Stored


@dataclass(frozen=True)
class ReadBatch:
    """Some requests, and the batch of those that could be read."""

    items: tuple[RequestOrFailure, ...]

    failures: dict[int, Failure]
    """Place in `items` -> failure."""

    batch: Batch | None
    """The samples of all other items, in order; None when there is none."""


@dataclass(frozen=True)
class Reader:
    """Reader of requests for a bundle's model: from files to batches."""

    bundle: Bundle

    def batches(self, items: Sequence[RequestOrFailure], batch_size: int) -> Iterator[ReadBatch]:
        """Yield the items in batches of `batch_size`; those that cannot be read are failures, not in the batch.

        A batch depends on the items alone, so that equal batches give equal answers whenever they are asked for.
        """
        # The threads wait for the children that decode (`imaging/sandbox.py`).
        num_threads = num_allowed_cpus()
        num_ahead = 2 * max(batch_size, num_threads)
        rows = in_order(self.views_or_failure, items, num_threads=num_threads, num_ahead=num_ahead)
        for start in range(0, len(items), batch_size):
            some = tuple(items[start : start + batch_size])
            views = [next(rows) for _ in some]
            failures = {place: row for place, row in enumerate(views) if isinstance(row, Failure)}
            read = [
                (item, row)
                for item, row in zip(some, views, strict=True)
                if isinstance(item, Request) and not isinstance(row, Failure)
            ]
            yield ReadBatch(some, failures, self.stacked(read) if read else None)

    def views_or_failure(self, item: RequestOrFailure) -> torch.Tensor | Failure:
        """Views of a request, uint8 (V, 3, canvas_height, canvas_width), or why it cannot be read."""
        if isinstance(item, Failure):
            return item
        try:
            column_codes(self.bundle.columns, [(item.id, item.columns)])  # raises DataError for a bad value
            return self._views_of(item)
        except DataError as error:
            return Failure(item.id, str(error))

    def _views_of(self, request: Request) -> torch.Tensor:
        """Views of a request (V, C, H, W); a missing view has the fill value everywhere."""
        if request.whole is not None:
            views = self._parts(request, request.whole)
        else:
            views = [self._picture(request, view) for view in self.bundle.views]
        # NumPy's copy, because torch's would start threads that the model needs.
        return torch.from_numpy(np.stack([view.numpy() for view in views]))

    def _picture(self, request: Request, view: str) -> torch.Tensor:
        geometry = self.bundle.geometry
        if view not in request.views:
            size = (3, geometry.canvas_height, geometry.canvas_width)
            return torch.from_numpy(np.full(size, geometry.fill, np.uint8))
        with _named(request, request.views[view]):
            return geometry.apply(load_pixels(request.views[view], geometry.least_decode))

    def _parts(self, request: Request, picture: Source) -> list[torch.Tensor]:
        """All views (C, H, W each) of a picture of which they are parts."""
        geometry, parts = self.bundle.geometry, self.bundle.parts
        with _named(request, picture):
            pixels = load_pixels(picture, parts[0].enlarged(*geometry.least_decode))
        try:
            return [geometry.apply(part.of(pixels)) for part in parts]
        except PictureError as error:
            raise PictureError(f"{request.id!r} is unusable: {error}") from None

    def stacked(self, read: Sequence[tuple[Request, torch.Tensor]]) -> Batch:
        """The batch of requests with their views."""
        requests = [request for request, _ in read]
        views = self.bundle.views
        present = [[view in request.views or request.whole is not None for view in views] for request in requests]
        return Batch.unlabelled(
            torch.stack([row for _, row in read]),
            torch.tensor(present),
            ids=tuple(request.id for request in requests),
            columns_BE=column_codes(self.bundle.columns, [(request.id, request.columns) for request in requests]),
        )


@contextmanager
def _named(request: Request, picture: Source) -> Iterator[None]:
    """Add the request's name to a PictureError, unless the picture is a file, whose errors name it."""
    try:
        yield
    except PictureError as error:
        is_named = isinstance(picture, (str, Path, Stored))
        raise PictureError(str(error) if is_named else f"{request.id}: {error}") from None
