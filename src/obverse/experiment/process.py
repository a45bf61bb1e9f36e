"""Process-wide settings of a run: number of threads, precision of fp32 matrix products, and torch's seed."""

from __future__ import annotations

import torch

from obverse.recipe import ResolvedRecipe
from obverse.runtime import keep_freed_memory, resolve_device, seed_torch


def prepare_process(recipe: ResolvedRecipe) -> torch.device:
    """The run's device in this process, after applying its process-wide settings. Call before building the model."""
    device = resolve_device(recipe.runtime.device)
    if device.type == "cpu":
        keep_freed_memory()
    torch.set_num_threads(recipe.runtime.num_threads)
    torch.set_float32_matmul_precision(recipe.runtime.matmul)
    seed_torch(recipe.training.seed)
    return device
