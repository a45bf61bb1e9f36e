"""Decoding of samples in child processes with limits, so that a hostile picture costs only its own request."""

from __future__ import annotations

import io
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from obverse.cpus import num_allowed_cpus
from obverse.errors import DataError
from obverse.imaging import PictureError, Pixels, Sandbox
from obverse.inference import Predictor, Prepared, least_decode, prepare

from .counters import Counters
from .refusals import Refusal
from .sample import Sample

# Two pictures that keep their decoder busy must not hold up all others for long.
CPU_SECONDS = 3.0
WALL_SECONDS = 6.0


class Decoder:
    """Threads that wait for children of a sandbox, and fit what these have decoded."""

    def __init__(self, counters: Counters, *, sandbox: Sandbox | None = None) -> None:
        # At least two, so that one hanging decoder leaves another.
        self.num_threads = max(2, num_allowed_cpus())
        self._sandbox = sandbox or Sandbox(self.num_threads, cpu_seconds=CPU_SECONDS, wall_seconds=WALL_SECONDS)
        self._threads = ThreadPoolExecutor(self.num_threads, thread_name_prefix="obverse-decoder")
        self._counters = counters

    def warm_up(self) -> None:
        """Start all children, which takes a fifth of a second each."""
        data = io.BytesIO()
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(data, "PNG")
        list(self._threads.map(self._sandbox.decode, [data.getvalue()] * self.num_threads))

    def submit(self, predictor: Predictor, sample: Sample, deadline: float) -> Future[Prepared]:
        """The sample, fitted for the model. deadline: of `time.monotonic`.

        The future raises Refusal: bad-picture, bad-sample or too-late.
        """
        return self._threads.submit(self._prepared, predictor, sample, deadline)

    def close(self) -> None:
        """End threads and children, after running decodings."""
        self._threads.shutdown(cancel_futures=True)
        self._sandbox.close()

    def _prepared(self, predictor: Predictor, sample: Sample, deadline: float) -> Prepared:
        start = time.monotonic()
        if start > deadline:
            raise Refusal("too-late", "the request waited too long to be decoded")
        pictures = {view: self._pixels(predictor, view, picture) for view, picture in sample.pictures.items()}
        try:
            prepared = prepare(predictor, {**pictures, **sample.columns})
        except DataError as error:
            raise Refusal("bad-sample", str(error)) from None
        self._counters.observe("obverse_decode_seconds", time.monotonic() - start)
        return prepared

    def _pixels(self, predictor: Predictor, view: str, picture: bytes | Pixels) -> Pixels:
        if not isinstance(picture, bytes):
            return picture
        min_height, min_width = least_decode(predictor)
        try:
            return self._sandbox.decode(picture, min_height=min_height, min_width=min_width)
        except PictureError as error:
            raise Refusal("bad-picture", f"{view}: {error}") from None
