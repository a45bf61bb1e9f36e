"""Requirement T1: a resumed run is the run that never stopped, bit for bit.

The run here has all that could break it: shuffling, augmentation, view dropout, dropout, batch norm, an average of the
weights, accumulation, clipping and a warm-up. It has 5 steps in each of 3 epochs.
"""

import threading

import pytest
import torch

from obverse.errors import Interrupted
from obverse.runs import EpochEnd
from obverse.runs.checkpoint import load_newest

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
TIMING = {"seconds", "pictures_per_second", "data_wait"}
STEPS = 15
# Inside an epoch, at both of its borders, and after the very last step.
SAMPLE = [(2, 0, 2), (5, 0, 0), (6, 2, 0), (15, 0, 0)]
MATRIX = [(stop, first, second) for stop in range(1, STEPS + 1) for first in (0, 1, 2) for second in (0, 2, 4)]


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14, views=("obverse", "reverse"))


@pytest.fixture
def train(data, make_recipe, make_trainer, tmp_path):
    """Run to the end or to a signal at step `stop`; a resumed trainer takes the newest checkpoint first."""

    def run(workers=0, *, stop=None, asked=1, resume=False, folder="a"):
        recipe = make_recipe(
            augment={"policy": "generic", "rotation_degrees": 10.0, "erasing": 0.2, "view_dropout": 0.3},
            model={"head": {"hidden": [6], "dropout": 0.4}},
            optim={"clip_norm": 1.0},
            schedule={"warmup_epochs": 0.5},
            training={"epochs": 3, "batch_size": 4, "micro_batch_size": 3, "ema_decay": 0.8, "select": "loss"},
            runtime={"num_workers": workers},
        )
        times_asked = []

        def wanted_signal():
            times_asked.extend([1] if trainer.progress.step == stop else [])
            return 15 if len(times_asked) == asked else None

        trainer = make_trainer(data, recipe, tmp_path / folder, wanted_signal=wanted_signal)
        if resume:
            torch.manual_seed(12345)
            checkpoint, complaints = load_newest(tmp_path / folder)
            assert complaints == []
            assert checkpoint is not None
            trainer.restore(checkpoint)
        return trainer, list(trainer.run())

    return run


def assert_same(left, right):
    assert torch.equal(torch.get_rng_state(), right["random"])
    for name, model in (("model", left.model), ("average", left.average.model)):
        torch.testing.assert_close(model.state_dict(), right[name], atol=0, rtol=0)
    torch.testing.assert_close(left.best_weights, right["best"], atol=0, rtol=0)
    torch.testing.assert_close(left.optimizer.state_dict(), right["optimizer"], atol=0, rtol=0)
    assert progress_of(left) == right["progress"]


def progress_of(trainer):
    """Everything but the clock."""
    values = trainer.progress.to_json() | {"num_ema_updates": trainer.average.num_updates}
    values["history"] = [{k: v for k, v in row.items() if k not in TIMING} for row in values["history"]]
    return {key: value for key, value in values.items() if key not in TIMING}


def snapshot(trainer):
    return {
        "random": torch.get_rng_state(),
        "model": trainer.model.state_dict(),
        "average": trainer.average.model.state_dict(),
        "best": trainer.best_weights,
        "optimizer": trainer.optimizer.state_dict(),
        "progress": progress_of(trainer),
    }


def interrupt(train, stop, workers):
    with pytest.raises(Interrupted) as caught:
        train(workers, stop=stop, folder="b")
    assert caught.value.exit_code == 128 + 15
    assert not any(thread.name == "obverse-loader" for thread in threading.enumerate())


def check(train, stop, first, second):
    trainer, _ = train()
    assert trainer.progress.step == STEPS
    expected = snapshot(trainer)
    interrupt(train, stop, first)
    resumed, events = train(second, resume=True, folder="b")
    assert_same(resumed, expected)
    assert sum(isinstance(event, EpochEnd) for event in events) == 3 - (stop - 1) // 5


@pytest.mark.parametrize(("stop", "first", "second"), SAMPLE)
def test_resume_is_uninterrupted(train, stop, first, second):
    check(train, stop, first, second)


@pytest.mark.full
@pytest.mark.parametrize(("stop", "first", "second"), MATRIX)
def test_resume_is_uninterrupted_from_every_step_and_worker_count(train, stop, first, second):
    check(train, stop, first, second)


def test_a_signal_during_validation_does_not_wait_for_its_end(train):
    trainer, _ = train()
    expected = snapshot(trainer)
    with pytest.raises(Interrupted):
        train(stop=5, asked=2, folder="b")
    assert not any(thread.name == "obverse-loader" for thread in threading.enumerate())
    resumed, events = train(resume=True, folder="b")
    assert_same(resumed, expected)
    assert sum(isinstance(event, EpochEnd) for event in events) == 3


def test_two_interruptions_are_none(train):
    trainer, _ = train()
    expected = snapshot(trainer)
    interrupt(train, 3, 0)
    with pytest.raises(Interrupted):
        train(2, stop=11, resume=True, folder="b")
    resumed, _ = train(0, resume=True, folder="b")
    assert_same(resumed, expected)


def test_a_finished_run_has_nothing_left_to_do(train):
    trainer, _ = train()
    expected = snapshot(trainer)
    again, events = train(resume=True)
    assert events == []
    assert_same(again, expected)


def test_the_parts_that_could_break_it_are_really_on(train):
    trainer, _ = train()
    other, _ = train(folder="c")
    assert torch.equal(trainer.model.head[0].weight, other.model.head[0].weight)
    assert not torch.equal(trainer.model.head[0].weight, trainer.average.model.head[0].weight)
    batches = list(trainer.loaders.train.epoch(0))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]
    assert not all(batch.present_BV.all() for batch in batches)
