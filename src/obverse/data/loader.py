"""Batches in an order that depends on (seed, epoch) alone, from any step onwards, with any number of workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from obverse.errors import DataError
from obverse.runtime import Process, deal, named_generator

from .batch import Batch
from .dataset import Item, PictureDataset, Place, collate

# A worker that gives nothing for this long is reported instead of waited for.
WORKER_TIMEOUT_SECONDS = 300


class EpochSampler(Sampler[list[Place]]):
    """Batches of places for one epoch, starting at any batch. The caller sets epoch and first_batch before iterating.

    batch_size counts the samples of all ranks together, each of which gets its share of every batch. Training drops
    nothing: the last batch may be smaller.
    """

    def __init__(self, num_samples: int, batch_size: int, *, seed: int | None, process: Process) -> None:
        self.num_samples, self.batch_size, self.seed, self.process = num_samples, batch_size, seed, process
        self.epoch = 0
        self.first_batch = 0

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def __iter__(self) -> Iterator[list[Place]]:
        order = list(range(self.num_samples))
        if self.seed is not None:
            order = named_generator("order", self.seed, self.epoch).permutation(self.num_samples).tolist()
        for batch in range(self.first_batch, len(self)):
            whole = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            mine = deal(whole, rank=self.process.rank, world_size=self.process.world_size)
            yield [(self.epoch, index, valid) for index, valid in mine]


class Loader:
    """Iterates Batches of a dataset; `epoch(e, first_batch)` starts anywhere. seed None: manifest order."""

    def __init__(
        self,
        dataset: PictureDataset,
        batch_size: int,
        *,
        seed: int | None = None,
        num_workers: int = 0,
        process: Process | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.sampler = EpochSampler(len(dataset), batch_size, seed=seed, process=process or Process())
        self._loader: DataLoader[Item] = DataLoader(
            dataset,
            batch_sampler=self.sampler,
            collate_fn=collate,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            timeout=WORKER_TIMEOUT_SECONDS if num_workers > 0 else 0,
            worker_init_fn=_start_worker if num_workers > 0 else None,
            pin_memory=pin_memory,
            # Its own generator: the global one belongs to dropout, and a resumed epoch must not draw from it once more.
            generator=torch.Generator(),
            # Forked workers share the pixel cache; where there is no fork, each worker has its own.
            multiprocessing_context=_context() if num_workers > 0 else None,
        )

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.sampler)

    def epoch(self, epoch: int = 0, first_batch: int = 0) -> Iterator[Batch]:
        """Batches of one epoch from `first_batch` on. DataError names a picture that has become unreadable."""
        self.sampler.epoch, self.sampler.first_batch = epoch, first_batch
        try:
            yield from self._loader
        except DataError as error:
            # A worker's exception arrives with its traceback as text; the sentence is its last line.
            raise DataError(str(error).strip().splitlines()[-1].split("Error: ", 1)[-1]) from None
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            raise DataError(f"reading pictures failed: {error}") from error


def _context() -> str:
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def _start_worker(worker: int) -> None:
    """Ctrl-C reaches the whole process group; the trainer ends the step first and then the workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
