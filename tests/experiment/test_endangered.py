"""What a run's reading of its data found stands beside the numbers that it endangers."""

import json

from obverse.experiment.story import endangering
from obverse.runs import RunFolder


def report(folder, *findings):
    rows = [{"severity": "warning", "code": code, "message": message, "paths": []} for code, message in findings]
    (folder / "data_report.json").write_text(json.dumps({"findings": rows}))
    return endangering(RunFolder(folder))


def test_copies_and_parts_across_splits_are_named_once_for_each_kind(tmp_path):
    assert report(
        tmp_path,
        ("duplicate-across-splits", "the same picture is in train and test"),
        ("duplicate-across-splits", "the same picture is in val and test"),
        ("small-class", "class a has 2 samples"),
        ("parts-across-splits", "halves of one picture are in two splits"),
    ) == ("the same picture is in train and test (and 1 more such)", "halves of one picture are in two splits")


def test_without_a_readable_report_there_is_nothing(tmp_path):
    assert endangering(RunFolder(tmp_path)) == ()
    (tmp_path / "data_report.json").write_text("[")
    assert endangering(RunFolder(tmp_path)) == ()
    assert report(tmp_path, ("small-class", "class a has 2 samples")) == ()
