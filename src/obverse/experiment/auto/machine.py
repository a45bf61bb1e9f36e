"""Facts about the machine that a run is resolved for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from obverse.cpus import num_usable_cpus
from obverse.launch import launched
from obverse.recipe import RuntimeSpec
from obverse.runtime import choose_matmul, has_fast_bf16, resolve_device


@dataclass(frozen=True)
class Machine:
    """kind: of its device: cpu, cuda or mps. matmul: the setting for fp32 products, where the recipe leaves it open.

    has_fast_bf16: None where nobody knows, because the machine is another one. processes: that train together.
    """

    kind: str
    num_cpus: int
    matmul: str
    has_fast_bf16: bool | None
    processes: int = 1

    @classmethod
    def here(cls, runtime: RuntimeSpec) -> Machine:
        """This machine. Its matmul setting is measured once where the recipe leaves it open, and remembered."""
        return cls._of(resolve_device(runtime.device).type, runtime, is_here=True)

    @classmethod
    def elsewhere(cls, kind: str, runtime: RuntimeSpec) -> Machine:
        """Another machine with such a device and as many cores as this one."""
        return cls._of(kind, runtime, is_here=kind == "cpu")

    @classmethod
    def _of(cls, kind: str, runtime: RuntimeSpec, *, is_here: bool) -> Machine:
        device = torch.device(kind)
        matmul = choose_matmul(device) if runtime.matmul == "auto" else runtime.matmul
        fast_bf16 = has_fast_bf16(device) if is_here else None
        return cls(kind, num_usable_cpus(), matmul, fast_bf16, launched().world_size)
