"""Plan of a run: an estimate of memory and time from recipe and model, and settings with which it fits.

Memory comes from memory.py, without training. Time is estimated from a few real steps, if the plan is for this machine.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

import torch

from obverse.bundle import Bundle
from obverse.data import working_geometry
from obverse.errors import RecipeError
from obverse.experiment import Machine, describe, model_words, require_shares, resolve, with_digest
from obverse.manifest import Index, Manifest
from obverse.models import licence_note, weights_licence
from obverse.recipe import Recipe, ResolvedRecipe
from obverse.runtime import available_memory, resolve_device

from .memory import Memory, plan_memory, sizes_that_halve
from .plan_time import Notify, Seconds, measure_seconds

# Usable fraction of the free memory; the rest is for the system and other programs.
USABLE = 0.9
GB = 1e9


@dataclass(frozen=True)
class Plan:
    """Estimated memory and time of a run, with settings that make it fit."""

    recipe: ResolvedRecipe
    """The resolved recipe with the proposed changes."""

    bundle: Bundle

    device: str
    """Kind of device: cpu or cuda."""

    memory: Memory
    """Memory of each process."""

    available: int | None
    """Usable memory of a device in bytes; None where it is not known."""

    seconds_per_epoch: float | None
    """Seconds of an epoch with its validation; None where nothing could be measured."""

    changes: tuple[str, ...]
    """Settings that the plan changes, as for `--set`."""

    rule_of_thumb: int | None = None
    """A common batch size for two views of 1000 pixels with this memory."""

    speed: float | None = None
    """Pictures per second of each device, where the user gave it."""

    processes: int = 1
    """Number of processes that train together."""

    seconds_before: float = 0.0
    """Seconds for fitting the head before the first epoch."""

    is_precision_open: bool = False
    """Whether the number format is still open, because it must be measured on the device."""

    num_of_choice: int = 0
    """Number of trainings by which the run first chooses among ways of training."""

    @property
    def num_trainings(self) -> int:
        """Number of trainings, which share a time budget: a refit is a second one, and a choice always has it."""
        return self.num_of_choice + (2 if self.recipe.training.refit or self.num_of_choice else 1)

    @property
    def fits(self) -> bool:
        """Whether `memory.peak` is within the available memory."""
        return self.available is None or self.memory.peak <= self.available

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values, in bytes, seconds and floating-point operations."""
        training = self.recipe.training
        return {
            "device": self.device,
            "model": model_words(self.recipe),
            "licence": weights_licence(self.recipe.model.backbone) or None,
            "fits": self.fits,
            "available_bytes": self.available,
            **{f"{name}_bytes": value for name, value in self.memory.__dict__.items() if name != "training_flops"},
            "training_flops_per_sample": self.memory.training_flops,
            "batch_size": training.batch_size,
            "micro_batch_size": training.micro_batch_size,
            "checkpointing": self.recipe.runtime.checkpointing,
            "processes": self.processes,
            "epochs": training.epochs,
            "minutes": training.minutes,
            "trainings": self.num_trainings,
            "seconds_per_epoch": self.seconds_per_epoch,
            "seconds_before_epochs": self.seconds_before,
            "changes": list(self.changes),
        }

    def lines(self) -> list[tuple[str, str]]:
        """The plan as lines of (heading, text)."""
        m, training = self.memory, self.recipe.training
        runtime = self.recipe.runtime
        parts = {"model": m.model, "gradients": m.gradients, "optimizer": m.optimizer, "average": m.average,
                 "activations": m.activations, "decoded pictures": m.pixels}  # fmt: skip
        lines = [
            ("model", model_words(self.recipe)),
            ("memory", f"{_size(m.peak)} at most on {self._devices}: "
             + ", ".join(f"{name} {_size(size)}" for name, size in parts.items() if size)),
            ("available", "not known" if self.available is None else _size(self.available)),
            ("numbers", "fp32; bf16, where it is chosen, needs less" if self.is_precision_open
             else runtime.precision),
            ("batch", f"{training.batch_size} samples, {training.micro_batch_size} at a time, checkpointing "
             + ("on" if self.recipe.runtime.checkpointing else "off")),
            ("work", f"{m.training_flops / 1e9:.3g} GFLOP to train on one sample"),
            ("time", self._time()),
        ]  # fmt: skip
        if licence := licence_note(self.recipe.model.backbone):
            lines.append(("licence", licence.removeprefix("licence: ")))
        if self.rule_of_thumb and len(self.bundle.views) > 1:
            rule = f"batch {self.rule_of_thumb} for two views of 1000 pixels with this memory"
            lines.append(("rule of thumb", rule))
        if not self.fits:
            lines.append(("does not fit", "take a smaller data.size, a smaller model, or a machine with more memory"))
        elif self.changes:
            lines.append(("train with", " ".join(f"--set {shlex.quote(change)}" for change in self.changes)))
        return lines

    def _time(self) -> str:
        if self.seconds_per_epoch is None:
            return "not measured here; --pictures-per-second says what one device trains on"
        training = self.recipe.training
        first = f", {_duration(self.seconds_before)} before them to fit the head first" if self.seconds_before else ""
        num = self.num_trainings
        if training.minutes is not None:
            share = training.minutes / num
            num_epochs = max(0.0, 60 * share - self.seconds_before) / self.seconds_per_epoch
            part = f" of each of {num} trainings" if num > 1 else ""
            total = f"{first}, so {num_epochs:.2g} epochs in the {share:g} minutes{part}"
        else:
            seconds = num * (self.seconds_before + self.seconds_per_epoch * training.epochs)
            total = f"{first}, {_duration(seconds)} in all" + (f" for {num} trainings" if num > 1 else "")
        source = (
            "an estimate from a few steps" if self.speed is None else f"at {self.speed:g} pictures a second, as said"
        )
        source += f", on each of {self.processes} devices" if self.processes > 1 else ""
        return f"about {_duration(self.seconds_per_epoch)} an epoch{total} ({source}; reading pictures is not in it)"

    @property
    def _devices(self) -> str:
        return self.device if self.processes == 1 else f"each {self.device} of {self.processes}"


def make_plan(
    recipe: Recipe,
    index: Index,
    *,
    device: str | None = None,
    gigabytes: float | None = None,
    speed: float | None = None,
    processes: int = 1,
    notify: Notify = lambda line: None,
) -> Plan:
    """The plan for this machine, or for another one.

    device: by default, the recipe's.
    gigabytes: memory of the `cpu` or `cuda` device of another machine; by default the plan is for this one.
    speed: pictures per second of each device, instead of a measurement.
    processes: number of devices that share every batch.
    notify: called with a message before each slow step.
    """
    require_shares(recipe, processes)
    is_elsewhere, device = gigabytes is not None, device or recipe.runtime.device
    kind = "cuda" if is_elsewhere and device.startswith("cuda") else resolve_device(device).type
    if kind not in ("cpu", "cuda"):
        raise RecipeError(f"a plan is for cpu or cuda, not {kind}; say --device")
    recipe = recipe.changed({"runtime.device": "cpu" if is_elsewhere else device})
    runtime = recipe.runtime
    machine = Machine.elsewhere(kind, runtime) if is_elsewhere else Machine.here(runtime)
    resolved = resolve(with_digest(recipe), index, machine)
    free = available_memory(torch.device(resolved.recipe.runtime.device))
    available = int(gigabytes * GB) if gigabytes is not None else free and int(USABLE * free)
    search = _Search(resolved.recipe, index.manifest, kind, available, processes, notify=notify)
    chosen, memory = search.fitting()
    seconds, is_open = None, "runtime.precision" in resolved.open
    if speed is not None:
        seconds = Seconds.at(speed, len(index.manifest.views))
    elif not is_elsewhere and (available is None or memory.peak <= available):
        chosen, seconds = measure_seconds(replace(resolved, recipe=chosen), index.manifest, notify)
        is_open = False
        memory = search.memory(chosen)
        if kind == "cpu" and processes > 1:  # several processes have no more cores than one
            seconds = None
    # A device sold with 16 GB has slightly less than that free.
    whole = available if is_elsewhere else free and int(free / USABLE)
    preset = rule_of_thumb_batch(whole) if whole else None
    changes = _changes(resolved.recipe, chosen)
    epoch, before = (
        (seconds.epoch(chosen, index.manifest, processes), seconds.before(chosen, index.manifest))
        if seconds
        else (None, 0.0)
    )
    return Plan(
        chosen, search.bundle, kind, memory, available, epoch, changes, preset, speed, processes, before, is_open
    )


class _Search:
    """Search for the largest micro-batch that fits, first without activation checkpointing, then with it."""

    def __init__(
        self,
        recipe: ResolvedRecipe,
        manifest: Manifest,
        device: str,
        available: int | None,
        processes: int,
        *,
        notify: Notify,
    ) -> None:
        self.processes, self.notify = processes, notify
        self.bundle = describe(recipe, manifest)
        self.recipe, self.device, self.available = recipe, device, available
        shape = working_geometry(self.bundle.geometry, recipe.augment).shape
        num_pictures = sum(manifest.split_counts()[name] for name in ("train", "val")) * len(manifest.views)
        cached = num_pictures * shape[0] * shape[1] * shape[2]
        # Pages of a disk cache belong to the system's page cache, which is freed on demand.
        self.cache_bytes = cached if recipe.data.cache.kind == "memory" else 0

    def fitting(self) -> tuple[ResolvedRecipe, Memory]:
        """The recipe with the largest micro-batch that fits, else with the least memory."""
        chosen, memory = self._largest(self.recipe)
        if self._fits(memory) or self.recipe.runtime.checkpointing:
            return chosen, memory
        try:
            return self._largest(self.recipe.changed({"runtime.checkpointing": True}))
        except RecipeError:  # this backbone has no activation checkpointing
            return chosen, memory

    def memory(self, recipe: ResolvedRecipe) -> Memory:
        """Memory of a recipe on each of the devices that share its batches."""
        share = -(-recipe.training.batch_size // self.processes)
        return plan_memory(
            recipe.changed({"training.batch_size": share}),
            self.bundle,
            device=self.device,
            micro_batch_size=min(recipe.training.micro_batch_size, share),
            cache_bytes=self.cache_bytes,
        )

    def _largest(self, recipe: ResolvedRecipe) -> tuple[ResolvedRecipe, Memory]:
        sizes = sizes_that_halve(recipe.training.micro_batch_size)
        # Even sizes only, because mixing pairs neighbours.
        for size in [size for size in sizes if size % 2 == 0] if recipe.mixing.is_on else sizes:
            smaller = recipe.changed({"training.micro_batch_size": size})
            if size < recipe.training.micro_batch_size:
                # Evaluation has no backward pass, so twice as many samples fit.
                fitting = min(recipe.evaluation.batch_size, 2 * size)
                smaller = smaller.changed({"evaluation.batch_size": fitting})
            again = ", activations computed twice" if recipe.runtime.checkpointing else ""
            self.notify(f"counting the memory of {size} samples at a time{again}")
            memory = self.memory(smaller)
            if self._fits(memory):
                break
        return smaller, memory

    def _fits(self, memory: Memory) -> bool:
        return self.available is None or memory.peak <= self.available


def _changes(before: ResolvedRecipe, after: ResolvedRecipe) -> tuple[str, ...]:
    changes = []
    if after.training.micro_batch_size != before.training.micro_batch_size:
        changes.append(f"training.micro_batch_size={after.training.micro_batch_size}")
    if after.evaluation.batch_size != before.evaluation.batch_size:
        changes.append(f"evaluation.batch_size={after.evaluation.batch_size}")
    if after.runtime.checkpointing != before.runtime.checkpointing:
        changes.append("runtime.checkpointing=true")
    return tuple(changes)


def rule_of_thumb_batch(available: int) -> int:
    """Batch size by a rule of thumb for two views of 1000 pixels, shown beside the computed one."""
    return next(batch for least, batch in ((16, 8), (8, 4), (4, 2), (0, 1)) if available >= least * GB)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / GB:.2f} GB" if num_bytes >= 0.1 * GB else f"{num_bytes / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
