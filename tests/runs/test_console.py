"""The live line: as wide as the terminal, and in colour where that is wanted."""

import io
import re

import pytest

from obverse.runs.events import EpochEnd, Message, StepEnd
from obverse.runs.observers import ConsoleObserver
from obverse.terminal import natural_key

STEP = StepEnd(7, 12, 7, 1234, 0.5, 1e-3, 0.512, 0.934, 640, 3.0, 0.6, 0.01, 3600.0)
EPOCH = EpochEnd(12, 7, 0.5, 0.9, 0.6, 0.85, "accuracy", 0.85, True, 1e-3, 1234.0, 0.02, 60.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(event, stream, monkeypatch, columns=80):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    ConsoleObserver(stream).notify(event)
    return stream.getvalue()


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", text)


@pytest.mark.parametrize("columns", [20, 40, 80, 100])
@pytest.mark.parametrize("event", [STEP, EPOCH])
def test_a_line_fits_the_terminal(event, columns, monkeypatch):
    line = plain(shown(event, Terminal(), monkeypatch, columns)).rstrip("\r\n")
    assert line.startswith("epoch 12")
    assert len(line) < columns
    assert len(line) > columns - 22, line


def test_what_matters_most_stays(monkeypatch):
    assert "step 7/1234  loss 0.512  accuracy 93.4%" in shown(STEP, Terminal(), monkeypatch)
    assert re.search(r"left [\d:]+\r$", shown(STEP, Terminal(), monkeypatch))
    epoch = plain(shown(EPOCH, Terminal(), monkeypatch))
    assert epoch == "epoch 12  loss 0.500  val loss 0.600  val accuracy 85.0%  best  left \n"


def test_a_file_gets_everything_and_no_codes(monkeypatch):
    line = shown(EPOCH, io.StringIO(), monkeypatch)
    assert "accuracy 90.0%" in line
    assert "1,234 pictures/s  data wait 2%" in line
    assert "\x1b" not in line


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    warning = Message("Warning: careful")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[33mWarning: \x1b[0mcareful" in shown(warning, Terminal(), monkeypatch)
    assert "\x1b[32mbest\x1b[0m" in shown(EPOCH, Terminal(), monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(warning, Terminal(), monkeypatch)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[3" not in shown(warning, Terminal(), monkeypatch)


def test_names_sort_as_people_count():
    names = ["p10", "p2", "p02", "p1", "a", "p2b", "p" + "9" * 5000]
    assert sorted(names, key=natural_key) == ["a", "p1", "p02", "p2", "p2b", "p10", "p" + "9" * 5000]
