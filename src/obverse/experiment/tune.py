"""Number format, memory format and compilation by measurement: real steps in each form, the fastest wins.

torch.compile is tried only where the run is long enough to pay for it, and taken only when what it saves over the run
is more than it costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from obverse.bundle import Bundle
from obverse.evaluation import Forward
from obverse.models import Classifier
from obverse.recipe import Recipe
from obverse.runtime import autocast, fastest_seconds, has_fast_bf16, restore_torch_random_state, torch_random_state

# So many pixels, or at least so many pictures, are a step whose time says something: of 8 tiny pictures it is noise.
MEASURED_PIXELS, MEASURED_PICTURES = 8 * 224 * 224, 8
CONVINCING = 0.95
# Compiling takes a minute or two: in a shorter run there is nothing to win.
WORTH_COMPILING_SECONDS = 1800.0


def tune(recipe: Recipe, model: Classifier, bundle: Bundle, *, num_train: int) -> Recipe:
    """The recipe with precision, channels_last and compile decided, for `num_train` training samples.

    The model and torch's generators are left as they were.
    """
    runtime = recipe.runtime
    if "auto" not in (runtime.precision, runtime.channels_last, runtime.compile):
        return recipe
    with _left_as_it_was(model):
        seconds = _of_each_format(recipe, model, bundle)
        plain = next(iter(seconds))
        best = min(seconds, key=lambda key: seconds[key])
        choice = best if seconds[best] < CONVINCING * seconds[plain] else plain
        update: dict[str, Any] = {"precision": choice[0], "channels_last": choice[1]}
        if runtime.compile == "auto":
            num_steps = _num_steps(recipe, bundle, num_train, seconds[choice])
            update["compile"] = _pays(recipe, model, bundle, choice, num_steps=num_steps, plain_seconds=seconds[choice])
    return recipe.model_copy(update={"runtime": runtime.model_copy(update=update)})


def _of_each_format(recipe: Recipe, model: Classifier, bundle: Bundle) -> dict[tuple[str, bool], float]:
    """Seconds of a step in each form that the recipe leaves open; where all is said, nothing is measured."""
    runtime = recipe.runtime
    precisions = [runtime.precision] if runtime.precision != "auto" else ["fp32", "bf16"]
    if runtime.precision == "auto" and not has_fast_bf16(torch.device(runtime.device)):
        precisions = ["fp32"]
    formats = [runtime.channels_last] if runtime.channels_last != "auto" else [False, True]
    forms = [(p, bool(c)) for p in precisions for c in formats]
    if len(forms) == 1 and not _may_be_long(recipe):
        return {forms[0]: 0.0}
    return {form: fastest_seconds(training_step(recipe, model, bundle, *form), repeats=2) for form in forms}


def _may_be_long(recipe: Recipe) -> bool:
    minutes = recipe.training.minutes
    return recipe.runtime.compile == "auto" and (minutes is None or 60 * minutes >= WORTH_COMPILING_SECONDS)


def measured_samples(recipe: Recipe, bundle: Bundle) -> int:
    """How many samples a step of `training_step` has."""
    micro = recipe.training.micro_batch_size
    assert micro != "auto"
    geometry, num_views = bundle.geometry, len(bundle.views)
    pictures = max(MEASURED_PICTURES, MEASURED_PIXELS // (geometry.canvas_height * geometry.canvas_width))
    return max(2, min(micro, pictures // num_views))


def _num_steps(recipe: Recipe, bundle: Bundle, num_train: int, seconds: float) -> float:
    """How many measured steps the whole run is."""
    if recipe.training.minutes is not None:
        return 60 * recipe.training.minutes / max(seconds, 1e-9)
    assert recipe.training.epochs != "auto"
    return recipe.training.epochs * num_train / measured_samples(recipe, bundle)


def _pays(
    recipe: Recipe,
    model: Classifier,
    bundle: Bundle,
    form: tuple[str, bool],
    *,
    num_steps: float,
    plain_seconds: float,
) -> bool:
    """Whether compiling saves more than it costs; False where it does not work at all (no C++ compiler, say)."""
    if num_steps * plain_seconds < WORTH_COMPILING_SECONDS:
        return False
    start = time.perf_counter()
    try:
        model.compile(dynamic=False)
        compiled = fastest_seconds(training_step(recipe, model, bundle, *form), repeats=2)
    except Exception:  # whatever the compiler does not master: the model runs without it
        return False
    finally:
        model._compiled_call_impl = None
        torch._dynamo.reset()
    cost = time.perf_counter() - start
    # Twice the cost: the last batch of an epoch has another shape, which is compiled, too.
    return compiled < CONVINCING * plain_seconds and (plain_seconds - compiled) * num_steps > 2 * cost


def training_step(
    recipe: Recipe, model: Classifier, bundle: Bundle, precision: str, channels_last: bool
) -> Callable[[], None]:
    """One forward and backward pass of `measured_samples` samples in the given form."""
    device = torch.device(recipe.runtime.device)
    geometry = bundle.geometry
    shape = (measured_samples(recipe, bundle), len(bundle.views), 3, geometry.canvas_height, geometry.canvas_width)
    forward = Forward(bundle.mean, bundle.std, device, precision, channels_last)
    model.to(device).to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    model.train()
    images_BVCHW = forward.layout(torch.zeros(shape, device=device))
    present_BV = torch.ones(shape[:2], dtype=torch.bool, device=device)

    def step() -> None:
        with autocast(device, precision):
            loss = model(images_BVCHW, present_BV).float().square().mean()
        loss.backward()

    return step


@contextmanager
def _left_as_it_was(model: Classifier) -> Iterator[None]:
    before = torch_random_state()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        yield
    finally:
        model.load_state_dict(state)
        model.to(memory_format=torch.contiguous_format)
        model.zero_grad(set_to_none=True)
        restore_torch_random_state(before)
