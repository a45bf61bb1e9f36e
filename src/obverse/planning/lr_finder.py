"""Learning-rate range test (Smith 2017, arXiv:1506.01186): the rate rises every step until the loss explodes.

It uses training pictures only. Model, optimizer and random state are restored afterwards. The suggestion is the rate
with the steepest descent of the smoothed loss, a starting point and not a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import torch

from obverse.data import Batch
from obverse.errors import DivergedError
from obverse.experiment import Setup
from obverse.runtime import restore_torch_random_state, torch_random_state
from obverse.training import Loaders, MicroBatches, Parallel, Update, build_optimizer, train_step

# First and last learning rate of the test.
LOWEST, HIGHEST = 1e-6, 1.0
NUM_STEPS = 100
# Weight of the previous mean in the moving average of the loss.
SMOOTHING = 0.9
# The test ends when the smoothed loss is above this many times its minimum.
EXPLODED = 3.0
# The loss of the first steps depends more on the random head than on the rate.
SKIPPED = 5


@dataclass(frozen=True)
class RateTest:
    """Learning rates and smoothed losses of a range test, step by step, until the loss exploded."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls fastest, to two digits."""
        falls = [after - before for before, after in zip(self.losses, self.losses[1:], strict=False)]
        usable = range(min(SKIPPED, len(falls) - 1), len(falls))
        return float(f"{self.rates[min(usable, key=lambda step: falls[step])]:.1e}")


def find_rate(setup: Setup, *, num_steps: int = NUM_STEPS) -> RateTest:
    """Range test from the state of `setup.model`, with rates from LOWEST to HIGHEST; all state is restored."""
    state = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
    random_state = torch_random_state()
    try:
        with closing(setup.loaders()) as loaders:
            return _raise_rate(setup, num_steps, _batches(setup, loaders))
    finally:
        setup.model.load_state_dict(state)
        setup.model.zero_grad(set_to_none=True)
        restore_torch_random_state(random_state)


def _raise_rate(setup: Setup, num_steps: int, batches: Iterator[Batch]) -> RateTest:
    recipe, forward = setup.recipe, setup.forward()
    setup.model.to(forward.device).train()
    optimizer = build_optimizer(recipe.optim, setup.model, layer_decay=recipe.finetune.layer_decay)
    scaler = torch.amp.GradScaler(forward.device.type) if recipe.runtime.precision == "fp16" else None
    parallel, update = Parallel(setup.model), Update(optimizer, recipe.optim.clip_norm, scaler)
    micro_batches = MicroBatches(recipe.training.micro_batch_size)
    rates: list[float] = []
    losses: list[float] = []
    objective = setup.objective.at(0.0)
    for step, batch in zip(range(num_steps), batches, strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (num_steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        try:
            result = train_step(parallel, update, forward, batch, micro_batches=micro_batches, objective=objective)
        except DivergedError:
            break
        rates.append(rate)
        losses.append(result.loss_sum / result.weight)
        if _smoothed(losses)[-1] > EXPLODED * min(_smoothed(losses)):
            break
    return RateTest(tuple(rates), tuple(_smoothed(losses)))


def _batches(setup: Setup, loaders: Loaders) -> Iterator[Batch]:
    """Training batches, epoch after epoch, as in training."""
    for epoch in count():
        for batch in loaders.train.epoch(epoch):
            yield loaders.with_targets(batch, setup.recipe, num_classes=setup.objective.num_classes, epoch=epoch)


def _smoothed(losses: Sequence[float]) -> list[float]:
    """Bias-corrected exponential moving average."""
    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - math.pow(SMOOTHING, step)))
    return smoothed
