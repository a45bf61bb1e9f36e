"""Attention in bf16 on a CPU, forward and backward: in blocks, as Obverse trains, beside torch's own kernel.

Shapes are those of common vision transformers, in turn, the best of fifteen; the last rows are whole training steps of
a timm network in plain torch code. Nothing else may run.
    python benchmarks/attention.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import timm
import torch
from common import save_beside
from torch.nn import functional

from obverse.runtime import fast_attention, keep_freed_memory

# What has this shape: pictures, heads and tokens.
SHAPES = {
    "ViT-Tiny at 224": (32, 3, 197),
    "ViT-S at 224": (32, 6, 197),
    "ViT-B at 224": (8, 12, 197),
    "a ViT of 3 heads at 32, patches of 4": (128, 3, 65),
    "ViT-S at 384": (8, 6, 577),
    "ViT-S at 518, patches of 14": (2, 6, 1370),
}
NETWORKS = {"vit_tiny_patch16_224": 32, "vit_small_patch16_224": 32}
WIDTH, ROUNDS = 64, 15


def in_turn(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Milliseconds of the fastest call with torch's attention, and with that in blocks."""
    best = dict.fromkeys(("torch", "blocks"), float("inf"))
    for _ in range(rounds + 1):
        for way in best:
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16), fast_attention() if way == "blocks" else nullcontext():
                call()
            best[way] = min(best[way], time.perf_counter() - start)
    return {way: round(1000 * seconds, 1) for way, seconds in best.items()}


def attention(num_pictures: int, heads: int, tokens: int) -> Callable[[], Any]:
    """A call of torch's function and its gradient."""
    qkv = torch.randn(num_pictures, tokens, 3, heads, WIDTH, dtype=torch.bfloat16).permute(2, 0, 3, 1, 4)
    qkv = qkv.detach().requires_grad_()
    gradient = torch.randn(num_pictures, tokens, heads, WIDTH, dtype=torch.bfloat16).transpose(1, 2)

    def call() -> None:
        torch.autograd.grad(functional.scaled_dot_product_attention(*qkv.unbind(0)), qkv, gradient)

    return call


def training_step(name: str, batch: int) -> Callable[[], Any]:
    """Forward and backward passes."""
    model = timm.create_model(name, num_classes=10).train()
    images_BCHW, labels_B = torch.randn(batch, 3, 224, 224), torch.randint(10, (batch,))

    def call() -> None:
        loss = functional.cross_entropy(model(images_BCHW), labels_B)
        torch.autograd.grad(loss, list(model.parameters()))

    return call


def main() -> None:
    torch.manual_seed(0)
    keep_freed_memory()
    rows = []
    jobs = [(what, partial(attention, *shape), ROUNDS) for what, shape in SHAPES.items()]
    jobs += [(f"a step of {name}", partial(training_step, name, batch), 4) for name, batch in NETWORKS.items()]
    for what, prepare, rounds in jobs:
        milliseconds = in_turn(prepare(), rounds)
        ratio = round(milliseconds["torch"] / milliseconds["blocks"], 2)
        rows.append({"what": what, "milliseconds": milliseconds, "times as fast": ratio})
        print(rows[-1], flush=True)
    save_beside("attention", rows, command="python benchmarks/attention.py")


if __name__ == "__main__":
    main()
