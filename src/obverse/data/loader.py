"""Loader of batches: the order depends on (seed, epoch) alone, with any number of workers and from any step on."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from obverse.errors import DataError
from obverse.recipe import SamplerKind
from obverse.runtime import Process, named_generator, shard

from .batch import Batch
from .board import Board
from .dataset import PictureDataset, Place
from .prefetch import prefetched
from .sampling import ClassSampling, Draws, draws

# A worker that returns no batch for this long counts as hung.
WORKER_TIMEOUT_SECONDS = 300


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
    """Loader of a dataset's batches, in worker processes or a thread.

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
        if "timed out" in str(error):
            fault = f"nothing came for {WORKER_TIMEOUT_SECONDS} seconds"
        else:
            fault = f"a process that reads pictures died ({' '.join(str(error).split())[:200]})"
        where = f" while it read {', '.join(map(repr, names))}" if names else ""
        return DataError(f"{fault}{where}; look at the picture(s), or at the memory of this machine, and go on with "
                         "--resume")  # fmt: skip

    def _batches(self, epoch: int, first_batch: int) -> Iterator[Batch]:
        for places in self.sampler.places(epoch, first_batch):
            batch = self.dataset[places]
            yield batch.pin_memory() if self._pin_memory else batch


def _context() -> str:
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def _start_worker(worker: int) -> None:
    """Start-up of a worker: it ignores Ctrl-C, which reaches the whole process group; the trainer ends the workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
