"""Batches in an order that depends on (seed, epoch) alone, from any step onwards, with any number of workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from obverse.errors import DataError
from obverse.recipe import SamplerKind
from obverse.runtime import Process, named_generator, shard

from .ahead import ahead
from .batch import Batch
from .board import Board
from .dataset import PictureDataset, Place
from .sampling import ClassSampling, Draw

# A worker that gives nothing for this long is reported instead of waited for.
WORKER_TIMEOUT_SECONDS = 300


class EpochSampler(Sampler[list[Place]]):
    """Batches of places for one epoch, starting at any batch. A DataLoader's workers get those of `current`.

    batch_size counts the samples of all ranks together, each of which gets its share of every batch. Training drops
    nothing: the last batch may be smaller.
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
        """What each batch of `epoch` holds, from `first_batch` on."""
        order = self._order(epoch)
        for batch in range(first_batch, len(self)):
            whole = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            share = shard(whole, rank=self.process.rank, world_size=self.process.world_size)
            yield [(*draw, valid) for draw, valid in share]

    def _order(self, epoch: int) -> list[Draw]:
        if self.seed is None:
            return [(epoch, index) for index in range(self.num_samples)]
        generator = named_generator("order", self.seed, epoch)
        if self.sampling is not None:
            return self.sampling.order(epoch, generator)
        return [(epoch, index) for index in generator.permutation(self.num_samples).tolist()]


class Loader:
    """Iterates Batches of a dataset; `epoch(e, first_batch)` starts anywhere. seed None: manifest order.

    sampler: how often each class is shown, `natural`, `sqrt` or `balanced`.
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
        """Batches of one epoch from `first_batch` on; close it when it is left early.

        DataError names a picture that has become unreadable.
        """
        if self._workers is None:
            try:
                yield from ahead(self._batches(epoch, first_batch), timeout_seconds=WORKER_TIMEOUT_SECONDS)
            except TimeoutError as error:
                raise self.blame(error) from None
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
            raise self.blame(error) from None

    def close(self) -> None:
        """End the processes now; a next epoch starts others. Left to the garbage collector each would wait 5 s."""
        if self._workers is not None:
            self._workers = self._start_workers(self._workers.num_workers)

    def blame(self, error: Exception) -> DataError:
        """The sentence for a worker that died or gives nothing any more: which samples it was reading."""
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
    """Ctrl-C reaches the whole process group; the trainer ends the step first and then the workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
