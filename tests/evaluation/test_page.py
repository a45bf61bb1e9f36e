"""The page of an evaluation: its first sentence, what to trust, its pictures, and the order of its sections."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from obverse.decisions import LabelSet
from obverse.evaluation import Diagnosis, Extras, Seen, Topic, items_of, write_evaluation
from obverse.evaluation.calibration.section import _effect
from obverse.evaluation.estimates import Estimate
from obverse.evaluation.page.choice import MOST_PICTURES, choose_rows, take_album
from obverse.evaluation.page.judged import Judged
from obverse.evaluation.page.linked import linked_of
from obverse.evaluation.page.opening import shortened
from obverse.evaluation.page.risk import _probabilities, risk_of
from obverse.evaluation.page.trust import trust_section
from obverse.evaluation.rooms import surest_mistakes
from obverse.report import Facet, Gallery, Picture, Section, Text

FACTS = {"data": "/srv/pictures/coins/table.csv", "model": "vit, pretrained (hub)", "trained": "on 1 May 2026"}


def summary_of(folder, predictions, facts=None, **options):
    write_evaluation(folder, predictions, facts=facts or FACTS, **options)
    return (folder / "summary.md").read_text()


def test_it_opens_with_one_sentence_and_what_was_trained(make, tmp_path):
    predictions = make(num_samples=400, ordered=True, views=("obverse", "reverse"))
    summary = summary_of(tmp_path, predictions)
    right = round(100 * float((predictions.answers == predictions.truth).mean()))
    head = summary.split("## ")[0]
    assert head.startswith(
        f"# coins: how good the answers are\n\nOf 100 new samples about {right} get the exact class ("
    )
    assert "are at most one step off (" in head
    assert "vit trained on coins, on 1 May 2026. Judged by the 400 labelled samples of split test" in head
    assert "- **right answers " in head
    assert "person" not in head


def test_samples_that_chose_something_are_not_called_new(make, tmp_path):
    summary = summary_of(tmp_path, make(), seen=Seen(chosen=("the best epoch",)))
    assert "Of 100 pictures about" in summary
    assert "| the figures as a forecast | with care | These samples chose the best epoch: new" in summary


def test_decisions_are_in_the_first_sentence_and_on_a_card(make, tmp_path):
    accepted = {"value": 0.82, "low": 0.76, "high": 0.87, "reason": ""}
    topic = Topic(Section("Accept", (Text("a"),)), "acceptance", {"accepted": accepted})
    head = summary_of(tmp_path, make(), more=[topic]).split("## ")[0]
    assert "18 are set aside for a person (13 to 24)." in head
    assert "- **set aside for a person 18.0 %** (13.0 to 24.0 %)" in head


def test_every_doubt_has_its_row(make, tmp_path):
    predictions = make("abcdefghij", num_samples=60)
    sure_NK = np.full_like(predictions.probabilities_NK, 0.01)
    sure_NK[:, 0] = 0.91
    finding = Diagnosis("too short", "It still rises", "Train longer")
    summary = summary_of(tmp_path, replace(predictions, probabilities_NK=sure_NK), diagnoses=[finding])
    rows = summary.split("## What to trust, and what not")[1].split("## ")[0]
    num_wrong = int((predictions.truth != 0).sum())
    for words in (
        "the headline | with care",
        "| figures of single classes | with care |",
        "| the training | with care |",
    ):
        assert words in rows
    assert f"| the labels | with care | {num_wrong} answers contradict their label with at least 90 %:" in rows
    assert "| the intervals | with care |" in rows
    grouped = replace(predictions, groups=tuple(f"group {n // 2}" for n in range(60)))
    assert "| the intervals |" not in summary_of(tmp_path, grouped)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weights from /srv/models/vit.safetensors, frozen", "weights from vit.safetensors, frozen"),
        ("~/models/vit.pth", "vit.pth"),
        ("C:\\data\\vit.pth", "vit.pth"),
        ("accuracy 3/4 and 1/2", "accuracy 3/4 and 1/2"),
        ("timm/vit/base", "timm/vit/base"),
    ],
)
def test_absolute_paths_are_shortened(text, expected):
    assert shortened({"model": text})["model"] == expected


def test_galleries_share_no_row_and_the_album_is_limited(make):
    predictions = make("abcd", num_samples=2000)
    mistakes_M = surest_mistakes(predictions)
    chosen = choose_rows(predictions, mistakes_M)
    assert len(set(chosen.rows)) == len(chosen.rows)
    assert chosen.mistakes == tuple(mistakes_M[:24].tolist())
    confidence_N, right_N = predictions.confidence_N, predictions.is_right_N
    assert confidence_N[list(chosen.unsure)].max() <= np.sort(confidence_N[right_N])[len(chosen.unsure)]
    assert all(name.count(" taken for ") == 1 for name, _ in chosen.pairs)
    album = take_album(predictions, chosen.rows, lambda row: (Picture(b"x"), Picture(b"y")), num=0)
    assert 2 * len(album) == MOST_PICTURES
    assert list(album)[: len(chosen.rows)] == list(chosen.rows)
    cells = {(predictions.truth[row], predictions.answers[row]) for row in album}
    assert cells == set(zip(predictions.truth.tolist(), predictions.answers.tolist(), strict=True))


def test_galleries_of_samples_without_pictures_get_them(make, tmp_path):
    def items(predictions):
        return tuple(replace(item, note=f"note {row}") for row, item in items_of(predictions, (3, 7), {}).items())

    predictions = make(num_samples=60)
    section = Section("Strange", (Gallery(items(predictions)),))
    extras = Extras(thumbnails=lambda row: (Picture(b"RIFF    WEBP" + bytes([row])),))
    summary = summary_of(tmp_path, predictions, more=[section], extras=extras)
    part = (tmp_path / "report.html").read_text().split('<section id="strange">')[1].split("</section>")[0]
    encoded = [base64.b64encode(b"RIFF    WEBP" + bytes([row])).decode() for row in (3, 7)]
    assert re.findall(r"data:image/webp;base64,([^\"]+)", part) == encoded
    assert re.findall(r"note \d", part) == re.findall(r"note \d", summary) == ["note 3", "note 7"]


def test_risk_is_the_share_of_wrong_answers_among_the_surest(make):
    predictions = make(num_samples=50)
    risk = risk_of(predictions)
    confidence_N = predictions.confidence_N
    surest = np.argsort(-confidence_N, kind="stable")[:20]
    assert risk.risk_M[19] == pytest.approx((~predictions.is_right_N[surest]).mean())
    assert risk.risk_M[-1] == pytest.approx((~predictions.is_right_N).mean())


def test_sections_stand_in_one_order_whoever_hands_them_in(make, tmp_path):
    more = [
        Section(topic, (Text("a"),), topic=topic) for topic in ("suspects", "slices", "something else", "acceptance")
    ]
    summary = summary_of(tmp_path, make(), more=more)
    titles = [line.removeprefix("## ") for line in summary.splitlines() if line.startswith("## ")]
    wanted = [
        "What to trust, and what not",
        "Surest mistakes",
        "Result",
        "acceptance",
        "Which answers to accept",
        "Classes",
    ]
    wanted += [
        "Confusion",
        "Calibration",
        "slices",
        "suspects",
        "something else",
        "Run",
        "How to reproduce",
        "Model card",
    ]
    assert [title for title in titles if title in wanted] == wanted


def test_decisions_mark_the_items(make, tmp_path):
    facet = Facet("decision", ("accept", "review"), np.ones(60, np.int64))
    summary = summary_of(tmp_path, make(), extras=Extras(facets=(facet,)))
    mistakes = summary.split("## Surest mistakes")[1].split("## ")[0]
    assert all(line.endswith("; review") for line in mistakes.splitlines() if line.startswith("- "))


def test_label_sets_have_galleries_and_a_filter(make, tmp_path):
    one = make(num_samples=60)
    truth_NK = np.eye(3, dtype=np.bool_)[one.truth]
    predictions = replace(one, truth=truth_NK, kind=LabelSet((0.5, 0.5, 0.5)))
    summary = summary_of(tmp_path, predictions)
    assert "get exactly their classes" in summary
    assert "## Samples with the surest mistakes" in summary
    assert 'id="predictions"' in (tmp_path / "report.html").read_text()
    assert "| accepted | score at least |" in summary


@pytest.mark.parametrize("facts", [{}, {"folds": "3"}, {"members": "a, b"}], ids=["run", "folds", "ensemble"])
def test_what_is_missing_is_said_with_its_reason(make, tmp_path, facts):
    one = make(num_samples=60)
    sets = replace(one, truth=np.eye(3, dtype=np.bool_)[one.truth], kind=LabelSet((0.5, 0.5, 0.5)))
    for predictions in (one, sets):
        summary = summary_of(tmp_path, predictions, facts=facts)
        missing = summary.split("## Not in this report")[1].split("\n## ")[0]
        assert ("| confusion matrix | it needs one label" in missing) == predictions.kind.is_set
        assert "| comparison of views | the samples have one view |" in missing
        curves = {"folds": "each fold has its own", "members": "each member has its own"}
        assert f"| training curves | {curves.get(next(iter(facts), ''), 'nothing is known')}" in missing
        place = {"folds": "In the folder of each fold", "members": "In the folder of each member"}
        how = summary.split("## How to reproduce")[1] if "## How to reproduce" in summary else ""
        assert not how or place.get(next(iter(facts), ""), "In the run's folder") in how


def test_label_sets_are_numbered_and_views_that_differ_are_a_facet(make):
    one = make(num_samples=60)
    generator = np.random.default_rng(0)
    truth_NK = generator.random((60, 3)) < 0.4
    alone = {view: generator.random((60, 3)).astype(np.float32) for view in ("front", "back")}
    alone["back"][:5] = np.nan
    predictions = replace(one, truth=truth_NK, kind=LabelSet((0.5,) * 3), view_probabilities=alone)
    linked = linked_of(predictions, {}, (), ())
    for codes_N, sets_NK in ((linked.truth_N, truth_NK), (linked.answers_N, predictions.answers)):
        names = [set(linked.sets[code]) for code in codes_N.tolist()]
        assert names == [set(np.flatnonzero(row).tolist()) for row in sets_NK]
    (facet,) = linked.facets
    is_other_N = (predictions.view_answers("front") != predictions.view_answers("back")).any(axis=1)
    assert facet.codes_N.tolist() == [2] * 5 + is_other_N[5:].astype(int).tolist()


def acceptance_topic(**values):
    accepted = {"value": 0.0, "low": 0.0, "high": 0.24, "reason": ""}
    return Topic(Section("Accept", (Text("a"),)), "acceptance", {"accepted": accepted, **values})


def test_where_the_rule_accepts_nothing_all_are_left_to_a_person_without_interval(make, tmp_path):
    why = "with 18 samples on val no error below 15.3 % can be promised"
    topic = acceptance_topic(threshold=None, why_none=why)
    head = summary_of(tmp_path, make(), more=[topic]).split("## ")[0]
    assert f"All are left to a person, because {why}." in head
    assert "- **left to a person all** (no interval: the rule accepts no answer)" in head
    assert "76" not in head


@pytest.mark.parametrize(
    ("num_review", "num_reject", "words"),
    [
        (0, 3, "not accepted unseen: their pictures are unlike the training pictures."),
        (4, 0, "not accepted unseen: they are not sure enough."),
        (4, 3, "unseen: 4 here are not sure enough, 3 are of pictures unlike the training pictures."),
        (4, 1, "unseen: 4 here are not sure enough, 1 is of a picture unlike the training pictures."),
    ],
)
def test_the_card_says_why_answers_are_set_aside(make, tmp_path, num_review, num_reject, words):
    groups = {"accept": {"count": 1}, "review": {"count": num_review}, "reject": {"count": num_reject}}
    head = summary_of(tmp_path, make(), more=[acceptance_topic(decisions=groups)]).split("## ")[0]
    assert words in head


def test_the_opening_says_how_many_accepted_answers_are_wrong(make, tmp_path):
    groups = {"accept": {"count": 76, "error": {"value": 0.061, "low": 0.03, "high": 0.121, "reason": ""}}}
    head = summary_of(tmp_path, make(), more=[acceptance_topic(decisions=groups)]).split("## ")[0]
    assert (
        " are set aside for a person (76 to 100); of 100 answers that are accepted, about 6 are wrong (3 to 12)."
        in head
    )


def test_few_samples_have_a_sentence_instead_of_the_curve(make, tmp_path):
    summary = summary_of(tmp_path, make(num_samples=12))
    assert (
        "## Which answers to accept\n\nThe curve of accepted answers needs 20 labelled samples; here it has 12.\n"
        in (summary)
    )


def test_probabilities_that_lie_close_together_are_told_apart():
    assert _probabilities([0.00312, 0.00308, 0.003]) == ["0.00312", "0.00308", "0.00300"]
    assert _probabilities([0.9, 0.9]) == ["0.900", "0.900"]


@pytest.mark.parametrize(("high", "reliable"), [(0.08, "yes"), (0.22, "with care"), (None, "with care")])
def test_trust_in_probabilities_follows_their_measured_error(high, reliable):
    error = Estimate(0.05, None if high is None else 0.02, high, "" if high else "one group")
    judged = Judged({"calibration_error": error}, Seen(), {}, np.array([], int), np.full(3, 20))
    rows = trust_section(judged, (), has_groups=True, num_sure_mistakes=1).blocks[1].rows
    (row,) = (row for row in rows if row[0] == "the probabilities")
    assert row[1] == reliable
    assert "off by 5.0 % on average (" in row[2]
    assert "1 answer contradicts its label" in next(row[2] for row in rows if row[0] == "the labels")


def test_calibration_that_helps_and_is_not_enough_is_not_praised():
    def errors(value):
        return {"calibration_error": Estimate(value, value, value)}

    assert "four in five" in _effect(errors(0.05), errors(0.3))
    assert "still off by 17.0 % on average" in _effect(errors(0.17), errors(0.3))
