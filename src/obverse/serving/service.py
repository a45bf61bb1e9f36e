"""The handler behind every protocol: models by name, a bounded number of requests, deadlines."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from obverse.inference import Prediction, Predictor

from .counters import Counters
from .decoding import Decoder
from .lane import Lane
from .limits import Limits
from .refusals import Refusal
from .sample import Sample

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Service:
    """Models that answer samples. All methods but `close` belong to one event loop."""

    def __init__(
        self, models: Mapping[str, Predictor], limits: Limits | None = None, *, decoder: Decoder | None = None
    ) -> None:
        """models: name -> predictor; the first one answers where a request names none."""
        self.limits = limits or Limits()
        self.counters = Counters()
        self.decoder = decoder or Decoder(self.counters)
        self.lanes = {name: Lane(name, each, self.limits, self.counters) for name, each in models.items()}
        self.is_stopping = False

    def warm_up(self) -> None:
        """Start the decoders and run every model once, so that the first request waits for nothing."""
        self.decoder.warm_up()
        for lane in self.lanes.values():
            gray = np.full((32, 32, 3), 128, np.uint8)
            sample = Sample("warm-up", {picture_names(lane.predictor)[0]: gray})
            prepared = self.decoder.submit(lane.predictor, sample, math.inf).result()
            lane.submit(prepared, math.inf).result()

    def lane(self, name: str | None = None) -> Lane:
        """The model of that name, or the first one. Refusal: unknown-model."""
        if name is None:
            return next(iter(self.lanes.values()))
        if name not in self.lanes:
            raise Refusal("unknown-model", f"there is no such model; there is {', '.join(self.lanes)}")
        return self.lanes[name]

    def require_room(self) -> None:
        """Refuse before the body of a request is read: stopping, overloaded."""
        if self.is_stopping:
            raise Refusal("stopping", "the server is stopping")
        if all(lane.num_requests >= self.limits.max_queue for lane in self.lanes.values()):
            raise self._overloaded(min(lane.expected_wait() for lane in self.lanes.values()))

    async def answer(self, lane: Lane, samples: Sequence[Sample]) -> list[Prediction | Refusal]:
        """A prediction for each sample, in order, or the refusal of one that cannot be used.

        `Prediction.top` has all classes. Refusal, raised: too-many, overloaded, too-late, stopping, internal.
        """
        if not 0 < len(samples) <= self.limits.max_samples:
            raise Refusal("too-many", f"a request has 1 to {self.limits.max_samples} samples, not {len(samples)}")
        with self._admitted(lane):
            deadline = time.monotonic() + self.limits.deadline_seconds
            answers = await asyncio.gather(*(self._answer_one(lane, sample, deadline) for sample in samples))
        for each in answers:
            if isinstance(each, Refusal) and each.status >= 500:
                raise each
        return answers

    def close(self) -> None:
        """End all threads and child processes."""
        for lane in self.lanes.values():
            lane.close()
        self.decoder.close()

    @contextmanager
    def _admitted(self, lane: Lane) -> Iterator[None]:
        wait = lane.expected_wait()
        if lane.num_requests >= self.limits.max_queue or wait > self.limits.deadline_seconds:
            raise self._overloaded(wait)
        lane.num_requests += 1
        try:
            yield
        finally:
            lane.num_requests -= 1

    def _overloaded(self, wait: float) -> Refusal:
        return Refusal("overloaded", "too many requests are waiting", retry_after=max(1, math.ceil(wait)))

    async def _answer_one(self, lane: Lane, sample: Sample, deadline: float) -> Prediction | Refusal:
        lane.num_decoding += 1
        try:
            prepared = await asyncio.wrap_future(self.decoder.submit(lane.predictor, sample, deadline))
        except Refusal as refusal:
            return refusal
        finally:
            lane.num_decoding -= 1
        try:
            return replace(await asyncio.wrap_future(lane.submit(prepared, deadline)), id=sample.id)
        except Refusal as refusal:
            return refusal


def picture_names(predictor: Predictor) -> tuple[str, ...]:
    """Names under which a model takes pictures: its views, or `image` where all views are parts of one picture."""
    return ("image",) if predictor.bundle.parts else predictor.views


def is_model_name(name: str) -> bool:
    """Whether a model can have that name, which stands in paths and in metrics."""
    return _NAME.fullmatch(name) is not None
