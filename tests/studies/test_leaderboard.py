"""The leaderboard of past runs: ranked within the same data and metric, tested in pairs, the same in every form."""

import csv
import io
import json
import subprocess
import sys

import pytest

import obverse
from obverse.errors import DataError, OutputError
from obverse.metrics import metric_of
from obverse.runs import RunFolder
from obverse.studies.compare import compare, read_contender
from obverse.studies.leaderboard import printed_tables, read_leaderboard
from obverse.studies.leaderboard.table import group_sentences

from .past_runs import BUNDLE, begin_run, finish_run, predictions, write_evaluation, write_json


def lines(folder):
    return {entry.name: entry for entry in read_leaderboard(folder).entries}


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    folder = tmp_path_factory.mktemp("past")
    finish_run(folder / "good", 0.95, 1)
    finish_run(folder / "poor", 0.5, 2)
    finish_run(folder / "deep" / "fair", 0.85, 3)
    finish_run(folder / "other", 0.99, 4, data="tomatoes")
    finish_run(folder / "on-val", 0.9, 5, split="val")
    begin_run(folder / "stopped")
    return folder


def test_the_best_is_first_within_the_same_data_and_split(past):
    board = read_leaderboard(past)
    groups = [(g.data, g.split, [e.name for e in g.ranked]) for g in board.groups]
    assert groups == [
        ("coins", "test", ["good", "deep/fair", "poor"]),
        ("coins", "val", ["on-val"]),
        ("tomatoes", "test", ["other"]),
    ]
    assert [(e.name, e.state) for e in board.others] == [("stopped", "interrupted")]


def test_facts_of_a_run(past):
    run = lines(past)["good"]
    assert (run.data, run.num_samples, run.num_measured) == ("coins", 90, 60)
    assert (run.model, run.num_parameters, run.minutes) == ("resnet18, pretrained", 1234, 1.5)
    assert run.bundle_bytes == len(json.dumps(BUNDLE))
    assert run.as_json()["when"] == "2023-11-14T22:13:20+00:00"
    metrics = json.loads((past / "good" / "evaluation" / "test" / "metrics.json").read_text())
    assert {"value": run.value, "low": run.low, "high": run.high, "reason": ""} == metrics["accuracy"]


def test_paired_tests_are_those_of_compare(past):
    found = lines(past)
    names = ("good", "deep/fair", "poor")
    comparison = compare([read_contender(past / name, name=name) for name in names])
    for row in comparison.rows[1:]:
        wanted, entry = row.differences["accuracy"], found[row.name]
        assert entry.difference.test == wanted.test == "exact McNemar"
        assert [entry.difference.value, entry.difference.low, entry.difference.high] == pytest.approx(
            [wanted.value, wanted.low, wanted.high], abs=1e-9
        )
        assert entry.p_adjusted == pytest.approx(row.adjusted["accuracy"])
    assert found["poor"].p_adjusted < 0.05
    assert found["good"].difference is None


def test_groups_are_the_units(tmp_path):
    groups = tuple(f"g{n // 6}" for n in range(60))
    for name, share in (("a", 0.95), ("b", 0.6)):
        finish_run(tmp_path / name, share, 1, groups=groups)
    wanted = compare([read_contender(tmp_path / name) for name in "ab"]).rows[1]
    entry = lines(tmp_path)["b"]
    assert entry.difference.test == wanted.differences["accuracy"].test == "paired permutation of groups"
    assert entry.difference.low == pytest.approx(wanted.differences["accuracy"].low)
    assert entry.p_adjusted == pytest.approx(wanted.adjusted["accuracy"])


def test_label_sets(tmp_path):
    for seed, name in enumerate("ab"):
        finish_run(tmp_path / name, 0.9 - 0.3 * seed, seed, sets=True)
    (group,) = read_leaderboard(tmp_path).groups
    assert group.metric is metric_of("map", label_sets=True)
    assert [entry.name for entry in group.ranked] == ["a", "b"]
    wanted = compare([read_contender(tmp_path / name) for name in "ab"]).rows[1].differences["map"]
    assert group.ranked[1].difference.low == pytest.approx(wanted.low)


def test_other_samples_are_not_tested_in_pairs(tmp_path):
    finish_run(tmp_path / "a", 0.9)
    finish_run(tmp_path / "b", 0.5, first=3)
    (group,) = read_leaderboard(tmp_path).groups
    assert [(e.difference, e.no_difference) for e in group.ranked] == [
        (None, ""),
        (None, "measured on other samples than the best"),
    ]


def test_another_split_seed_is_the_same_data(tmp_path):
    finish_run(tmp_path / "a")
    finish_run(tmp_path / "b")
    begin_run(tmp_path / "b", split=lambda n: "test" if n > 20 else "val")
    digests = {entry.data_digest for entry in lines(tmp_path).values()}
    assert len(digests) == 1
    begin_run(tmp_path / "b", num=89)
    assert len({entry.data_digest for entry in lines(tmp_path).values()}) == 2


def test_equal_runs_share_the_first_rank(tmp_path):
    for name in "abcde":
        finish_run(tmp_path / name, 0.8, 1)
    finish_run(tmp_path / "poor", 0.4, 1)
    (group,) = read_leaderboard(tmp_path).groups
    assert [entry.rank for entry in group.ranked] == [1, 1, 1, 1, 1, 6]
    assert group_sentences(group)[0].startswith("5 runs are equal, and none is better: a, b, c and 2 more; accuracy")


def test_a_lost_measurement_on_test_is_said(tmp_path):
    finish_run(tmp_path / "lost", split="val")
    (group,) = read_leaderboard(tmp_path).groups
    assert "The measurement of these runs on test is missing" in group_sentences(group)[-1]
    begin_run(tmp_path / "lost", split=lambda n: "val" if n < 60 else "train")
    (group,) = read_leaderboard(tmp_path).groups
    assert "There is no test split" in group_sentences(group)[-1]


def test_a_sweep_is_one_line_and_its_conditions_stand_under_it(tmp_path):
    write_json(tmp_path / "sweep" / "sweep.json", {})
    for label, share, best in (("low", 0.7, 0.9), ("high", 0.9, 0.6)):
        for seed in range(2):
            finish_run(tmp_path / "sweep" / "runs" / label / f"seed-{seed}", share, seed, best=best)
    finish_run(tmp_path / "alone", 0.8, 7)
    (group,) = read_leaderboard(tmp_path).groups
    names = [(entry.rank, entry.name, entry.within) for entry in group.entries]
    assert [rank for rank, _, _ in names if rank] == [1, 2]
    place = names.index(next(n for n in names if n[1] == "sweep"))
    assert [name for _, name, _ in names[place + 1 : place + 3]] == ["sweep/high", "sweep/low"]
    by_name = {entry.name: entry for entry in group.entries}
    assert by_name["sweep"].value == by_name["sweep/low"].value  # val chooses, not test
    assert "chosen by val: low" in by_name["sweep"].note
    runs = [read_contender(tmp_path / "sweep" / "runs" / "low" / f"seed-{n}") for n in range(2)]
    accuracies = [run.metrics[0]["accuracy"]["value"] for run in runs]
    assert by_name["sweep/low"].value == pytest.approx(sum(accuracies) / 2)
    assert by_name["sweep"].minutes == pytest.approx(6.0)
    tested = by_name["sweep"] if by_name["sweep"].rank == 2 else by_name["alone"]
    assert tested.difference.test == "paired bootstrap over samples and seeds"


def test_folds_and_ensembles_are_one_line_each(tmp_path):
    for fold in range(3):
        finish_run(tmp_path / "folds" / f"fold-{fold}", 0.8, fold, split="val")
    write_json(tmp_path / "folds" / "condition.json", {})
    write_evaluation(tmp_path / "folds" / "evaluation" / "out-of-fold", predictions(0.8, split="out-of-fold", num=90))
    finish_run(tmp_path / "a", 0.8)
    members = [{"run": "a", "kept": True}, {"run": "b", "kept": True}]
    write_json(tmp_path / "both" / "ensemble.json", {"kind": "probabilities averaged over", "members": members})
    write_evaluation(tmp_path / "both" / "evaluation" / "test", predictions(0.9))
    found = lines(tmp_path)
    assert set(found) == {"folds", "a", "both"}
    assert (found["folds"].split, found["folds"].note, found["folds"].minutes) == ("out-of-fold", "3 folds", 4.5)
    # An ensemble has no manifest: its data is that of the run with the same samples.
    assert found["both"].data_digest == found["a"].data_digest
    assert (found["both"].rank, found["a"].rank) == (1, 2)


def test_a_choice_is_part_of_its_run(tmp_path):
    finish_run(tmp_path / "run")
    write_json(tmp_path / "run" / "choice.json", {"chosen": "lora", "ways": [1, 2, 3]})
    finish_run(tmp_path / "run" / "choice" / "lora" / "fold-0")
    assert [(e.name, e.note) for e in read_leaderboard(tmp_path).entries] == [
        ("run", "chose lora of 3 ways of training")
    ]


def test_a_run_that_is_being_trained(tmp_path):
    begin_run(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.lock()
    try:
        assert lines(tmp_path)["run"].state == "running"
    finally:
        run.unlock()
    assert lines(tmp_path)["run"].state == "interrupted"


def test_every_form_says_the_same(past, tmp_path):
    board = obverse.leaderboard(past, out=tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "runs.json").read_text())["rows"]
    assert rows == board.rows() == board.as_json()["rows"]
    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "runs.csv").read_text())))
    assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows] == table
    page, fragment = (tmp_path / "out" / "report.html").read_text(), board._repr_html_()
    for _, content, sentences in printed_tables(board):
        for cell in (*(cell for row in content.rows for cell in row), *sentences):
            assert cell in page
            assert cell in fragment


def test_the_command_prints_what_python_returns(obverse_command, past):
    board = read_leaderboard(past)
    assert json.loads(obverse_command(past, "--format", "json")) == board.as_json()
    assert obverse_command(past, "--format", "csv") == board.to_csv()
    table = obverse_command(past)
    for entry in board.entries:
        assert entry.name in table


@pytest.fixture
def obverse_command(capsys):
    from obverse.cli.main import app

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            app(["runs", *map(str, arguments)])
        assert end.value.code in (0, None)
        return capsys.readouterr().out

    return run


def test_no_torch(past):
    code = "import sys, obverse; obverse.leaderboard(sys.argv[1])._repr_html_(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(past)], check=False).returncode == 0


def test_what_is_refused(past, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_leaderboard(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        read_leaderboard(tmp_path / "file")
    with pytest.raises(OutputError, match="lies in a run"):
        read_leaderboard(past).write(past / "good" / "board")
    with pytest.raises(OutputError, match="cannot be written"):
        read_leaderboard(past).write(tmp_path / "file")
