"""Choice of number format, memory format and compilation, by timing training steps; stored on this machine.

The plain form (fp32, contiguous, not compiled) is kept unless another is clearly and repeatedly faster. torch.compile
is tried only in runs that are long enough, and used only when it saves more time over the run than it costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from obverse.bundle import Bundle
from obverse.engines import Forward
from obverse.models import Classifier, compile_model, has_folded_norm, set_trainable
from obverse.recipe import ResolvedRecipe
from obverse.runtime import (
    choose_faster,
    choose_once,
    device_name,
    fastest_seconds,
    restore_torch_random_state,
    torch_random_state,
)

from .resolve import Resolved

# Size of a measured step: at least this many pixels and pictures, because the time of 8 tiny pictures is mostly noise.
MEASURED_PIXELS, MEASURED_PICTURES = 8 * 224 * 224, 8
# Shortest run, in seconds of training, for which compilation is measured: compiling takes a minute or two.
WORTH_COMPILING_SECONDS = 1800.0
Notify = Callable[[str], None]


def tune(
    resolved: Resolved, model: Classifier, bundle: Bundle, *, num_train: int, notify: Notify = lambda line: None
) -> ResolvedRecipe:
    """The recipe with its open fields decided.

    Restores the model's weights and torch's random state after measuring.
    num_train: number of training samples. notify: called with a message before each measurement.
    """
    recipe = resolved.recipe
    if "finetune.freeze_norm" in resolved.open:
        folded = not recipe.model.backbone.is_scratch and has_folded_norm(model)
        recipe = recipe.changed({"finetune.freeze_norm": folded})
        set_trainable(model, recipe.finetune)
    if not any(field.startswith("runtime.") for field in resolved.open):
        return recipe
    with _left_as_it_was(model):
        measuring = _Measuring(recipe, resolved.open, model, bundle, notify)
        precision, channels_last = measuring.form()
        changes: dict[str, Any] = {"runtime.precision": precision, "runtime.channels_last": channels_last}
        if "runtime.compile" in resolved.open:
            changes["runtime.compile"] = measuring.pays_to_compile((precision, channels_last), num_train)
    return recipe.changed(changes)


class _Measuring:
    """Decides the open fields of a recipe, from stored choices or by measuring."""

    def __init__(
        self, recipe: ResolvedRecipe, fields: frozenset[str], model: Classifier, bundle: Bundle, notify: Notify
    ) -> None:
        self.recipe, self.open, self.model, self.bundle, self.notify = recipe, fields, model, bundle, notify

    def form(self) -> tuple[str, bool]:
        """Fastest (precision, channels_last). The plain form is listed first, as the one that others must beat."""
        runtime = self.recipe.runtime
        precisions = ["fp32", "bf16"] if "runtime.precision" in self.open else [runtime.precision]
        formats = [False, True] if "runtime.channels_last" in self.open else [runtime.channels_last]
        forms = [[p, c] for p in precisions for c in formats]
        if len(forms) > 1:
            wanted = {**self._circumstances(), "forms": forms}
            precision, channels_last = choose_once(
                "number format", wanted, lambda: self._fastest_form(forms), is_valid=forms.__contains__
            )
        else:
            ((precision, channels_last),) = forms
        return str(precision), bool(channels_last)

    def pays_to_compile(self, form: tuple[str, bool], num_train: int) -> bool:
        """Whether compiling saves more time than it costs; False where it fails, as without a C++ compiler."""
        minutes = self.recipe.training.minutes
        if minutes is not None and 60 * minutes < WORTH_COMPILING_SECONDS:
            return False
        wanted = {**self._circumstances(), "form": list(form)}
        plain = choose_once("seconds of a step", wanted, lambda: self._seconds(form), is_valid=_is_time)
        num_steps = _num_steps(self.recipe, self.bundle, num_train, plain)
        if num_steps * plain < WORTH_COMPILING_SECONDS:
            return False
        measured = choose_once("compilation", wanted, lambda: self._compiled(form), is_valid=_is_gain)
        # Twice the cost: the last batch of an epoch has another shape, for which a second graph is compiled.
        return measured is not None and (plain - measured["seconds"]) * num_steps > 2 * measured["cost"]

    def _circumstances(self) -> dict[str, Any]:
        """Key of a stored choice: everything besides the machine on which the time of a step depends."""
        recipe, runtime = self.recipe, self.recipe.runtime
        return {
            "model": recipe.model.model_dump(mode="json"),
            "finetune": recipe.finetune.model_dump(mode="json", exclude={"head_first", "head_bias"}),
            "classes": len(self.bundle.classes),
            "columns": len(self.bundle.columns),
            "shape": list(_shape(recipe, self.bundle)),
            "micro_batch": recipe.training.micro_batch_size,
            "device": device_name(torch.device(runtime.device)),
            "matmul": runtime.matmul,
            "checkpointing": runtime.checkpointing,
        }

    def _step(self, form: tuple[str, bool]) -> Callable[[], None]:
        return training_step(self.recipe, self.model, self.bundle, *form)

    def _fastest_form(self, forms: list[list[Any]]) -> list[Any]:
        self.notify("measuring which number and memory format is fastest here; it is remembered on this machine")
        steps: list[Callable[[], None]] = []

        def prepare(form: list[Any]) -> None:
            steps[:] = [self._step((form[0], form[1]))]

        return choose_faster(forms, lambda: steps[0](), prepare=prepare)

    def _seconds(self, form: tuple[str, bool]) -> float:
        self.notify("measuring how long a training step takes")
        return fastest_seconds(self._step(form), repeats=2)

    def _compiled(self, form: tuple[str, bool]) -> dict[str, float] | None:
        """Seconds of a compiled step and of compiling; None where compiling fails or is not clearly faster."""
        self.notify(
            "measuring whether torch.compile pays, which takes a minute or two; it is remembered on this machine"
        )
        model, step = self.model, self._step(form)
        start = time.perf_counter()
        try:
            compile_model(model)
            seconds = fastest_seconds(step, repeats=2)
            cost = time.perf_counter() - start
            calls = (None, model._compiled_call_impl)
            is_faster = choose_faster(calls, step, prepare=partial(setattr, model, "_compiled_call_impl")) is not None
        except Exception:  # the compiler may fail in any way, and the model runs without it
            return None
        finally:
            model._compiled_call_impl = None
            torch._dynamo.reset()
        return {"seconds": seconds, "cost": cost} if is_faster else None


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < float("inf")


def _is_gain(value: Any) -> bool:
    return value is None or (_is_time(value["seconds"]) and _is_time(value["cost"]))


def measured_samples(recipe: ResolvedRecipe, bundle: Bundle) -> int:
    """Number of samples in a step of `training_step`."""
    micro = recipe.training.micro_batch_size
    geometry, num_views = bundle.geometry, len(bundle.views)
    pictures = max(MEASURED_PICTURES, MEASURED_PIXELS // (geometry.canvas_height * geometry.canvas_width))
    return max(2, min(micro, pictures // num_views))


def _num_steps(recipe: ResolvedRecipe, bundle: Bundle, num_train: int, seconds: float) -> float:
    """Length of the whole run in measured steps of `seconds` each."""
    if recipe.training.minutes is not None:
        return 60 * recipe.training.minutes / seconds
    return recipe.training.epochs * num_train / measured_samples(recipe, bundle)


def _shape(recipe: ResolvedRecipe, bundle: Bundle) -> tuple[int, ...]:
    """Shape (B, V, C, H, W) of a measured step's pictures."""
    geometry = bundle.geometry
    return measured_samples(recipe, bundle), len(bundle.views), 3, geometry.canvas_height, geometry.canvas_width


def training_step(
    recipe: ResolvedRecipe, model: Classifier, bundle: Bundle, precision: str, channels_last: bool
) -> Callable[[], None]:
    """A function that runs one forward and backward pass of `measured_samples` samples in the given form.

    Moves the model to the recipe's device, and to the memory format.
    """
    device = torch.device(recipe.runtime.device)
    forward = Forward.from_bundle(bundle, device, precision=precision, channels_last=channels_last)
    model.to(device).to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    model.train()
    images_BVCHW, present_BV = step_inputs(recipe, bundle, forward)

    def step() -> None:
        with forward.autocast():
            loss = model(images_BVCHW, present_BV).float().square().mean()
        loss.backward()

    return step


def step_inputs(recipe: ResolvedRecipe, bundle: Bundle, forward: Forward) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of a measured step: black pictures (B, V, C, H, W) in the layout of `forward`, and presence (B, V)."""
    shape = _shape(recipe, bundle)
    images_BVCHW = forward.layout(torch.zeros(shape, device=forward.device))
    return images_BVCHW, torch.ones(shape[:2], dtype=torch.bool, device=forward.device)


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
