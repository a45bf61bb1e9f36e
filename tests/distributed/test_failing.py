"""One process fails: all end at once, with its exit code, and the user reads one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("ranks")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    command = [sys.executable, Path(__file__).with_name("failing.py"), folder]
    subprocess.run(command, check=True, timeout=120)
    return json.loads((folder / "results.json").read_text())


def sentences(result):
    return [[line for line in text.splitlines() if line.startswith("Error: ")] for text in result["errors"]]


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("one_reads_a_bad_picture", 65, [[], ["Error: 'a.png' cannot be read"]]),
        ("main_cannot_write", 73, [["Error: 'runs' is not writable"], []]),
        ("one_hangs", 65, [[], ["Error: 'a.png' cannot be read"]]),
    ],
)
def test_all_end_with_the_code_of_the_one_that_failed(results, case, code, said):
    assert results[case]["codes"] == [code, code]
    assert sentences(results[case]) == said
    assert results[case]["seconds"] < 30
    assert not any("Traceback" in text for text in results[case]["errors"])


def test_what_all_come_to_is_said_once(results):
    assert results["all_diverge"]["codes"] == [66, 66]
    assert sorted(sentences(results["all_diverge"])) == [[], ["Error: the loss is nan"]]


def test_a_bug_shows_one_traceback(results):
    assert results["one_has_a_bug"]["codes"] == [1, 1]
    main, other = results["one_has_a_bug"]["errors"]
    assert "KeyError: 'a bug'" in other
    assert "Traceback" not in main


def test_a_process_that_is_killed_is_missed(results):
    assert results["one_is_killed"]["codes"] == [69, -9]
    assert "ended without a word" in sentences(results["one_is_killed"])[0][0]


def test_ending_well_ends_nobody_else(results):
    assert results["all_is_well"]["codes"] == [0, 0]
    assert results["all_is_well"]["errors"] == ["", ""]
