"""Floating-point formats: chosen by hardware support and by measurement, then written into the recipe.

On AMD processors torch's default fp32 matrix product takes MKL's slow path, and the setting `medium` moves it to
oneDNN at full fp32 accuracy; on processors with AMX the same setting rounds to bf16. So both speed and error are
measured at the start instead of guessed from a processor's name.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from .choices import choose_once
from .timing import choose_faster

MATMUL_SETTINGS = ("highest", "medium")
# fp32 products of this size differ by about 4e-7 between libraries; bf16 rounding gives about 4e-3.
MAX_RELATIVE_ERROR = 1e-5
SIDE = 512


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The autocast context of a precision; `fp32` disables it."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")


def supports_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16: every CPU with AVX512 does, and some have instructions that make it fast."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_matmul(device: torch.device) -> str:
    """The setting of `torch.set_float32_matmul_precision`.

    A GPU takes `high` (TF32). A CPU takes `highest`, unless `medium` keeps fp32 accuracy and is clearly faster; that
    measurement is remembered on this machine.
    """
    if device.type == "cuda":
        return "high"
    if device.type != "cpu":
        return "highest"
    setting: str = choose_once("matmul", {"side": SIDE}, _measured_matmul, is_valid=MATMUL_SETTINGS.__contains__)
    return setting


def _measured_matmul() -> str:
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIDE, SIDE, generator=generator) for _ in range(2))

    try:
        exact = a.double() @ b.double()
        torch.set_float32_matmul_precision("medium")
        error = float(((a @ b) - exact).norm() / exact.norm())
        if error >= MAX_RELATIVE_ERROR:
            return "highest"
        return choose_faster(MATMUL_SETTINGS, lambda: a @ b, prepare=torch.set_float32_matmul_precision)
    finally:
        torch.set_float32_matmul_precision(before)
