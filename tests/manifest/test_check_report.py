"""The report of a check: all of it in JSON, a page that needs nothing else, no file of another origin replaced."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from obverse.errors import OutputError
from obverse.manifest import Finding
from obverse.manifest.check.check import check_data
from obverse.manifest.check.check_report import MAX_EXAMPLES, check_html, write_check
from obverse.recipe import DataSpec


@pytest.fixture
def faulty(tree, sandbox):
    root = tree(f"{label}/{number}.png" for label in ("a", "b") for number in range(10))
    (root / "a" / "0.png").write_bytes((root / "b" / "0.png").read_bytes())
    for number in range(MAX_EXAMPLES + 5):
        (root / "a" / f"<b>{number}.jpg").write_bytes(b"no")
    return check_data(root, DataSpec(), sandbox=sandbox)


def test_json_names_everything(faulty, tmp_path):
    json_file, _ = write_check(faulty, tmp_path / "new" / "folder")
    values = json.loads(json_file.read_text())
    assert values["counts"] == {"error": 25, "warning": 2, "note": 0}
    assert (values["num_samples"], values["num_pictures"]) == (45, 45)
    assert values["classes"] == {"a": 35, "b": 10}
    severities = [finding["severity"] for finding in values["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    duplicate = next(f for f in values["findings"] if f["code"] == "duplicate-across-labels")
    assert duplicate == {
        "severity": "warning",
        "code": "duplicate-across-labels",
        "message": "the same picture carries 2 labels (a, b)",
        "paths": ["a/0.png", "b/0.png"],
    }


def test_the_page_stands_alone_and_escapes_names(faulty):
    page = check_html(faulty)
    assert "<b>" not in page
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([^"]{0,22})', page)) == {"data:image/webp;base64"}
    assert page.count("<img ") >= 2
    text = unescape(re.sub(r"<[^>]+>", " ", page))
    assert "the same picture carries 2 labels (a, b)" in text
    assert "and 5 more of this kind" in text
    assert text.count("not a picture in a known format") == 1  # once, with the paths of all
    assert text.count(".jpg") == MAX_EXAMPLES
    assert "25 errors" in text


def test_scores_and_thresholds_are_shown(faulty):
    shortcut = Finding("note", "shortcut", "told", score=0.75, threshold=0.5)
    page = check_html(replace(faulty, findings=(shortcut,)))
    assert "(score 0.750, threshold 0.500)" in page


def test_an_earlier_report_is_replaced_and_nothing_else(faulty, tmp_path):
    for _ in range(2):
        files = write_check(faulty, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["check.html", "check.json"]
    for path in files:
        path.write_text("mine")
        with pytest.raises(OutputError, match="not a report of an earlier check"):
            write_check(faulty, tmp_path / "out")
        assert path.read_text() == "mine"
        path.unlink()
        write_check(faulty, tmp_path / "out")


def test_no_advice_when_it_is_not_wanted(tree, sandbox):
    root = tree(f"{label}/{number}.png" for label in ("a", "b") for number in range(20))
    for path in (root / "a").iterdir():
        path.write_bytes(path.read_bytes() + b"\0" * 5000)
    found = check_data(root, DataSpec(), sandbox=sandbox).findings
    less = check_data(root, DataSpec(), sandbox=sandbox, advisory=False).findings
    assert {f.code for f in found} - {f.code for f in less} == {"shortcut"}
