"""One process fails: all end at once, with its exit code, and the user reads one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from obverse.errors import DataError, ElsewhereError
from obverse.launch import Launch
from obverse.runtime import group

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


class DyingStore:
    """Of a main process that ends as soon as anybody says that he has heard of a failure."""

    def __init__(self, failed=""):
        self.is_alive, self.failed = True, failed

    def check(self, keys):
        self._require_life()
        return keys == [group.FAILED] and bool(self.failed)

    def get(self, key):
        self._require_life()
        return self.failed.encode()

    def compare_set(self, key, expected, value):
        self._require_life()
        self.failed = self.failed or value
        return self.failed.encode()

    def set(self, key, value):
        self._require_life()
        self.is_alive = not key.startswith(group.ACKNOWLEDGED)

    def _require_life(self):
        if not self.is_alive:
            raise dist.DistNetworkError("Connection reset by peer")


def test_a_code_that_one_thread_has_read_is_known_when_the_store_is_gone():
    launch = Launch(rank=1, world_size=2)
    waiting = group._Group(DyingStore("73 of rank 0"), launch)
    watching = group._Group(waiting.store, launch, waiting.failure_code)
    assert watching.failure() == 73
    assert not waiting.store.is_alive
    with pytest.raises(ElsewhereError) as caught:
        waiting.wait_until(lambda: False)
    assert caught.value.exit_code == 73


def test_the_first_to_fail_says_why_although_its_other_thread_has_heard_it_too(monkeypatch):
    failing = group._Group(DyingStore(), Launch(rank=1, world_size=2))
    watching = group._Group(failing.store, Launch(rank=1, world_size=2), failing.failure_code)
    monkeypatch.setattr(failing, "all", lambda key: watching.failure() is None or failing.store.check([key]))
    error = DataError("'a.png' cannot be read")
    group._fail(failing, error)
    assert not failing.store.is_alive
    assert (failing.failure_code, error.is_reported) == ([DataError.exit_code], False)


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
