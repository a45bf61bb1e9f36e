"""Half-written, damaged, foreign and old folders: each is one line with its reason, and nothing is written."""

import json
import os
import shutil

import numpy as np
import pytest

from obverse.studies.leaderboard import read_leaderboard

from .past_runs import begin_run, finish_run, write_json


def break_config(run):
    (run / "config.json").write_text("{")


def deep_config(run):
    (run / "config.json").write_text("[" * 100_000)


def list_config(run):
    write_json(run / "config.json", [1, 2])


def pipe_config(run):
    (run / "config.json").unlink()
    os.mkfifo(run / "config.json")


def strange_types(run):
    write_json(run / "config.json", {"data": 3, "model": {"backbone": [1]}})
    write_json(run / "training_log.json", {"epochs": "x", "seconds": "y", "facts": {"parameters": None}})


def no_manifest_columns(run):
    (run / "manifest.csv").write_text("x,y\n1,2\n")


def binary_manifest(run):
    (run / "manifest.csv").write_bytes(b"id,label,split\n\xff\xfe\x00,a,test\n")


def cut_metrics(run):
    file = run / "evaluation" / "test" / "metrics.json"
    file.write_text(file.read_text()[:50])


def old_metrics(run):
    write_json(run / "evaluation" / "test" / "metrics.json", {"score": 1})


def write_accuracy(run, value):
    text = f'{{"accuracy": {{"value": {value}}}, "balanced_accuracy": {{"value": 0.5}}}}'
    (run / "evaluation" / "test" / "metrics.json").write_text(text)


def endless_value(run):
    write_accuracy(run, "NaN")


def value_in_words(run):
    write_accuracy(run, '"high"')


def huge_value(run):
    write_accuracy(run, "1e308")


def changed_metrics(run):
    write_json(run / "evaluation" / "test" / "digests.json", {"metrics.json": "0" * 64})


def lost_array(run):
    (run / "evaluation" / "test" / "probabilities.npy").unlink()


def cut_array(run):
    file = run / "evaluation" / "test" / "probabilities.npy"
    file.write_bytes(file.read_bytes()[:-8])


def no_log(run):
    (run / "training_log.json").unlink()
    (run / "evaluation" / "test" / "metrics.json").unlink()


def no_evaluation(run):
    for file in (run / "evaluation" / "test").iterdir():
        file.unlink()


def failure(run):
    write_json(run / "failure.json", {"said": "the loss is not finite", "exit_code": 66})


def only_results(run):
    for name in ("recipe.yaml", "training_log.json", "config.json", "manifest.csv"):
        (run / name).unlink()


@pytest.mark.parametrize(
    ("damage", "state", "reason"),
    [
        (break_config, "damaged", "'config.json' cannot be read as JSON"),
        (deep_config, "damaged", "cannot be read as JSON"),
        (list_config, "damaged", "holds no JSON object"),
        (pipe_config, "damaged", "it is a pipe"),
        (strange_types, "finished", ""),
        (no_manifest_columns, "damaged", "manifest.csv is no manifest: it has no column 'id'"),
        (binary_manifest, "finished", ""),
        (cut_metrics, "damaged", "'evaluation/test/metrics.json' cannot be read as JSON"),
        (old_metrics, "damaged", "no metric that this version knows"),
        (endless_value, "damaged", "gives accuracy as 'nan', which it cannot be"),
        (value_in_words, "damaged", "gives accuracy as 'high'"),
        (huge_value, "damaged", "gives accuracy as '1e+308'"),
        (changed_metrics, "damaged", "metrics.json is not what was written with the others"),
        (lost_array, "damaged", "probabilities.npy of evaluation/test is missing"),
        (cut_array, "damaged", "evaluation/test/probabilities.npy is cut or holds no array"),
        (no_log, "interrupted", "stopped before its end"),
        (no_evaluation, "interrupted", "trained, but not evaluated"),
        (failure, "failed", "the loss is not finite"),
        (only_results, "damaged", "recipe.yaml and training_log.json are missing"),
    ],
)
def test_one_line_with_its_reason(tmp_path, damage, state, reason):
    finish_run(tmp_path / "whole", 0.9)
    damage(finish_run(tmp_path / "broken", 0.5))
    found = {entry.name: entry for entry in read_leaderboard(tmp_path).entries}
    assert set(found) == {"whole", "broken"}
    assert (found["broken"].state, reason in found["broken"].reason) == (state, True)
    assert (found["whole"].state, found["whole"].rank) == ("finished", 1)
    assert str(tmp_path) not in found["broken"].reason
    assert "Errno" not in found["broken"].reason


def empty_recipe(run):
    (run / "recipe.yaml").write_text("")


def no_manifest(run):
    (run / "manifest.csv").unlink()


def empty_bundle(run):
    write_json(run / "bundle" / "model.json", {})


def no_bundle(run):
    shutil.rmtree(run / "bundle")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (empty_recipe, "recipe.yaml is empty"),
        (no_manifest, "manifest.csv cannot be read: No such file"),
        (empty_bundle, "bundle/model.json does not describe a model"),
        (no_bundle, "it has no bundle"),
    ],
)
def test_a_whole_evaluation_is_ranked_and_what_is_broken_is_named(tmp_path, damage, reason):
    finish_run(tmp_path / "whole", 0.9)
    damage(finish_run(tmp_path / "broken", 0.5))
    (group,) = read_leaderboard(tmp_path).groups
    entry = group.ranked[1]
    assert (entry.name, entry.state, entry.rank) == ("broken", "damaged", 2)
    assert entry.reason.startswith(reason)


def cut_ids(evaluation):
    write_json(evaluation / "ids.json", ["s0"])


def pickled(evaluation):
    np.save(evaluation / "predictions.npy", np.array([{}], dtype=object), allow_pickle=True)


def empty(evaluation):
    (evaluation / "true_labels.npy").write_bytes(b"")


def out_of_range(evaluation):
    np.save(evaluation / "true_labels.npy", np.full(60, 99))


def torn(evaluation):
    write_json(evaluation / "digests.json", {"predictions.npy": "0" * 64})


def names_are_a_list(evaluation):
    write_json(evaluation / "names.json", [])


@pytest.mark.parametrize("damage", [cut_ids, pickled, empty, out_of_range, torn, names_are_a_list])
def test_unusable_predictions_are_not_ranked(tmp_path, damage):
    finish_run(tmp_path / "whole", 0.9)
    damage(finish_run(tmp_path / "broken", 0.5) / "evaluation" / "test")
    found = {entry.name: entry for entry in read_leaderboard(tmp_path).entries}
    assert (found["broken"].state, found["broken"].rank, found["broken"].value) == ("damaged", None, None)
    assert "evaluation/test" in found["broken"].reason
    assert str(tmp_path) not in found["broken"].reason


def test_folders_that_hold_no_run(tmp_path):
    finish_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "notes" / "recipe.yaml").touch()  # a user's own recipe
    (tmp_path / "runs" / ".hidden").mkdir()
    write_json(tmp_path / "runs" / "shipped" / "model.json", {})
    write_json(tmp_path / "runs" / "card" / "bundle" / "model.json", {})
    (tmp_path / "runs" / "card" / "README.md").touch()
    write_json(tmp_path / "runs" / "board" / "runs.json", {})
    others = [(e.name, e.state, e.reason.partition(":")[0]) for e in read_leaderboard(tmp_path / "runs").others]
    assert others == [
        ("card", "no run", "a published model without its run"),
        ("notes", "no run", "holds no run"),
        ("shipped", "no run", "a bundle without its run"),
    ]


def test_links_in_a_circle(tmp_path):
    finish_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "again").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "same").symlink_to(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "nowhere").symlink_to(tmp_path / "absent")
    assert [entry.name for entry in read_leaderboard(tmp_path / "runs").entries] == ["a"]
    (tmp_path / "far").symlink_to(tmp_path / "runs")
    assert [entry.name for entry in read_leaderboard(tmp_path / "far").entries] == ["a"]


def test_hostile_names(tmp_path):
    names = ("<script>alert(1)<\\script>", "new\nline", "\u202etxet", "W" * 200, "\udcff")
    for name in names:
        finish_run(tmp_path / name, 0.5)
    board = read_leaderboard(tmp_path)
    assert {entry.name for entry in board.entries} == set(names)
    page = board._repr_html_()
    assert "<script" not in page
    assert json.loads(json.dumps(board.as_json()))["rows"] == board.rows()
    board.write(tmp_path / "out")


def test_nothing_is_written(tmp_path):
    finish_run(tmp_path / "a")
    begin_run(tmp_path / "b")

    def state():
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*"))

    before = state()
    read_leaderboard(tmp_path)
    assert state() == before


def test_an_empty_folder(tmp_path):
    board = read_leaderboard(tmp_path)
    assert board.entries == ()
    assert "No runs" in board._repr_html_()


def test_half_written_studies(tmp_path):
    write_json(tmp_path / "sweep" / "sweep.json", {})
    write_json(tmp_path / "folds" / "condition.json", {})
    begin_run(tmp_path / "folds" / "fold-0")
    write_json(tmp_path / "both" / "ensemble.json", {"kind": "x"})
    found = {entry.name: (entry.state, entry.reason) for entry in read_leaderboard(tmp_path).entries}
    assert found["sweep"] == ("interrupted", "no run has begun")
    assert found["folds"] == ("interrupted", "0 of 1 begun folds are finished, none are pooled")
    assert found["both"][0] == "damaged"
