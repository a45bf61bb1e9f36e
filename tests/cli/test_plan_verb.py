"""`obverse plan`: says what a run needs, writes nothing, trains nothing that stays."""

import json

import pytest

TINY = ("--set", "data.size={height: 16, width: 16}", "--set", "model.backbone={kind: convnet, widths: [8, 8]}",
        "--set", "runtime={precision: fp32, channels_last: false, compile: false, num_threads: 1}")  # fmt: skip


def test_memory_time_and_a_rate_for_the_data_at_hand(obverse, training, tree, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    result = obverse("plan", training.data, *TINY, "--device", "cpu", "--find-lr")
    assert result.code == 0, result.err
    lines = {line[:14].strip(): line[15:] for line in result.out.splitlines()}
    assert {"memory", "available", "batch", "work", "time", "learning rate"} <= set(lines)
    assert "activations" in lines["memory"]
    assert "an estimate" in lines["time"]
    said = [line.split()[0] for line in result.err.splitlines()]
    assert [word for word in said if word in ("reading", "counting", "building", "measuring", "searching")] == [
        "reading", "counting", "building", "measuring", "searching"
    ]  # fmt: skip
    assert 0 < float(lines["learning rate"].split()[0]) <= 1
    assert tree(tmp_path) == before


def test_a_plan_for_a_machine_and_data_that_are_not_here(obverse):
    result = obverse("plan", *TINY, "--device", "cuda", "--memory", "8", "--classes", 4, "--samples", 50, "--format",
                     "json")  # fmt: skip
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values["device"] == "cuda"
    assert values["available_bytes"] == 8e9
    assert values["fits"] is True
    assert values["peak_bytes"] < 8e9
    assert values["seconds_per_epoch"] is None


def test_a_known_speed_gives_the_hours_of_one_device_and_of_several(obverse):
    def planned(*more):
        result = obverse("plan", *TINY, "--device", "cuda", "--memory", "8", "--samples", 1000, "--set",
                         "training.batch_size=64", "--pictures-per-second", 100, *more, "--format", "json")  # fmt: skip
        assert result.code == 0, result.err
        return json.loads(result.out)

    one, four = planned(), planned("--processes", 4)
    assert one["seconds_per_epoch"] == (700 + 150 / 3) / 100
    assert four["seconds_per_epoch"] == one["seconds_per_epoch"] / 4
    assert one["activations_bytes"] > 3 * four["activations_bytes"]
    table = obverse("plan", *TINY, "--device", "cuda", "--memory", "8", "--pictures-per-second", 50, "--processes", 2)
    assert "at 50 pictures a second, as said, on each of 2 devices" in table.out


def test_all_trainings_of_a_refit_and_of_a_choice_are_counted(obverse):
    """A choice trains every way in every fold, and then twice; all share a time budget."""

    def planned(*settings):
        more = [part for setting in ("training.epochs=10", *settings) for part in ("--set", setting)]
        command = ("plan", *TINY, "--device", "cuda", "--memory", "8", "--samples", 1000, "--pictures-per-second", 100)
        values, table = (obverse(*command, *more, "--format", form) for form in ("json", "table"))
        assert (values.code, table.code) == (0, 0), values.err
        return json.loads(values.out)["trainings"], next(line for line in table.out.splitlines() if "epoch" in line)

    one, refit = planned(), planned("training.refit=true")
    assert (one[0], refit[0]) == (1, 2)
    assert "75 s in all (" in one[1]
    assert "2 min in all for 2 trainings" in refit[1]
    ways = "choice={folds: 3, ways: {a: {}, b: {optim.lr: 0.1}}}"
    assert planned(ways)[0] == 8
    assert "epochs in the 3 minutes of each of 8 trainings" in planned(ways, "training.minutes=24")[1]


def test_a_batch_that_the_processes_cannot_share_is_refused(refused):
    refused(2, "give a multiple of 6", "plan", *TINY, "--set", "training.batch_size=64", "--processes", 3)


def test_the_device_may_stand_in_the_recipe(obverse):
    result = obverse("plan", *TINY, "--set", "runtime.device=cuda", "--memory", "8", "--format", "json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["device"] == "cuda"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--memory", "nan"),
        ("--memory", "1e400"),
        ("--classes", 10**9),
        ("--samples", 10**12),
        ("--processes", 10**9),
        ("--pictures-per-second", "nan"),
    ],
)
def test_absurd_numbers_are_refused(obverse, option, value):
    result = obverse("plan", *TINY, "--device", "cuda", "--memory", "8", option, value)
    assert result.code == 2
    assert option in result.err
    assert "Traceback" not in result.err


def test_a_search_needs_pictures(refused):
    refused(2, "--find-lr trains on pictures", "plan", "--find-lr")


def test_without_data_the_size_must_be_said(refused):
    refused(2, "without DATA the recipe must say data.size", "plan")
