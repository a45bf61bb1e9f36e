"""WHERE it runs: device, process, number formats, randomness."""

from .group import joined
from .memory import available_memory, peak_memory
from .precision import autocast, choose_matmul, fastest_seconds, has_fast_bf16
from .process import ALONE, Process, keep_freed_memory, num_usable_cpus, resolve_device
from .seeding import (
    named_generator,
    named_uniforms,
    restore_torch_random_state,
    seed_torch,
    seed_torch_of_rank,
    torch_random_state,
)
from .sharding import deal, dealt_order

__all__ = [
    "ALONE",
    "Process",
    "autocast",
    "available_memory",
    "choose_matmul",
    "deal",
    "dealt_order",
    "fastest_seconds",
    "has_fast_bf16",
    "joined",
    "keep_freed_memory",
    "named_generator",
    "named_uniforms",
    "num_usable_cpus",
    "peak_memory",
    "resolve_device",
    "restore_torch_random_state",
    "seed_torch",
    "seed_torch_of_rank",
    "torch_random_state",
]
