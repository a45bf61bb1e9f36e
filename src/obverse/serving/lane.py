"""A model with its queue and its thread: samples that wait at the same time are answered in one forward pass."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from obverse.errors import ObverseError
from obverse.inference import Prediction, Predictor, Prepared, predict_prepared

from .counters import SIZES, Counters
from .limits import BATCH_WAIT_SECONDS, Limits
from .log import log_bug
from .refusals import Refusal

logger = logging.getLogger("obverse.serving")


@dataclass(eq=False)
class _Job:
    prepared: Prepared
    deadline: float
    future: Future[Prediction] = field(default_factory=Future)


class Lane:
    """One model behind a queue. Its thread alone runs the model, so that no two forward passes compete for cores."""

    def __init__(self, name: str, predictor: Predictor, limits: Limits, counters: Counters) -> None:
        self.name, self.predictor, self.limits = name, predictor, limits
        self.num_requests = 0
        """Requests that were admitted and are not answered yet."""
        self.num_decoding = 0
        """Samples that are being decoded, or wait for it."""
        self._counters = counters
        self._jobs: deque[_Job] = deque()
        self._num_running = 0
        self._seconds_per_sample = 0.0
        self._changed = threading.Condition()
        self._is_closed = False
        counters.gauge("obverse_queued_samples", lambda: len(self._jobs), model=name)
        counters.gauge("obverse_requests_in_progress", lambda: self.num_requests, model=name)
        self._thread = threading.Thread(target=self._work, name=f"obverse-model-{name}", daemon=True)
        self._thread.start()

    def submit(self, prepared: Prepared, deadline: float) -> Future[Prediction]:
        """The prediction of a sample; `top` has all classes. deadline: of `time.monotonic`.

        The future raises Refusal.
        """
        job = _Job(prepared, deadline)
        with self._changed:
            if self._is_closed:
                raise Refusal("stopping", "the server is stopping")
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def expected_wait(self) -> float:
        """Seconds until the model has answered everything that was sent before."""
        return (len(self._jobs) + self._num_running + self.num_decoding) * self._seconds_per_sample

    def close(self) -> None:
        """End the thread after the samples that wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            start = time.monotonic()
            self._answer(batch)
            seconds = time.monotonic() - start
            self._counters.observe("obverse_batch_seconds", seconds, model=self.name)
            self._counters.observe("obverse_batch_samples", len(batch), bounds=SIZES, model=self.name)
            each = seconds / len(batch)
            self._seconds_per_sample += (each - self._seconds_per_sample) * (0.2 if self._seconds_per_sample else 1)
            self._num_running = 0

    def _next_batch(self) -> list[_Job]:
        """The next samples whose deadline has not passed; empty when the lane is closed."""
        batch: list[_Job] = []
        while not batch:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_closed)
                if not self._jobs:
                    return []
                self._wait_for_more()
                jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), self.limits.max_batch))]
                self._num_running = len(jobs)
            batch = [job for job in jobs if not self._is_late(job)]
        return batch

    def _wait_for_more(self) -> None:
        """Wait a moment for samples that are being decoded, so that they are answered together."""
        until = time.monotonic() + BATCH_WAIT_SECONDS
        while self.num_decoding and len(self._jobs) < self.limits.max_batch and not self._is_closed:
            seconds = until - time.monotonic()
            if seconds <= 0 or not self._changed.wait(seconds):
                return

    def _is_late(self, job: _Job) -> bool:
        if time.monotonic() <= job.deadline:
            return False
        job.future.set_exception(Refusal("too-late", "the request waited too long for the model"))
        return True

    def _answer(self, batch: list[_Job]) -> None:
        """Set the futures. When a batch fails, each sample is tried alone, so that one costs only itself."""
        try:
            classes = self.predictor.classes
            predictions = predict_prepared(self.predictor, [job.prepared for job in batch], top_k=len(classes))
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._answer([job])
            elif isinstance(error, ObverseError):
                batch[0].future.set_exception(Refusal("bad-sample", str(error)))
            else:
                log_bug(logger, error)
                batch[0].future.set_exception(Refusal("internal", "the server failed; its log says where"))
            return
        for job, prediction in zip(batch, predictions, strict=True):
            job.future.set_result(prediction)
