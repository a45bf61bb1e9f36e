"""The execution environment: device, process group, number formats, random numbers, timing."""

from .attention import fast_attention
from .busy import busy_note
from .choices import (
    Choice,
    cache_folder,
    choose_once,
    device_name,
    forget_choices,
    machine,
    remembered_choices,
)
from .group import joined
from .locking import locked
from .memory import available_memory, peak_memory
from .optimizers import without_compiler
from .precision import autocast, choose_matmul, supports_bf16
from .process import ALONE, Process, give_back_freed_memory, keep_freed_memory, resolve_device
from .seeding import (
    named_generator,
    named_uniforms,
    restore_torch_random_state,
    seed_torch,
    seed_torch_of_rank,
    torch_random_state,
)
from .sharding import UNIT, shard, unsharded_order
from .timing import choose_faster, fastest_seconds, seconds_of

__all__ = [
    "ALONE",
    "UNIT",
    "Choice",
    "Process",
    "autocast",
    "available_memory",
    "busy_note",
    "cache_folder",
    "choose_faster",
    "choose_matmul",
    "choose_once",
    "device_name",
    "fast_attention",
    "fastest_seconds",
    "forget_choices",
    "give_back_freed_memory",
    "joined",
    "keep_freed_memory",
    "locked",
    "machine",
    "named_generator",
    "named_uniforms",
    "peak_memory",
    "remembered_choices",
    "resolve_device",
    "restore_torch_random_state",
    "seconds_of",
    "seed_torch",
    "seed_torch_of_rank",
    "shard",
    "supports_bf16",
    "torch_random_state",
    "unsharded_order",
    "without_compiler",
]
