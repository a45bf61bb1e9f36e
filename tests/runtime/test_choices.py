"""Choices by measurement: noise decides nothing, and what was chosen once stays."""

import json
import multiprocessing
import random

import pytest
import torch

from obverse.runtime import choices, choose_faster, choose_once, forget_choices, remembered_choices, timing
from obverse.runtime.precision import choose_matmul

ANY = {"is_valid": lambda value: True}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choices, "_unwritten", {})
    return tmp_path / "cache" / "choices"


@pytest.fixture
def clock(monkeypatch):
    """Forms take what `seconds(form)` says; how often each was timed."""

    def imitate(seconds):
        form, timed = [None], []

        def seconds_of(work):
            timed.append(form[0])
            return seconds(form[0])

        monkeypatch.setattr(timing, "seconds_of", seconds_of)
        return lambda *forms: (choose_faster(forms, lambda: None, prepare=lambda f: form.__setitem__(0, f)), timed)

    return imitate


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"plain": 0.1, "other": 0.1}, "plain"),
        ({"plain": 0.1, "other": 0.09}, "plain"),
        ({"plain": 0.1, "other": 0.08}, "other"),
        ({"plain": 9.0, "other": 7.0}, "other"),
        ({"plain": 9.0, "other": 8.5}, "plain"),
        ({"plain": 0.001, "other": 0.0008}, "other"),
        # The third must be clearly faster than the second, which has won.
        ({"plain": 0.1, "other": 0.08, "third": 0.075}, "other"),
        ({"plain": 0.1, "other": 0.08, "third": 0.06}, "third"),
    ],
)
def test_a_form_must_be_clearly_faster(clock, seconds, chosen):
    assert clock(seconds.__getitem__)(*seconds)[0] == chosen


def test_within_noise_of_a_fifth_the_plain_form_stays(clock):
    rng = random.Random(0)
    choose = clock(lambda form: rng.uniform(0.08, 0.12))
    assert {choose("plain", "other")[0] for _ in range(200)} == {"plain"}


def test_one_disturbed_round_does_not_hide_a_form_that_is_twice_as_fast(clock):
    calls = []

    def seconds(form):
        calls.append(form)
        return 5.0 if len(calls) == 8 else {"plain": 0.2, "other": 0.1}[form]

    assert clock(seconds)("plain", "other")[0] == "other"
    assert calls[7] == "other"


def test_long_work_is_not_timed_often(clock):
    assert len(clock({"plain": 60.0, "other": 59.0}.__getitem__)("plain", "other")[1]) == 4
    assert clock({"plain": 60.0}.__getitem__)("plain") == ("plain", [])


def test_the_first_value_stays():
    values = iter([1, 2, 3])
    chosen = [choose_once("size", {"shape": [2, 3]}, lambda: next(values), **ANY) for _ in range(3)]
    assert chosen == [1, 1, 1]
    assert choose_once("size", {"shape": [2, 4]}, lambda: next(values), **ANY) == 2
    assert choose_once("other", {"shape": [2, 3]}, lambda: next(values), **ANY) == 3


def test_the_machine_counts(monkeypatch):
    values = iter([1, 2, 3, 4])

    def choose():
        return choose_once("size", {}, lambda: next(values), **ANY)

    assert choose() == 1
    torch.set_num_threads(2)
    assert choose() == 2
    monkeypatch.setattr(choices, "_processor", lambda: ("another", ""))
    assert choose() == 3
    monkeypatch.setattr(choices, "version", lambda name: "99")
    assert choose() == 4


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b"\xff\xfe", b'{"subject": "size"}', b"[" * 100_000,
        b'{"subject": "size", "value": 1, "circumstances": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_measured_again_and_mended(folder, damage):
    assert choose_once("size", {}, lambda: 1, **ANY) == 1
    (file,) = folder.glob("*.json")
    file.write_bytes(damage)
    assert choose_once("size", {}, lambda: 2, **ANY) == 2
    assert choose_once("size", {}, lambda: 3, **ANY) == 2
    assert json.loads(file.read_text())["value"] == 2
    assert {path.name for path in folder.iterdir()} == {file.name, ".lock"}


def test_a_value_that_cannot_be_used_is_measured_again():
    choose_once("size", {}, lambda: "huge", **ANY)
    assert choose_once("size", {}, lambda: 4, is_valid=lambda value: value["x"] > 0) == 4


def test_without_a_folder_a_choice_lives_as_long_as_the_process(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "file"))
    values = iter([1, 2])
    assert [choose_once("size", {}, lambda: next(values), **ANY) for _ in range(3)] == [1, 1, 1]
    assert remembered_choices() == []
    assert forget_choices() == 0
    assert choose_once("size", {}, lambda: next(values), **ANY) == 2
    monkeypatch.setattr(choices, "cache_folder", lambda: None)
    assert choose_once("size", {}, lambda: 7, **ANY) == choose_once("size", {}, lambda: 8, **ANY) == 7


def _choose_at_once(barrier, answers, number):
    def measure():
        barrier.wait(60)  # all have found nothing, and measure
        return number

    answers.put(choose_once("size", {}, measure, is_valid=lambda value: True))


def test_processes_that_measure_at_once_agree():
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_choose_at_once, args=(barrier, answers, n)) for n in range(4)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == [found[0]] * 4
    assert [choice.value for choice in remembered_choices()] == found[:1]


def test_matmul_is_measured_once(monkeypatch):
    measured = []
    monkeypatch.setattr(
        "obverse.runtime.precision.choose_faster", lambda forms, *_, **__: measured.append(1) or "medium"
    )
    expected = {choose_matmul(torch.device("cpu")) for _ in range(3)}
    assert len(expected) == 1
    assert len(measured) <= 1
    assert [choice.subject for choice in remembered_choices()] == ["matmul"]
    assert forget_choices() == 1
    assert remembered_choices() == []
