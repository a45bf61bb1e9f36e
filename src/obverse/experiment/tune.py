"""Number and memory format by measurement: a few real steps in each form, the fastest wins (performance page)."""

from __future__ import annotations

from typing import Any

import torch

from obverse.bundle import Bundle
from obverse.evaluation import Forward
from obverse.models import Classifier
from obverse.recipe import Recipe
from obverse.runtime import autocast, fastest_seconds, has_fast_bf16, restore_torch_random_state, torch_random_state

MAX_PICTURES = 8
CONVINCING = 0.95


def tune(recipe: Recipe, model: Classifier, bundle: Bundle) -> Recipe:
    """The recipe with precision and channels_last decided; the model and torch's generators are left as they were."""
    runtime = recipe.runtime
    if runtime.precision != "auto" and runtime.channels_last != "auto":
        return recipe
    device = torch.device(runtime.device)
    precisions = [runtime.precision] if runtime.precision != "auto" else ["fp32", "bf16"]
    if runtime.precision == "auto" and not has_fast_bf16(device):
        precisions = ["fp32"]
    formats = [runtime.channels_last] if runtime.channels_last != "auto" else [False, True]
    before = torch_random_state()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seconds = {(p, bool(c)): _seconds(recipe, model, bundle, p, bool(c)) for p in precisions for c in formats}
    model.load_state_dict(state)
    model.to(memory_format=torch.contiguous_format)
    model.zero_grad(set_to_none=True)
    restore_torch_random_state(before)
    plain = next(iter(seconds))
    best = min(seconds, key=lambda key: seconds[key])
    choice = best if seconds[best] < CONVINCING * seconds[plain] else plain
    update: dict[str, Any] = {"precision": choice[0], "channels_last": choice[1]}
    return recipe.model_copy(update={"runtime": runtime.model_copy(update=update)})


def _seconds(recipe: Recipe, model: Classifier, bundle: Bundle, precision: str, channels_last: bool) -> float:
    """Wall time of one forward and backward pass."""
    device = torch.device(recipe.runtime.device)
    geometry = bundle.geometry
    micro = recipe.training.micro_batch_size
    assert micro != "auto"
    batch = max(2, min(micro, MAX_PICTURES // len(bundle.views)))
    shape = (batch, len(bundle.views), 3, geometry.canvas_height, geometry.canvas_width)
    forward = Forward(bundle.mean, bundle.std, device, precision, channels_last)
    model.to(device).to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    model.train()
    images_BVCHW = forward.layout(torch.zeros(shape, device=device))
    present_BV = torch.ones(shape[:2], dtype=torch.bool, device=device)

    def step() -> None:
        with autocast(device, precision):
            loss = model(images_BVCHW, present_BV).float().square().mean()
        loss.backward()

    return fastest_seconds(step, repeats=2)
