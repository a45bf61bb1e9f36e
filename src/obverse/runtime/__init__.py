"""WHERE it runs: device, process, number formats, randomness."""

from .precision import autocast, choose_matmul, fastest_seconds, has_fast_bf16
from .process import Process, keep_freed_memory, num_usable_cpus, resolve_device
from .seeding import named_generator, named_uniforms, restore_torch_random_state, seed_torch, torch_random_state
from .sharding import deal

__all__ = [
    "Process",
    "autocast",
    "choose_matmul",
    "deal",
    "fastest_seconds",
    "has_fast_bf16",
    "keep_freed_memory",
    "named_generator",
    "named_uniforms",
    "num_usable_cpus",
    "resolve_device",
    "restore_torch_random_state",
    "seed_torch",
    "torch_random_state",
]
