"""A picture that hangs or goes bad while a model trains: nothing that was trained is lost."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from obverse.data import DeadWorker, prefetch
from obverse.errors import DataError, Interrupted
from obverse.imaging import ordered
from obverse.runs.checkpoint import load_newest
from obverse.training import catch_signals

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

STOP = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14)


@pytest.fixture
def train(data, make_recipe, make_trainer, tmp_path, monkeypatch):
    """Makes a trainer; `harm` runs instead of the first reading after STOP steps, of train or of val."""
    monkeypatch.setattr(prefetch, "JOIN_SECONDS", 0.1)
    monkeypatch.setattr(ordered, "JOIN_SECONDS", 0.1)

    def make(folder: str, harm: Any = None, part: str = "train", wish: Any = lambda: None) -> Any:
        recipe = make_recipe(training={"epochs": 2, "batch_size": 4}, data={"cache": {"kind": "none"}})
        trainer = make_trainer(data, recipe, tmp_path / folder, wanted_signal=wish)
        if harm is not None:
            dataset = getattr(trainer.loaders, part).dataset
            decode = dataset.originals.decode
            dataset.originals.decode = lambda *of, **how: (
                harm() if trainer.progress.step >= STOP else decode(*of, **how)
            )
        return trainer

    return make


def resumed(trainer: Any, folder: Any) -> dict[str, torch.Tensor]:
    checkpoint, complaints = load_newest(folder)
    assert not complaints
    trainer.restore(checkpoint)
    list(trainer.run())
    return trainer.model.state_dict()


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """An event that a read waits for; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_wait_for_a_read_that_hangs(train, hung, tmp_path, part, number):
    def hang() -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        hung.wait()
        raise DataError("too late")

    with catch_signals() as wish:
        trainer = train("a", hang, part, wish)
        with pytest.raises(Interrupted, match="everything is saved") as caught:
            list(trainer.run())
    assert caught.value.exit_code == 128 + number
    assert trainer.progress.step >= STOP
    plain = train("b")
    list(plain.run())
    torch.testing.assert_close(resumed(train("c"), tmp_path / "a"), plain.model.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_picture_that_goes_bad_costs_no_step(train, tmp_path, part):
    def fail() -> None:
        raise DataError("'a.png' cannot be read: No such file or directory")

    trainer = train("a", fail, part)
    with pytest.raises(DataError) as caught:
        list(trainer.run())
    assert str(caught.value) == (
        "'a.png' cannot be read: No such file or directory. All steps are saved: once it is mended, go on with --resume"
    )
    assert load_newest(tmp_path / "a")[0].state["step"] == trainer.progress.step >= STOP
    plain = train("b")
    list(plain.run())
    torch.testing.assert_close(resumed(train("c"), tmp_path / "a"), plain.model.state_dict(), atol=0, rtol=0)


def test_a_worker_that_dies_with_the_signal_is_the_signal(train, tmp_path):
    def die() -> None:
        wish.number = signal.SIGTERM
        raise DeadWorker("a process that reads pictures died")

    with catch_signals() as wish:
        trainer = train("a", die, wish=wish)
        with pytest.raises(Interrupted, match="everything is saved"):
            list(trainer.run())
    assert load_newest(tmp_path / "a")[0].state["step"] == trainer.progress.step >= STOP


def test_signals_that_come_at_any_moment_lose_nothing(train, tmp_path):
    """While a batch is awaited, in a step, or in between."""
    plain = train("plain")
    list(plain.run())
    for attempt in range(200):
        timer = threading.Timer(0.002 + attempt % 7 * 0.003, os.kill, (os.getpid(), signal.SIGTERM))
        with catch_signals() as wish:
            trainer = train("a", wish=wish)
            if attempt:
                trainer.restore(load_newest(tmp_path / "a")[0])
            timer.start()
            try:
                list(trainer.run())
            except Interrupted:
                continue
            finally:
                timer.join()
        break
    torch.testing.assert_close(trainer.model.state_dict(), plain.model.state_dict(), atol=0, rtol=0)


def test_a_worker_process_that_hangs_ends_with_the_signal(data, make_recipe, make_trainer, tmp_path):
    recipe = make_recipe(
        training={"epochs": 50, "batch_size": 4}, data={"cache": {"kind": "none"}}, runtime={"num_workers": 1}
    )
    with catch_signals() as wish:
        trainer = make_trainer(data, recipe, tmp_path, wanted_signal=wish)
        dataset = trainer.loaders.train.dataset
        decode, num_read = dataset.originals.decode, itertools.count()

        def hang_after(*of: Any, **how: Any) -> Any:
            if next(num_read) == 40:
                os.kill(os.getppid(), signal.SIGTERM)
                time.sleep(600)
            return decode(*of, **how)

        dataset.originals.decode = hang_after
        with pytest.raises(Interrupted, match="everything is saved"):
            list(trainer.run())
    assert load_newest(tmp_path)[0].state["step"] == trainer.progress.step > 0
    assert multiprocessing.active_children() == []
