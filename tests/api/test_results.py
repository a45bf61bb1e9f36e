"""Results as a notebook shows them."""

import re
from pathlib import Path

from obverse import Evaluation, Run

MEASURED = {
    "split": "test",
    "num_samples": 20,
    "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "reason": ""},
    "macro_f1": {"value": 0.85, "low": None, "high": None, "reason": "one class"},
    "balanced_accuracy": None,
}


def test_a_run_begins_with_its_headline_and_escapes_what_it_shows():
    run = Run(
        Path("runs/<a>"), Evaluation(Path("runs/<a>/evaluation/test"), MEASURED), {"image": "x.png"}, ("<script>",)
    )
    assert repr(run) == "Run('runs/<a>', accuracy 90.0%, 95 % interval 80.0% to 95.0%)"
    page = run._repr_html_()
    assert page.strip().startswith("<p>test accuracy 90.0%, 95 % interval 80.0% to 95.0% (20 samples)</p>")
    assert "runs/&lt;a&gt;/evaluation/test/report.html" in page
    assert "<script>" not in page
    assert '<p class="quiet">&lt;script&gt;</p>' in page


def test_an_evaluation_is_a_table_of_what_is_defined():
    page = Evaluation(Path("out"), MEASURED, ("a note",))._repr_html_()
    rows = re.findall(r"<th[^>]*>([^<]*)</th>\s*<td[^>]*>([^<]*)</td>\s*<td[^>]*>([^<]*)</td>", page)
    assert rows == [("accuracy", "90.0%", "80.0% to 95.0%"), ("macro F1", "0.8500", "")]
    assert "<p>a note</p>" in page


def test_label_sets_begin_with_their_own_headline():
    measured = {"labels": "multi", "split": "val", "num_samples": 4, "map": {"value": 0.5, "low": 0.4, "high": 0.6}}
    assert repr(Evaluation(Path("out"), measured)).startswith("Evaluation('out', mean average precision (mAP) 0.5000")
