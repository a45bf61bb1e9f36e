"""Predictions survive the disk and refuse what cannot be true."""

import json
from dataclasses import replace

import numpy as np
import pytest

from obverse.errors import DataError, OutputError
from obverse.evaluation.predictions import Predictions
from obverse.staging import staged


def assert_equal(left, right):
    for name in ("split", "classes", "ids", "kind"):
        assert getattr(left, name) == getattr(right, name)
    for name in ("truth", "probabilities_NK", "embeddings_ND"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    assert list(left.view_probabilities) == list(right.view_probabilities)
    assert list(left.view_grades) == list(right.view_grades)
    for view, grades in left.view_grades.items():
        np.testing.assert_array_equal(grades, right.view_grades[view])
    for view, alone in left.view_probabilities.items():
        np.testing.assert_array_equal(alone, right.view_probabilities[view])


def test_round_trip_with_hostile_names_and_a_view_called_file(make, hostile_names, tmp_path):
    written = make(hostile_names, views=("reverse", "file", "Vorderseite é"), ordered=True)
    grades = {view: rows[::-1].copy() for view, rows in written.view_probabilities.items()}
    written = replace(written, ids=("bad\udcff\n", *written.ids[1:]), view_grades=grades)
    written.write(tmp_path / "deep" / "folder")
    assert_equal(written, Predictions.read(tmp_path / "deep" / "folder"))


def test_files_are_plain_arrays_in_one_row_order(make, tmp_path):
    predictions = make(views=("obverse",))
    predictions.write(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "predictions.npy"), predictions.answers)
    np.testing.assert_array_equal(np.load(tmp_path / "true_labels.npy"), predictions.truth)
    assert json.loads((tmp_path / "names.json").read_text())["classes"] == ["a", "b", "c"]
    assert json.loads((tmp_path / "ids.json").read_text())[0] == "sample/0"
    with np.load(tmp_path / "view_probabilities.npz") as views:
        np.testing.assert_array_equal(views["obverse"], predictions.view_probabilities["obverse"])


def test_equal_predictions_give_equal_bytes(make, tmp_path):
    for folder in ("one", "two"):
        make(views=("obverse",)).write(tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_writing_again_leaves_no_stale_optional_file(make, tmp_path):
    full = make(views=("obverse",))
    replace(full, view_grades=full.view_probabilities).write(tmp_path)
    replace(make(), embeddings_ND=None).write(tmp_path)
    read = Predictions.read(tmp_path)
    assert read.embeddings_ND is None
    assert (read.view_probabilities, read.view_grades) == ({}, {})


def test_take_keeps_the_rows_together(make):
    predictions = make(views=("obverse",))
    for rows in (predictions.truth == 1, np.flatnonzero(predictions.truth == 1)):
        taken = predictions.take(rows)
        assert set(taken.truth) == {1}
        assert taken.ids == tuple(np.array(predictions.ids)[rows])
        assert len(taken.embeddings_ND) == len(taken.view_probabilities["obverse"]) == len(taken.ids)


def test_a_missing_view_gives_no_class(make):
    predictions = make(views=("obverse",))
    predictions.view_probabilities["obverse"][3] = np.nan
    given = predictions.view_answers("obverse")
    assert given[3] == -1
    assert (np.delete(given, 3) >= 0).all()


def with_value(array, value, row=0):
    changed = array.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: {"ids": ("sample/1", *p.ids[1:])}, "twice"),
        (lambda p: {"ids": p.ids[1:]}, r"labels must be int64 \(59,\), not int64 \(60,\)"),
        (lambda p: {"truth": p.truth.astype(np.int32)}, "int32"),
        (lambda p: {"truth": with_value(p.truth, 3)}, "not a class"),
        (lambda p: {"truth": with_value(p.truth, -2)}, "not a class"),
        (lambda p: {"probabilities_NK": p.probabilities_NK[:, :2]}, "probabilities"),
        (lambda p: {"probabilities_NK": with_value(p.probabilities_NK, np.nan)}, "NaN"),
        (lambda p: {"embeddings_ND": p.embeddings_ND[:5]}, "embeddings"),
        (lambda p: {"embeddings_ND": np.zeros((), np.float32)}, "embeddings"),
        (lambda p: {"view_probabilities": {"x": p.probabilities_NK[:5]}}, "view 'x'"),
        (lambda p: {"view_probabilities": {"x": with_value(p.probabilities_NK, np.nan, (0, 1))}}, "in part"),
    ],
)
def test_what_cannot_be_true_is_refused(make, change, problem):
    predictions = make()
    with pytest.raises(DataError, match=problem):
        replace(predictions, **change(predictions))


def test_reading_names_the_folder_and_the_reason(make, tmp_path):
    with pytest.raises(DataError, match=r"names\.json"):
        Predictions.read(tmp_path / "nowhere")
    make(views=("obverse",)).write(tmp_path)
    np.save(tmp_path / "true_labels.npy", np.zeros(3, dtype=np.int64))
    with pytest.raises(DataError, match=rf"{tmp_path}.*labels"):
        Predictions.read(tmp_path)
    for damaged in ("view_probabilities.npz", "true_labels.npy", "ids.json", "names.json"):
        (tmp_path / damaged).write_bytes(b"PK\x03\x04 not this")
        with pytest.raises(DataError, match="obverse evaluate"):
            Predictions.read(tmp_path)


def test_a_folder_that_cannot_be_created(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be created"):
        make().write(tmp_path / "file" / "folder")


def test_groups_survive_the_disk_and_older_folders_have_none(make, tmp_path):
    predictions = make()
    groups = tuple(None if n % 5 == 0 else f"coin {n // 3}" for n in range(60))
    written = replace(predictions, groups=groups)
    written.write(tmp_path)
    assert Predictions.read(tmp_path).groups == groups
    assert written.take(written.truth == 1).groups == tuple(np.array(groups, object)[written.truth == 1])
    assert (written.units.num, written.units.are_groups) == (len(set(groups) - {None}) + groups.count(None), True)
    predictions.write(tmp_path)
    assert not (tmp_path / "groups.json").exists()
    assert Predictions.read(tmp_path).groups == ()
    with pytest.raises(DataError, match="3 groups for 60 samples"):
        replace(predictions, groups=("a", "b", "c"))
    (tmp_path / "groups.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"groups\.json is not a list of names"):
        Predictions.read(tmp_path)


def test_arrays_of_two_times_are_refused(make, tmp_path):
    with staged(tmp_path / "test") as stage:
        make().write(stage)
    whole = Predictions.read(tmp_path / "test")
    np.save(tmp_path / "test" / "probabilities.npy", whole.probabilities_NK[::-1].copy())
    with pytest.raises(DataError, match=r"results that do not belong together: probabilities\.npy .*obverse evaluate"):
        Predictions.read(tmp_path / "test")
