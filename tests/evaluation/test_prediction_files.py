"""The files of predictions: both kinds of answer stay byte for byte what they have always been."""

import json

import numpy as np
import pytest

from obverse.decisions import LabelSet, OneClass
from obverse.errors import DataError
from obverse.evaluation import Predictions, measure, surest_mistakes

ROWS = np.array([[0.7, 0.2, 0.1], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]], np.float32)
OF_ONE_CLASS = {
    "names": {"classes": ["a", "b", "c"], "ordered": True, "decode": "median", "split": "test"},
    "predictions": np.array([0, 1, 2]),
    "true_labels": np.array([0, 2, -1]),
}
OF_LABEL_SETS = {
    "names": {"classes": ["a", "b", "c"], "labels": "multi", "thresholds": [0.5, 0.25, 0.1], "split": "val"},
    "predictions": np.array([[1, 0, 1], [0, 1, 1], [0, 0, 1]], np.uint8),
    "true_labels": np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], np.uint8),
}


def write_by_hand(folder, values):
    """A folder as it was before groups were kept."""
    folder.mkdir()
    for name in ("predictions", "true_labels"):
        np.save(folder / f"{name}.npy", values[name])
    np.save(folder / "probabilities.npy", ROWS)
    (folder / "ids.json").write_text(json.dumps(["x", "y", "z"], indent=1) + "\n")
    (folder / "names.json").write_text(json.dumps(values["names"], indent=1) + "\n")


@pytest.mark.parametrize(
    ("values", "kind"),
    [(OF_ONE_CLASS, OneClass("median", ordered=True)), (OF_LABEL_SETS, LabelSet((0.5, 0.25, 0.1)))],
)
def test_an_older_folder_is_read_and_written_as_it_was(values, kind, tmp_path):
    write_by_hand(tmp_path / "older", values)
    read = Predictions.read(tmp_path / "older")
    assert (read.kind, read.split, read.ids, read.groups) == (kind, values["names"]["split"], ("x", "y", "z"), ())
    np.testing.assert_array_equal(read.truth, values["true_labels"])
    np.testing.assert_array_equal(read.answers, values["predictions"])
    read.write(tmp_path / "again")
    names = sorted(path.name for path in (tmp_path / "older").iterdir())
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "older" / name).read_bytes()


def test_the_kind_decides_what_is_measured_and_what_is_a_mistake(tmp_path):
    found = {}
    for name, values in (("one", OF_ONE_CLASS), ("sets", OF_LABEL_SETS)):
        write_by_hand(tmp_path / name, values)
        read = Predictions.read(tmp_path / name)
        found[name] = (read.known_N.tolist(), read.is_right_N.tolist(), surest_mistakes(read).tolist())
        assert measure(read).as_json().get("labels", "single") == values["names"].get("labels", "single")
    # The last sample has no label; as a label set it has none, and that is known.
    assert found["one"] == ([True, True, False], [True, False, False], [1])
    assert found["sets"] == ([True, True, True], [False, True, False], [2, 0])


def test_the_truth_must_be_of_the_kind():
    values = {"split": "test", "classes": ("a", "b", "c"), "ids": ("x", "y", "z"), "probabilities_NK": ROWS}
    with pytest.raises(DataError, match=r"labels must be bool \(3, 3\), not int64 \(3,\)"):
        Predictions(**values, truth=np.zeros(3, np.int64), kind=LabelSet())
    with pytest.raises(DataError, match=r"labels must be int64 \(3,\), not bool \(3, 3\)"):
        Predictions(**values, truth=np.zeros((3, 3), bool))
