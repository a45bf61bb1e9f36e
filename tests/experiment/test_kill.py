"""kill -9 at any moment loses nothing: the run always resumes, ends with the same bits, and leaves no half files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_storm.py")


@pytest.fixture
def storm(draw_classes, tmp_path):
    """Rounds of the script; the first row is the run that was never killed."""
    data = draw_classes(tmp_path / "data", per_class=8)

    def run(*arguments):
        command = [sys.executable, SCRIPT, data, tmp_path, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        whole, *rounds = map(json.loads, done.stdout.splitlines())
        for row in rounds:
            assert row["code"] == 0, (row, done.stderr[-3000:])
            assert (row["weights"], row["evaluation"]) == (whole["weights"], whole["evaluation"]), row
            assert row["halves"] == [], row
        return rounds

    return run


def num_killed(rounds):
    return sum(row["killed"][0] == -9 for row in rounds)


def test_killed_at_random_moments(storm):
    assert num_killed(storm("random", 6, 0)) == 6


def test_killed_at_some_changes_of_the_run_folder(storm):
    assert num_killed(storm("writes", 43)) >= 4


@pytest.mark.full
def test_killed_at_a_hundred_random_moments(storm):
    assert num_killed(storm("random", 100, 1)) == 100


@pytest.mark.full
def test_killed_at_every_change_of_the_run_folder(storm):
    rounds = storm("writes", 1)
    assert num_killed(rounds) >= 100
