"""Number formats: chosen by what the machine can do and by measurement, then written into the recipe.

On AMD processors torch's default fp32 matrix product takes MKL's slow path, and the setting `medium` moves it to
oneDNN at full fp32 accuracy; on processors with AMX the same setting rounds to bf16. So both speed and error are
measured at the start instead of guessed from a processor's name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

MATMUL_SETTINGS = ("highest", "medium")
# fp32 products of this size differ by about 4e-7 between libraries; bf16 rounding gives about 4e-3.
MAX_RELATIVE_ERROR = 1e-5
WORTHWHILE = 0.9


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The autocast context of a precision (`fp32` switches it off)."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in hardware, so that it can be faster at all."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_matmul(device: torch.device) -> str:
    """The fp32 matmul setting: on a CPU the fastest that keeps fp32 accuracy, on a GPU `high` (TF32)."""
    if device.type == "cuda":
        return "high"
    if device.type != "cpu":
        return "highest"
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    seconds, error = {}, {}
    for setting in MATMUL_SETTINGS:
        torch.set_float32_matmul_precision(setting)
        error[setting] = float(((a @ b) - exact).norm() / exact.norm())
        seconds[setting] = fastest_seconds(lambda: a @ b, repeats=10)
    torch.set_float32_matmul_precision(before)
    usable = error["medium"] < MAX_RELATIVE_ERROR and seconds["medium"] < WORTHWHILE * seconds["highest"]
    return "medium" if usable else "highest"


def fastest_seconds(work: Callable[[], object], *, repeats: int = 3) -> float:
    """The least wall time of `repeats` calls after one warm-up."""
    work()
    return min(_seconds(work) for _ in range(repeats))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
