"""Signals during a training that Python code has started."""

import os
import signal
import threading
import time

import pytest

import obverse
from obverse.training import catch_signals


@pytest.fixture
def stop_after_steps():
    """Function that sends a signal to this process once the run has logged some events."""

    def start(run, number):
        def send():
            events = run / "events.jsonl"
            while not (events.exists() and events.read_text().count("\n") > 8):
                time.sleep(0.01)
            os.kill(os.getpid(), number)

        threading.Thread(target=send, daemon=True).start()

    return start


@pytest.fixture
def train(draw_classes, make_recipe, tmp_path):
    data, recipe = draw_classes(tmp_path / "pictures", per_class=10), make_recipe()
    return lambda run: obverse.train(data, recipe, run=run, epochs=400)


def test_ctrl_c_is_a_keyboard_interrupt_that_says_how_to_go_on(train, stop_after_steps, tmp_path):
    run, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    stop_after_steps(run, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=rf"obverse\.resume\('{run}'\)"):
        train(run)
    assert any((run / "checkpoints").iterdir())
    assert signal.getsignal(signal.SIGINT) is handler


def test_sigterm_is_an_error_of_obverse(train, stop_after_steps, tmp_path):
    stop_after_steps(tmp_path / "run", signal.SIGTERM)
    with pytest.raises(obverse.Interrupted) as caught:
        train(tmp_path / "run")
    assert caught.value.exit_code == 143


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_second_signal_does_not_end_the_process_of_the_caller(number, kind):
    with catch_signals() as wish:
        signal.raise_signal(number)
        assert wish() == number
        with pytest.raises(kind):
            signal.raise_signal(number)
