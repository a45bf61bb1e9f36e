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

from obverse.inference import Predictor

from .counters import Counters
from .decoding import Decoder
from .lane import Lane
from .limits import Limits
from .refusals import Refusal
from .sample import Answered, Sample
from .similar import TrainingPictures

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Service:
    """Models that answer samples. All methods but `close` belong to one event loop."""

    def __init__(
        self,
        models: Mapping[str, Predictor],
        limits: Limits | None = None,
        *,
        decoder: Decoder | None = None,
        training: Mapping[str, TrainingPictures] | None = None,
    ) -> None:
        """models: name -> predictor; the first one answers where a request names none.

        training: name -> training pictures, for models whose predictions have similar ones.
        """
        self.limits = limits or Limits()
        self.counters = Counters()
        self.decoder = decoder or Decoder(self.counters)
        self.lanes = {name: Lane(name, each, self.limits, self.counters) for name, each in models.items()}
        self.training = dict(training or {})
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

    async def answer(
        self, lane: Lane, samples: Sequence[Sample], *, has_maps: bool = False
    ) -> list[Answered | Refusal]:
        """An answer to each sample, in order, or the refusal of one that cannot be used.

        has_maps: whether answers have maps. Refusal, raised: too-many, overloaded, too-late, stopping, internal;
        bad-parameter for maps that the model does not have.
        """
        if not 0 < len(samples) <= self.limits.max_samples:
            raise Refusal("too-many", f"a request has 1 to {self.limits.max_samples} samples, not {len(samples)}")
        if has_maps:
            _require_maps(lane, len(samples))
        with self._admitted(lane, len(samples) if has_maps else 0):
            deadline = time.monotonic() + self.limits.deadline_seconds
            jobs = (self._answer_one(lane, sample, deadline, has_maps) for sample in samples)
            answers = await asyncio.gather(*jobs)
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
    def _admitted(self, lane: Lane, num_maps: int) -> Iterator[None]:
        wait, limits = lane.expected_wait(num_maps), self.limits
        is_full = num_maps > 0 and lane.num_with_maps >= limits.max_map_requests
        if is_full or lane.num_requests >= limits.max_queue or wait > limits.deadline_seconds:
            raise self._overloaded(wait)
        lane.num_requests += 1
        lane.num_with_maps += num_maps > 0
        try:
            yield
        finally:
            lane.num_requests -= 1
            lane.num_with_maps -= num_maps > 0

    def _overloaded(self, wait: float) -> Refusal:
        return Refusal("overloaded", "too many requests are waiting", retry_after=max(1, math.ceil(wait)))

    async def _answer_one(self, lane: Lane, sample: Sample, deadline: float, has_maps: bool) -> Answered | Refusal:
        lane.num_decoding += 1
        try:
            prepared = await asyncio.wrap_future(self.decoder.submit(lane.predictor, sample, deadline))
        except Refusal as refusal:
            return refusal
        finally:
            lane.num_decoding -= 1
        try:
            prediction = await asyncio.wrap_future(lane.submit(prepared, deadline))
            prediction = replace(prediction, id=sample.id)
            if not has_maps:
                return Answered(prediction)
            label = prediction.top[0][0]  # the predicted class; of a label set the likeliest
            return Answered(prediction, await asyncio.wrap_future(lane.submit_maps(prepared, label, deadline)))
        except Refusal as refusal:
            return refusal


def _require_maps(lane: Lane, num_samples: int) -> None:
    """Refusal: bad-parameter, too-many."""
    if not lane.has_maps:
        raise Refusal("bad-parameter", "this server makes no maps of this model; whoever runs it can allow them with "
                      "--engine torch and --max-maps")  # fmt: skip
    if num_samples > lane.limits.max_maps:
        raise Refusal("too-many", f"a request with maps has at most {lane.limits.max_maps} samples, not {num_samples}")


def picture_names(predictor: Predictor) -> tuple[str, ...]:
    """Names under which a model takes pictures: its views, or `image` where all views are parts of one picture."""
    return ("image",) if predictor.bundle.parts else predictor.views


def is_model_name(name: str) -> bool:
    """Whether a model can have that name, which stands in paths and in metrics."""
    return _NAME.fullmatch(name) is not None
