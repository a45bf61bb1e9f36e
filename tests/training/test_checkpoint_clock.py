"""A kill costs a minute, however long an epoch is: checkpoints inside an epoch, by the clock."""

import time
from types import SimpleNamespace

import pytest
import torch

from obverse.runs import CheckpointSaved, StepEnd
from obverse.runs.checkpoint import load_newest
from obverse.training import trainer as trainer_module

SECONDS_PER_STEP = 25.0


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14)


@pytest.fixture
def make(data, make_recipe, make_trainer, tmp_path):
    """A trainer with dropout, batch norm and a weight average: 2 epochs of 10 steps."""

    def build(folder):
        recipe = make_recipe(
            augment={"policy": "generic"},
            model={"head": {"hidden": [6], "dropout": 0.4}},
            training={"epochs": 2, "batch_size": 2, "micro_batch_size": 2, "ema_decay": 0.8, "select": "loss"},
        )
        return make_trainer(data, recipe, tmp_path / folder)

    return build


@pytest.fixture
def clock(monkeypatch):
    """The trainer's clock: it stands still until `pass_by` is called, and `saving` seconds pass in every save."""
    now = SimpleNamespace(seconds=1000.0, saving=0.0)
    fake = SimpleNamespace(monotonic=lambda: now.seconds, perf_counter=time.perf_counter)
    monkeypatch.setattr(trainer_module, "time", fake)
    save = trainer_module.save_checkpoint

    def slow(*arguments):
        now.seconds += now.saving
        return save(*arguments)

    monkeypatch.setattr(trainer_module, "save_checkpoint", slow)
    return now


def saved_steps(trainer, clock, *, until=None):
    """Train while every step takes SECONDS_PER_STEP; at which steps something was saved, and when."""
    found = []
    for event in trainer.run():
        if isinstance(event, StepEnd):
            clock.seconds += SECONDS_PER_STEP
        if isinstance(event, CheckpointSaved):
            found.append(event.step)
            if event.step == until:
                return found
    return found


def state_of(trainer):
    values = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
    values |= {f"average.{k}": v for k, v in trainer.average.model.state_dict().items()}
    values |= {f"best.{k}": v for k, v in trainer.best_weights.items()}
    return {k: v.clone() for k, v in values.items()} | {"random": torch.get_rng_state()}


def test_every_minute_inside_an_epoch(make, clock):
    steps = saved_steps(make("a"), clock)
    assert steps == [3, 6, 9, 12, 15, 18, 20]
    # Between two of them, and so after a kill, no more than a minute and a step is lost.
    lost = [SECONDS_PER_STEP * (after - before) for before, after in zip([0, *steps], steps, strict=False)]
    assert max(lost) <= trainer_module.CHECKPOINT_SECONDS + SECONDS_PER_STEP


def test_slow_saving_takes_a_twentieth_of_the_time_at_most(make, clock):
    clock.saving = 5.0
    # After the first, which nobody could foresee, 100 seconds must pass.
    assert saved_steps(make("a"), clock) == [3, 8, 13, 18, 20]


@pytest.mark.parametrize("killed_after", [3, 9, 12])
def test_going_on_from_the_middle_of_an_epoch_is_the_run_that_was_never_killed(make, clock, killed_after):
    whole = make("whole")
    saved_steps(whole, clock)
    expected = state_of(whole)
    saved_steps(make("killed"), clock, until=killed_after)
    again = make("killed")
    checkpoint, complaints = load_newest(again.checkpoints)
    assert complaints == []
    again.restore(checkpoint)
    assert again.progress.step == killed_after
    assert again.progress.batch == killed_after % 10
    saved_steps(again, clock)
    torch.testing.assert_close(state_of(again), expected, atol=0, rtol=0)
    assert [row["step"] for row in again.progress.history] == [10, 20]
    assert again.progress.history[0]["train_loss"] == whole.progress.history[0]["train_loss"]
