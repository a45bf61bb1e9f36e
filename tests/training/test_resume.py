"""Requirement T1: a resumed run is the run that never stopped, bit for bit.

The runs here have all that could break it. Both: shuffling, augmentation, erasing, two views, view dropout, an average
of the weights, a warm-up. `convnet`: dropout, batch norm, accumulation, clipping. `vit`: drop path, mixup and cutmix,
bf16 autocast, early stopping. They have 5 steps in each of 3 epochs.
"""

import multiprocessing
import threading

import pytest
import torch

from obverse.errors import Interrupted
from obverse.runs import EpochEnd
from obverse.runs.checkpoint import load_newest

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
TIMING = {"seconds", "pictures_per_second", "data_wait"}
STEPS = 15
COMMON = {
    "augment": {"policy": "generic", "rotation_degrees": 10.0, "erasing": 0.2, "view_dropout": 0.3},
    "schedule": {"warmup_epochs": 0.5},
}
TINY_VIT = {"embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 8}
RUNS = {
    "convnet": {
        "model": {"head": {"hidden": [6], "dropout": 0.4}},
        "optim": {"clip_norm": 1.0},
        "training": {"epochs": 3, "batch_size": 4, "micro_batch_size": 3, "ema_decay": 0.8, "select": "loss"},
    },
    "vit": {
        "model": {
            "backbone": {
                "kind": "timm",
                "name": "vit_tiny_patch16_224",
                "pretrained": "none",
                "drop_path_rate": 0.4,
                "options": TINY_VIT,
            }
        },
        "mixing": {"mixup": 0.4, "cutmix": 1.0},
        # At this rate val accuracy stays what it is after the first epoch, and the third is the last.
        "optim": {"lr": 1e-5},
        "training": {"epochs": 9, "batch_size": 4, "ema_decay": 0.8, "select": "accuracy",
                     "early_stopping": {"patience": 2}},
        "runtime": {"precision": "bf16"},
    },
}  # fmt: skip
# Inside an epoch, at both of its borders, and after the very last step.
SAMPLE = [(2, 0, 2), (5, 0, 0), (6, 2, 0), (15, 0, 0)]
MATRIX = [(stop, first, second) for stop in range(1, STEPS + 1) for first, second in ((0, 2), (2, 0))]
EVERY_RUN = pytest.mark.parametrize("run", RUNS)


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14, views=("obverse", "reverse"))


@pytest.fixture(scope="module")
def train_in(data, make_recipe, make_trainer):
    """Run to the end or to a signal at step `stop`; a resumed trainer takes the newest checkpoint first."""

    def train(folder, run="convnet", workers=0, *, stop=None, asked=1, resume=False):
        sections = COMMON | RUNS[run]
        sections["runtime"] = {"num_workers": workers, **sections.get("runtime", {})}
        times_asked = []

        def wanted_signal():
            times_asked.extend([1] if trainer.progress.step == stop else [])
            return 15 if len(times_asked) == asked else None

        trainer = make_trainer(data, make_recipe(**sections), folder, wanted_signal=wanted_signal)
        if resume:
            torch.manual_seed(12345)
            checkpoint, complaints = load_newest(folder)
            assert complaints == []
            assert checkpoint is not None
            trainer.restore(checkpoint)
        return trainer, list(trainer.run())

    return train


@pytest.fixture
def train(train_in, tmp_path):
    def run(*arguments, folder="a", **options):
        return train_in(tmp_path / folder, *arguments, **options)

    return run


@pytest.fixture(scope="module")
def uninterrupted(train_in, tmp_path_factory):
    """What each run ends with when nothing stops it, trained once."""
    known = {}

    def of(run="convnet"):
        if run not in known:
            trainer, _ = train_in(tmp_path_factory.mktemp(run), run)
            assert trainer.progress.step == STEPS
            known[run] = snapshot(trainer)
        return known[run]

    return of


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


def interrupt(train, run, stop, workers):
    with pytest.raises(Interrupted) as caught:
        train(run, workers, stop=stop)
    assert caught.value.exit_code == 128 + 15
    assert not any(thread.name == "obverse-loader" for thread in threading.enumerate())


def num_epochs_after(train, expected, run, stop, first, second):
    """Number of epochs that a resumed run ends; the run is interrupted before, and equals the expected one after."""
    interrupt(train, run, stop, first)
    resumed, events = train(run, second, resume=True)
    assert_same(resumed, expected)
    return sum(isinstance(event, EpochEnd) for event in events)


@EVERY_RUN
@pytest.mark.parametrize(("stop", "first", "second"), SAMPLE)
def test_resume_is_uninterrupted(train, uninterrupted, run, stop, first, second):
    assert num_epochs_after(train, uninterrupted(run), run, stop, first, second) == 3 - (stop - 1) // 5


@pytest.mark.full
@EVERY_RUN
@pytest.mark.parametrize(("stop", "first", "second"), MATRIX)
def test_resume_is_uninterrupted_from_every_step(train, uninterrupted, run, stop, first, second):
    assert num_epochs_after(train, uninterrupted(run), run, stop, first, second) == 3 - (stop - 1) // 5


@pytest.mark.parametrize("workers", [1, 4])
def test_other_numbers_of_workers_are_the_same_run(train, uninterrupted, workers):
    assert num_epochs_after(train, uninterrupted(), "convnet", 8, workers, 5 - workers) == 2


def test_a_signal_during_validation_does_not_wait_for_its_end(train, uninterrupted):
    with pytest.raises(Interrupted):
        train(stop=5, asked=2)
    assert not any(thread.name == "obverse-loader" for thread in threading.enumerate())
    resumed, events = train(resume=True)
    assert_same(resumed, uninterrupted())
    assert sum(isinstance(event, EpochEnd) for event in events) == 3


def test_two_interruptions_are_none(train, uninterrupted):
    interrupt(train, "convnet", 3, 0)
    with pytest.raises(Interrupted):
        train("convnet", 2, stop=11, resume=True)
    resumed, _ = train(resume=True)
    assert_same(resumed, uninterrupted())


def test_a_finished_run_has_nothing_left_to_do(train, uninterrupted):
    train()
    again, events = train(resume=True)
    assert events == []
    assert_same(again, uninterrupted())


def test_the_parts_that_could_break_it_are_really_on(train):
    trainer, _ = train()
    other, _ = train(folder="c")
    assert torch.equal(trainer.model.head[0].weight, other.model.head[0].weight)
    assert not torch.equal(trainer.model.head[0].weight, trainer.average.model.head[0].weight)
    batches = list(trainer.loaders.train.epoch(0))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]
    assert not all(batch.present_BV.all() for batch in batches)


def test_of_the_transformer_too(train):
    trainer, _ = train("vit")
    assert trainer.progress.stop_reason is not None
    rates = {module.drop_prob for module in trainer.model.modules() if type(module).__name__ == "DropPath"}
    assert max(rates) == pytest.approx(0.4)
    assert trainer.forward.precision == "bf16"
    assert trainer.recipe.mixing.is_on


def test_no_process_that_loads_outlives_the_training(train):
    train("convnet", 2)
    assert multiprocessing.active_children() == []
    interrupt(train, "vit", 8, 2)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("asked", [1, 2])
def test_a_signal_after_the_last_minute_costs_no_validation(data, make_recipe, make_trainer, tmp_path, asked):
    """In the step that used up the minutes, or in the validation after it: the epoch is validated when it goes on."""
    times_asked = []

    def wanted_signal():
        times_asked.append(1)
        return 15 if len(times_asked) == asked else None

    recipe = make_recipe(training={"minutes": 1e-6, "batch_size": 4})
    with pytest.raises(Interrupted):
        list(make_trainer(data, recipe, tmp_path, wanted_signal=wanted_signal).run())
    resumed = make_trainer(data, recipe, tmp_path)
    resumed.restore(load_newest(tmp_path)[0])
    events = list(resumed.run())
    assert sum(isinstance(event, EpochEnd) for event in events) == len(resumed.progress.history) == 1
    assert resumed.best_weights
    assert resumed.progress.best_epoch == 0
