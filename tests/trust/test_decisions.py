"""Decisions in a split's files, numbers and report."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from obverse.decisions import LabelSet, OneClass
from obverse.evaluation import Predictions, write_evaluation
from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec
from obverse.trust import decision_facet, decision_topics, write_decisions

RULE = OutputSpec(
    acceptance=AcceptanceSpec(wanted_error=0.1, threshold=0.8, num_units=100, share=0.6),
    outliers=OutlierSpec(
        gen_centre=0.0, gen_scale=1.0, distance_centre=0.0, distance_scale=1.0, reject_above=3.0, share_below=0.99,
        num_samples=100,
    ),
)  # fmt: skip


def made(num=100, rule=RULE):
    """Confidences fall from row to row; the last fifth is wrong; the first two rows are outliers."""
    sure_N = np.linspace(0.99, 0.51, num).astype(np.float32)
    return Predictions(
        split="test",
        classes=("a", "b"),
        ids=tuple(f"s{n}" for n in range(num)),
        truth=(np.arange(num) >= num * 4 // 5).astype(np.int64),
        probabilities_NK=np.stack([sure_N, 1 - sure_N], 1),
        kind=OneClass(),
        outlier_scores_N=np.where(np.arange(num) < 2, 5.0, 0.0),
        rule=rule,
    )


def test_every_sample_has_one_decision_reject_first(tmp_path):
    predictions = made()
    write_decisions(tmp_path, predictions)
    rows = list(csv.DictReader((tmp_path / "decisions.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == list(predictions.ids)
    expected = ["reject" if n < 2 else "accept" if predictions.confidence_N[n] >= 0.8 else "review" for n in range(100)]
    assert [row["decision"] for row in rows] == expected
    assert rows[0]["reason"] == "unlike the training pictures (farther than 99 % of val)"
    (facet,) = decision_facet(predictions)
    assert [facet.values[code] for code in facet.codes_N] == expected


def test_numbers_and_sentences_of_the_report(tmp_path):
    predictions = made()
    measured = write_evaluation(tmp_path, predictions, facts={}, more=decision_topics(predictions)).as_json()
    counts = {name: group["count"] for name, group in measured["acceptance"]["decisions"].items()}
    accepted = int((predictions.confidence_N[2:] >= 0.8).sum())
    assert counts == {"accept": accepted, "review": 98 - accepted, "reject": 2}
    assert measured["acceptance"]["accepted"]["value"] == accepted / 100
    assert measured["acceptance"]["decisions"]["review"]["error"]["value"] == pytest.approx(20 / (98 - accepted))
    assert measured["outliers"]["rejected"]["value"] == 0.02
    curve = measured["acceptance"]["risk_coverage"]
    assert [point["error"] for point in curve if point["share"] <= 0.8] == [0.0] * 80
    assert curve[-1] == {"share": 1.0, "error": pytest.approx(0.2), "threshold": pytest.approx(0.51)}
    area = measured["acceptance"]["area"]
    assert area["low"] < area["value"] < area["high"]
    assert area["value"] == pytest.approx(np.mean([max(0, n - 80) / n for n in range(1, 101)]))
    page = (tmp_path / "summary.md").read_text()
    assert f"{100 - accepted} of 100 were set aside for a person." in page
    assert "2 of 100 are rejected" in page
    assert "is rejected where it is less like the training pictures than 99 % of val (100 samples)" in page


def test_predictions_come_back_with_their_rule_and_old_ones_without(tmp_path):
    predictions = made()
    predictions.write(tmp_path / "new")
    again = Predictions.read(tmp_path / "new")
    assert again.decisions == predictions.decisions
    assert again.take(np.arange(3)).decisions == predictions.decisions[:3]
    old = replace(predictions, rule=OutputSpec(), outlier_scores_N=None)
    old.write(tmp_path / "new")
    again = Predictions.read(tmp_path / "new")
    assert again.decisions is None
    assert decision_topics(again) == []
    assert decision_facet(again) == ()
    write_decisions(tmp_path / "new", again)
    assert not (tmp_path / "new" / "decisions.csv").exists()


def test_a_small_val_and_a_label_set_are_told_as_what_they_are():
    outliers = RULE.outliers.changed({"share_below": 1.0, "num_samples": 24})
    rule = RULE.changed({"outliers": outliers, "acceptance": RULE.acceptance})
    quiet = replace(made(rule=rule), outlier_scores_N=np.zeros(100))
    _, topic = decision_topics(quiet)
    text = topic.section.blocks[0].text
    assert "0 of 100 are rejected, whatever their confidence. A sample is rejected where it is less like" in text
    assert "than all of val (24 samples)." in text
    truth_NK = np.eye(2, dtype=bool)[made().truth]
    topic = decision_topics(replace(made(), kind=LabelSet((0.5, 0.5)), truth=truth_NK))[0]
    words = " ".join(getattr(block, "text", "") for block in topic.section.blocks)
    assert "is not the probability that the set is right. Answers with a score of at least 0.8 are accepted." in words
    assert all("confidence score" in each.reason for each in replace(quiet, kind=LabelSet(), truth=truth_NK).decisions)


def test_where_nothing_can_be_promised_all_is_review():
    rule = OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.05, threshold=None, num_units=54))
    (topic,) = decision_topics(replace(made(), rule=rule, outlier_scores_N=None))
    assert topic.values["decisions"]["review"]["count"] == 100
    assert topic.values["why_none"] == "with 54 samples on val no error below 5.4 % can be promised"
    assert any("No answer is accepted" in getattr(block, "text", "") for block in topic.section.blocks)
