"""Rank and world size from the environment variables of a launcher such as torchrun.

Imports no torch, so that a command knows its rank before anything heavy is loaded. The variable names are torchrun's,
which Slurm and Kubernetes launchers use too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import RecipeError

# The value that torchrun sets without --rdzv-id.
NO_ID = "none"


@dataclass(frozen=True)
class Launch:
    """Position of this process among those that a launcher has started.

    local_rank, local_world_size: the same on this machine alone. num_restarts: how often torchrun's agent has restarted
    the processes. id: the rendezvous id, equal over restarts; None when the launcher gives none.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    num_nodes: int = 1
    num_restarts: int = 0
    max_restarts: int = 0
    id: str | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process is rank 0, which alone indexes the data, writes files and prints."""
        return self.rank == 0


def launched(environment: Mapping[str, str] = os.environ) -> Launch:
    """The launch of this process; rank 0 of 1 without a launcher. RecipeError when variables contradict each other."""
    world_size = _number(environment, "WORLD_SIZE", 1)
    if world_size > 1 and (missing := [n for n in ("RANK", "MASTER_ADDR", "MASTER_PORT") if n not in environment]):
        raise RecipeError(f"WORLD_SIZE is {world_size}, but {', '.join(missing)} is not set; start with torchrun, "
                          "or unset WORLD_SIZE for one process")  # fmt: skip
    rank = _number(environment, "RANK", 0) if world_size > 1 else 0
    if not 0 <= rank < max(1, world_size):
        raise RecipeError(f"RANK is {rank}, but WORLD_SIZE is {world_size}; start with torchrun")
    return Launch(
        rank,
        world_size,
        _number(environment, "LOCAL_RANK", 0),
        _number(environment, "LOCAL_WORLD_SIZE", 1),
        _number(environment, "GROUP_WORLD_SIZE", 1),
        _number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
        _number(environment, "TORCHELASTIC_MAX_RESTARTS", 0),
        None if (name := environment.get("TORCHELASTIC_RUN_ID", NO_ID)) == NO_ID else name,
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal():
        raise RecipeError(f"the environment variable {name} is {text!r}, which is no number; start with torchrun")
    return int(text)
