"""What a launcher such as torchrun says in the environment: which process this is, of how many.

Without torch, so that a command knows its rank before anything heavy is loaded. The names are torchrun's, which Slurm
and Kubernetes launchers use too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import RecipeError

# What torchrun says without --rdzv-id.
NO_ID = "none"


@dataclass(frozen=True)
class Launch:
    """local: on this machine. num_restarts: how often torchrun's agent has started the processes again.

    id: of the rendezvous, the same for all starts that belong together; None when the launcher gives none.
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
        """Whether this process reads data, writes files and talks."""
        return self.rank == 0


def launched(environment: Mapping[str, str] = os.environ) -> Launch:
    """This process; rank 0 of 1 without a launcher. RecipeError when the environment contradicts itself."""
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
