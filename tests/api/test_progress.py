"""The progress bar: where it is drawn, how a notebook draws it, and that it keeps messages."""

import io
import sys
from types import SimpleNamespace

import pytest

from obverse.api import progress
from obverse.api.progress import ProgressBar
from obverse.runs import Message, StepEnd

STEP = StepEnd(1, 2, 3, 4, 0.5, 0.1, 0.25, 0.75, 8, 1.0, 0.0, 0.5, 3.0)


@pytest.fixture(autouse=True)
def _every_step(monkeypatch):
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Notebook:
    """A kernel's shell, which keeps what is displayed."""

    def __init__(self, kernel):
        self.kernel, self.display_pub, self.calls = kernel, self, []

    def publish(self, data, *, transient, update):
        self.calls.append((data["text/html"], transient["display_id"], update))


def play():
    with ProgressBar() as bar:
        bar.pictures(1, 2)
        bar.notify(STEP)
        bar.notify(Message("seen <b>"))
    return bar


def test_messages_are_kept_and_a_script_prints_nothing(capfd):
    assert play().messages == ["seen <b>"]
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_one_line_and_clears_it(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    play()
    lines = stream.getvalue().split("\r\x1b[2K")
    assert lines[1:] == [f"[{'#' * 12}{'-' * 12}] reading pictures 1/2",
                         f"[{'#' * 12}{'-' * 12}] epoch 2, step 3/4, loss 0.250", ""]  # fmt: skip


def test_a_notebook_updates_one_display(monkeypatch):
    shell = Notebook(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    play()
    texts, ids, updates = zip(*shell.calls, strict=True)
    assert texts[1] == '<progress value="0.5000" max="1"></progress> epoch 2, step 3/4, loss 0.250'
    assert texts[-1] == ""
    assert len(set(ids)) == 1
    assert updates == (False, True, True)


def test_ipython_on_a_terminal_is_no_notebook(monkeypatch, capfd):
    shell = Notebook(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    play()
    assert shell.calls == []
    assert capfd.readouterr() == ("", "")


def test_no_bar_where_none_is_wanted(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar(False) as bar:
        bar.pictures(1, 2)
    assert stream.getvalue() == ""
