"""A model with its queue and its thread: samples that wait at the same time are answered in one forward pass."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from obverse.errors import ObverseError, RecipeError
from obverse.explain import Overlay
from obverse.inference import Prediction, Predictor, Prepared, has_maps, map_prepared, predict_prepared

from .counters import SIZES, Counters
from .limits import BATCH_WAIT_SECONDS, Limits
from .log import log_bug
from .refusals import Refusal

logger = logging.getLogger("obverse.serving")
Maps = Mapping[str, Overlay]
"""Name of a picture -> map over it."""
Result = TypeVar("Result")


@dataclass(eq=False)
class _Job(Generic[Result]):
    prepared: Prepared
    deadline: float
    label: str = ""
    future: Future[Result] = field(default_factory=Future)


class Lane:
    """One model behind a queue. Its thread alone runs the model, so that no two forward passes compete for cores.

    Maps have a queue of their own: between two batches of answers, one map is made at most.
    """

    def __init__(self, name: str, predictor: Predictor, limits: Limits, counters: Counters) -> None:
        self.name, self.predictor, self.limits = name, predictor, limits
        self.num_requests = 0
        """Requests that were admitted and are not answered yet."""
        self.num_decoding = 0
        """Samples that are being decoded, or wait for it."""
        self.num_with_maps = 0
        """Requests that were admitted, ask for maps and are not answered yet."""
        self._counters = counters
        self._jobs: deque[_Job[Prediction]] = deque()
        self._maps: deque[_Job[Maps]] = deque()
        self._num_running = 0
        self._seconds_per_sample = self._seconds_per_map = 0.0
        self._changed = threading.Condition()
        self._is_closed = False
        counters.gauge("obverse_queued_samples", lambda: len(self._jobs), model=name)
        counters.gauge("obverse_queued_maps", lambda: len(self._maps), model=name)
        counters.gauge("obverse_requests_in_progress", lambda: self.num_requests, model=name)
        self._thread = threading.Thread(target=self._work, name=f"obverse-model-{name}", daemon=True)
        self._thread.start()

    def submit(self, prepared: Prepared, deadline: float) -> Future[Prediction]:
        """The prediction of a sample; `top` has all classes. deadline: of `time.monotonic`.

        The future raises Refusal.
        """
        job: _Job[Prediction] = _Job(prepared, deadline)
        self._put(job, self._jobs)
        return job.future

    def submit_maps(self, prepared: Prepared, label: str, deadline: float) -> Future[Maps]:
        """Maps of what speaks for the class `label` in a sample. deadline: of `time.monotonic`.

        The future raises Refusal.
        """
        job: _Job[Maps] = _Job(prepared, deadline, label)
        self._put(job, self._maps)
        return job.future

    @property
    def has_maps(self) -> bool:
        """Whether there are maps of this model."""
        return self.limits.max_maps > 0 and has_maps(self.predictor)

    def expected_wait(self, num_maps: int = 0) -> float:
        """Seconds until the model has answered everything that goes before a new request.

        num_maps: samples of the request that want a map. Without any, each batch of answers waits for one map at most.
        """
        num = len(self._jobs) + self._num_running + self.num_decoding
        maps_before = len(self._maps) + num_maps if num_maps else min(len(self._maps), 1 + num // self.limits.max_batch)
        return num * self._seconds_per_sample + maps_before * self._seconds_per_map

    def close(self) -> None:
        """End the thread after the samples that wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _put(self, job: _Job[Result], jobs: deque[_Job[Result]]) -> None:
        with self._changed:
            if self._is_closed:
                raise Refusal("stopping", "the server is stopping")
            jobs.append(job)
            self._changed.notify()

    def _work(self) -> None:
        """Answer until the lane is closed and nothing waits: a batch of answers, one map, and so on."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._maps or self._is_closed)
                if not self._jobs and not self._maps:
                    return
                if self._jobs:
                    self._wait_for_more()
                jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), self.limits.max_batch))]
                self._num_running = len(jobs)
            if batch := [job for job in jobs if not self._is_late(job)]:
                self._answer_timed(batch)
            self._num_running = 0
            if self._maps and not self._is_late(job := self._maps.popleft()):
                self._make_maps(job)

    def _answer_timed(self, batch: list[_Job[Prediction]]) -> None:
        start = time.monotonic()
        self._answer(batch)
        seconds = time.monotonic() - start
        self._counters.observe("obverse_batch_seconds", seconds, model=self.name)
        self._counters.observe("obverse_batch_samples", len(batch), bounds=SIZES, model=self.name)
        self._seconds_per_sample = _smoothed(self._seconds_per_sample, seconds / len(batch))

    def _make_maps(self, job: _Job[Maps]) -> None:
        start = time.monotonic()
        try:
            job.future.set_result(map_prepared(self.predictor, job.prepared, job.label))
        except RecipeError as error:  # a network without quick maps
            job.future.set_exception(Refusal("bad-parameter", str(error)))
        except Exception as error:
            job.future.set_exception(_refusal(error))
        seconds = time.monotonic() - start
        self._counters.observe("obverse_map_seconds", seconds, model=self.name)
        self._seconds_per_map = _smoothed(self._seconds_per_map, seconds)

    def _wait_for_more(self) -> None:
        """Wait a moment for samples that are being decoded, so that they are answered together."""
        until = time.monotonic() + BATCH_WAIT_SECONDS
        while self.num_decoding and len(self._jobs) < self.limits.max_batch and not self._is_closed:
            seconds = until - time.monotonic()
            if seconds <= 0 or not self._changed.wait(seconds):
                return

    def _is_late(self, job: _Job[Result]) -> bool:
        if time.monotonic() <= job.deadline:
            return False
        job.future.set_exception(Refusal("too-late", "the request waited too long for the model"))
        return True

    def _answer(self, batch: list[_Job[Prediction]]) -> None:
        """Set the futures. When a batch fails, each sample is tried alone, so that one costs only itself."""
        try:
            classes = self.predictor.classes
            predictions = predict_prepared(self.predictor, [job.prepared for job in batch], top_k=len(classes))
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._answer([job])
            else:
                batch[0].future.set_exception(_refusal(error))
            return
        for job, prediction in zip(batch, predictions, strict=True):
            job.future.set_result(prediction)


def _smoothed(old: float, new: float) -> float:
    """Exponential moving average; the first value counts as it is."""
    return old + (new - old) * (0.2 if old else 1)


def _refusal(error: Exception) -> Refusal:
    """The refusal of a sample with which the model failed; a bug is logged."""
    if isinstance(error, ObverseError):
        return Refusal("bad-sample", str(error))
    log_bug(logger, error)
    return Refusal("internal", "the server failed; its log says where")
