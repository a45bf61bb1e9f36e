"""Loader of batches: the order depends on (seed, epoch) alone, with any number of workers and from any step on."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from obverse.cpus import num_usable_cpus
from obverse.errors import DataError
from obverse.imaging import in_order
from obverse.recipe import SamplerKind
from obverse.runtime import Process, named_generator, seconds_of, shard

from .batch import Batch
from .board import Board
from .dataset import PictureDataset, Place
from .prefetch import prefetched
from .sampling import ClassSampling, Draws, draws

# A worker that returns no batch for this long counts as hung.
WORKER_TIMEOUT_SECONDS = 300
# More threads than this wait for each other: each holds the interpreter for a part of a picture.
MOST_THREADS = 16
# Seconds for a picture from which threads pay. Pictures of CIFAR-10 take 0.16 ms, and two threads take half as long
# again; photographs of 512x384 take 1.4 ms, and two threads two thirds of it.
SLOW_SECONDS, NUM_TIMED = 0.5e-3, 3


class DeadWorker(DataError):
    """A process that reads pictures died."""


class EpochSampler(Sampler[list[Place]]):
    """Sampler of one epoch's batches of places, starting at any batch.

    batch_size: samples of all ranks together; every rank gets a shard of each batch. No sample is dropped: the last
    batch may be smaller. Iterating, as a DataLoader does, yields the batches of `current` (epoch, first batch).
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        seed: int | None,
        process: Process,
        sampling: ClassSampling | None = None,
    ) -> None:
        self.num_samples, self.batch_size, self.seed, self.process = num_samples, batch_size, seed, process
        self.sampling = sampling
        self.current = (0, 0)

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[list[Place]]:
        return self.places(*self.current)

    def places(self, epoch: int, first_batch: int) -> Iterator[list[Place]]:
        """This rank's places (epoch, index, valid) of each batch of `epoch`, from `first_batch` on."""
        order = self._order(epoch)
        for batch in range(first_batch, len(self)):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            whole = [(draw_epoch, index) for draw_epoch, index in rows.tolist()]
            share = shard(whole, rank=self.process.rank, world_size=self.process.world_size)
            yield [(*draw, valid) for draw, valid in share]

    def _order(self, epoch: int) -> Draws:
        if self.seed is None:
            return draws(epoch, np.arange(self.num_samples))
        generator = named_generator("order", self.seed, epoch)
        if self.sampling is not None:
            return self.sampling.order(epoch, generator)
        return draws(epoch, generator.permutation(self.num_samples))


class Loader:
    """Loader of a dataset's batches, in worker processes or in threads of this process.

    Without workers as many threads read as compute. Pixels of a cache and tiny pictures are read by one: they need the
    interpreter for most of the time, which threads only share.

    seed: of the order; None: manifest order. sampler: class frequencies, `natural`, `sqrt` or `balanced`.
    """

    def __init__(
        self,
        dataset: PictureDataset,
        batch_size: int,
        *,
        seed: int | None = None,
        num_workers: int = 0,
        process: Process | None = None,
        pin_memory: bool = False,
        sampler: SamplerKind = "natural",
    ) -> None:
        self.dataset, self._pin_memory = dataset, pin_memory
        self._num_threads = min(MOST_THREADS, num_usable_cpus())
        self._is_slow: bool | None = None
        sampling = None if sampler == "natural" else ClassSampling([s.label for s in dataset.samples], sampler)
        self.sampler = EpochSampler(
            len(dataset), batch_size, seed=seed, process=process or Process(), sampling=sampling
        )
        self._board = dataset.board = Board(num_workers)
        self._workers = self._start_workers(num_workers) if num_workers else None

    def _start_workers(self, number: int) -> DataLoader[Batch]:
        return DataLoader(
            self.dataset,
            sampler=self.sampler,
            batch_size=None,
            num_workers=number,
            persistent_workers=True,
            timeout=WORKER_TIMEOUT_SECONDS,
            worker_init_fn=_start_worker,
            pin_memory=self._pin_memory,
            # Its own generator: the global one belongs to dropout, and a resumed epoch must not draw from it once more.
            generator=torch.Generator(),
            # Forked workers share the pixel cache; where there is no fork, each worker has its own.
            multiprocessing_context=_context(),
        )

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.sampler)

    def epoch(self, epoch: int = 0, first_batch: int = 0) -> Generator[Batch]:
        """Generator of one epoch's batches from `first_batch` on; close it when iteration stops early.

        DataError names a picture that has become unreadable.
        """
        if self._workers is None:
            try:
                yield from prefetched(self._batches(epoch, first_batch), timeout_seconds=WORKER_TIMEOUT_SECONDS)
            except TimeoutError as error:
                raise self.worker_error(error) from None
            return
        self.sampler.current = (epoch, first_batch)
        try:
            yield from self._workers
        except DataError as error:
            # A worker's exception arrives with its traceback as text; the sentence is its last line.
            raise DataError(str(error).strip().splitlines()[-1].split("Error: ", 1)[-1]) from None
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            raise self.worker_error(error) from None

    def close(self) -> None:
        """Shutdown of the workers; a later epoch starts new ones. The garbage collector would wait 5 s for each."""
        if self._workers is not None:
            self._workers = self._start_workers(self._workers.num_workers)

    def worker_error(self, error: Exception) -> DataError:
        """DataError for a worker that died or hangs, naming the samples that it was reading."""
        names = [self.dataset.samples[index].id for index in self._board.suspects(str(error))]
        is_hung = "timed out" in str(error)
        if is_hung:
            fault = f"nothing came for {WORKER_TIMEOUT_SECONDS} seconds"
        else:
            fault = f"a process that reads pictures died ({' '.join(str(error).split())[:200]})"
        where = f" while it read {', '.join(map(repr, names))}" if names else ""
        kind = DataError if is_hung else DeadWorker
        return kind(f"{fault}{where}; look at the picture(s), or at the memory of this machine, and go on with "
                         "--resume")  # fmt: skip

    def _batches(self, epoch: int, first_batch: int) -> Iterator[Batch]:
        for batch in self._read(self.sampler.places(epoch, first_batch)):
            yield batch.pin_memory() if self._pin_memory else batch

    def _threads_pay(self) -> bool:
        """Whether threads are faster than one; the first time, a few pictures are read to find out."""
        cache = self.dataset.cache
        if self._num_threads == 1 or (cache is not None and cache.has_most):
            return False
        if self._is_slow is None:
            reads = [partial(self.dataset.__getitem__, [(0, index, True)]) for index in range(NUM_TIMED)]
            try:
                self._is_slow = min(map(seconds_of, reads[: len(self.dataset)]), default=0.0) > SLOW_SECONDS
            except DataError:  # raised again where the picture's batch is due
                return False
        return self._is_slow

    def _read(self, batches: Iterator[list[Place]]) -> Iterator[Batch]:
        if not self._threads_pay():
            yield from map(self.dataset.__getitem__, batches)
            return
        # A batch is made of parts, of which each thread makes one at a time; no more than one batch is begun.
        num_parts: deque[int] = deque()

        def parts() -> Iterator[list[Place]]:
            for places in batches:
                size = -(-len(places) // self._num_threads)
                split = [places[start : start + size] for start in range(0, len(places), size)]
                num_parts.append(len(split))
                yield from split

        num = self._num_threads
        with closing(in_order(self.dataset.__getitem__, parts(), num_threads=num, num_ahead=num)) as made:
            for first in made:
                yield Batch.joined([first, *islice(made, num_parts.popleft() - 1)])


def _context() -> str:
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def _start_worker(worker: int) -> None:
    """Start-up of a worker: it ignores Ctrl-C, which reaches the whole process group; the trainer ends the workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
