"""Current sample of each loader worker in shared memory, to name the picture on which a worker died or hung.

There is no lock: every worker and every thread writes its own row, and the main process reads only after a failure.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

IDLE = -1


class Board:
    """Table with one row (process id, index of the sample) per worker, and each thread's sample."""

    def __init__(self, num_workers: int) -> None:
        self._of_threads: dict[int, int] = {}
        rows = torch.full((num_workers, 2), IDLE, dtype=torch.int64)
        self._shared: torch.Tensor = rows.share_memory_()  # type: ignore[no-untyped-call]
        self._rows: npt.NDArray[np.int64] = self._shared.numpy()

    def __getstate__(self) -> dict[str, Any]:
        return {"_shared": self._shared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._of_threads = {}
        self._shared = state["_shared"]
        self._rows = self._shared.numpy()

    def note(self, index: int) -> None:
        """Record the sample that this worker or thread begins to read; IDLE when its batch is done."""
        worker = get_worker_info()
        if worker is None:
            self._of_threads[threading.get_ident()] = index
        else:
            row = self._rows[worker.id]
            row[0], row[1] = os.getpid(), index

    def suspects(self, fault: str) -> list[int]:
        """The samples that failed workers were reading.

        fault: the message of torch's DataLoader. Where it names no process ids, the samples of all busy workers.
        """
        named = re.search(r"pid(?:\(s\))? ([\d, ]+)", fault)
        pids = {int(number) for number in re.findall(r"\d+", named[1])} if named else set()
        busy = [(int(pid), int(index)) for pid, index in self._rows if index != IDLE]
        busy += [(os.getpid(), index) for index in self._of_threads.values() if index != IDLE]
        return [index for pid, index in busy if pid in pids] or [index for _, index in busy]
