"""Facts about the machine that a run is resolved for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from obverse.cpus import num_usable_cpus
from obverse.launch import launched
from obverse.recipe import RuntimeSpec
from obverse.runtime import choose_matmul, resolve_device, supports_bf16


@dataclass(frozen=True)
class Machine:
    """Facts about the machine that a recipe is resolved for."""

    kind: str
    """Kind of device: cpu, cuda or mps."""

    num_cpus: int
    """Processor cores that this process may use."""

    matmul: str
    """Precision of fp32 matrix products, as in `torch.set_float32_matmul_precision`."""

    supports_bf16: bool | None
    """As `runtime.supports_bf16`; None for another machine, where it cannot be tested."""

    processes: int = 1
    """Number of processes that train together."""

    @classmethod
    def here(cls, runtime: RuntimeSpec) -> Machine:
        """This machine. Where the recipe leaves `matmul` at auto, it is measured once and the result is stored."""
        return cls._of(resolve_device(runtime.device).type, runtime, is_here=True)

    @classmethod
    def elsewhere(cls, kind: str, runtime: RuntimeSpec) -> Machine:
        """Another machine with such a device and as many cores as this one."""
        return cls._of(kind, runtime, is_here=kind == "cpu")

    @classmethod
    def _of(cls, kind: str, runtime: RuntimeSpec, *, is_here: bool) -> Machine:
        device = torch.device(kind)
        matmul = choose_matmul(device) if runtime.matmul == "auto" else runtime.matmul
        bf16 = supports_bf16(device) if is_here else None
        return cls(kind, num_usable_cpus(), matmul, bf16, launched().world_size)
