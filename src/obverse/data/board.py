"""Which sample each loading process is at, in memory that they share: so that a dead or hung one can be explained.

Not a lock and not a queue: every process writes its own row, and the main process reads when something went wrong.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

IDLE = -1


class Board:
    """One row (process id, index of the sample) for each worker, or for the thread that stands in for them."""

    def __init__(self, num_workers: int) -> None:
        rows = torch.full((max(1, num_workers), 2), IDLE, dtype=torch.int64)
        self._shared: torch.Tensor = rows.share_memory_()  # type: ignore[no-untyped-call]
        self._rows: npt.NDArray[np.int64] = self._shared.numpy()

    def __getstate__(self) -> dict[str, Any]:
        return {"_shared": self._shared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._shared = state["_shared"]
        self._rows = self._shared.numpy()

    def note(self, index: int) -> None:
        """This process is at the sample with this index; IDLE when its batch is done."""
        worker = get_worker_info()
        row = self._rows[worker.id if worker else 0]
        row[0], row[1] = os.getpid(), index

    def suspects(self, fault: str) -> list[int]:
        """Samples of the processes that `fault`, a message of torch's DataLoader, names; of all when it names none."""
        named = re.search(r"pid(?:\(s\))? ([\d, ]+)", fault)
        pids = {int(number) for number in re.findall(r"\d+", named[1])} if named else set()
        busy = [(int(pid), int(index)) for pid, index in self._rows if index != IDLE]
        return [index for pid, index in busy if pid in pids] or [index for _, index in busy]
