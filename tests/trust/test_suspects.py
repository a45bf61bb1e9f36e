"""Labels that are known to be wrong rank first; groups, order and label sets are respected."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from obverse.trust.suspects import Evidence, joined_neighbours, nearest, rank
from obverse.trust.suspects.confident import confident_joint, estimated_errors
from obverse.trust.suspects.page import suspects_page
from obverse.trust.suspects.table import write_table


def simulated(*, num=600, classes=5, seed=0, ordered=False):
    """Features around class centres, probabilities by the distance to them, and the true classes."""
    rng = np.random.default_rng(seed)
    centres_KD = np.arange(classes)[:, None] * np.array([[1.5, 0.5]]) if ordered else 3 * rng.normal(size=(classes, 6))
    truth_N = rng.integers(classes, size=num)
    features_ND = (centres_KD[truth_N] + rng.normal(size=(num, centres_KD.shape[1]))).astype(np.float32)
    cost_NK = ((features_ND[:, None] - centres_KD) ** 2).sum(2) / 2
    p_NK = np.exp(cost_NK.min(1, keepdims=True) - cost_NK)
    return features_ND, p_NK / p_NK.sum(1, keepdims=True), truth_N


def evidence_of(p_NK, given_N, features_ND=None, *, ordered=False, groups=None):
    num, classes = p_NK.shape
    return Evidence(
        ids=tuple(f"s{n}" for n in range(num)),
        classes=tuple(f"c{k}" for k in range(classes)),
        given_NK=np.eye(classes, dtype=bool)[given_N],
        probabilities_NK=p_NK,
        judges=("the model",) * num,
        neighbours=None if features_ND is None else nearest(features_ND, groups or [None] * num),
        ordered=ordered,
    )


def flipped(truth_N, classes, seed=1):
    rng = np.random.default_rng(seed)
    places = rng.choice(len(truth_N), len(truth_N) // 10, replace=False)
    given_N = truth_N.copy()
    given_N[places] = (truth_N[places] + rng.integers(1, classes, size=len(places))) % classes
    return given_N, given_N != truth_N


def precision(ranking, is_wrong_N):
    return float(is_wrong_N[ranking.order_N[: is_wrong_N.sum()]].mean())


def test_flipped_labels_rank_first_and_the_right_label_is_suggested():
    features_ND, p_NK, truth_N = simulated()
    given_N, is_wrong_N = flipped(truth_N, 5)
    ranking = rank(evidence_of(p_NK, given_N, features_ND))
    assert precision(ranking, is_wrong_N) > 0.9
    found = [suspect for suspect in ranking.suspects if is_wrong_N[suspect.place]]
    right = [suspect.suggested == (f"c{truth_N[suspect.place]}",) for suspect in found]
    assert np.mean(right) > 0.9
    assert 45 < ranking.num_errors < 90
    assert len(ranking.suspects) <= round(2 * ranking.num_errors)
    assert [s.score for s in ranking.suspects] == sorted((s.score for s in ranking.suspects), reverse=True)


def test_neighbours_help_where_the_model_is_poor():
    features_ND, p_NK, truth_N = simulated()
    given_N, is_wrong_N = flipped(truth_N, 5)
    noise = np.random.default_rng(2).dirichlet(np.ones(5), size=len(p_NK))
    poor = evidence_of(0.3 * p_NK + 0.7 * noise, given_N, features_ND)
    assert precision(rank(poor), is_wrong_N) > precision(rank(replace(poor, neighbours=None)), is_wrong_N)


def test_clean_labels_are_no_suspects():
    p_NK = np.full((30, 3), 0.05)
    given_N = np.arange(30) % 3
    p_NK[np.arange(30), given_N] = 0.9
    ranking = rank(evidence_of(p_NK, given_N))
    assert (ranking.suspects, ranking.num_errors) == ((), 0.0)


def test_two_grades_off_is_worse_than_one():
    p_NK = np.array([[0.1, 0.8, 0.1, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0, 0.0]])
    ranking = rank(evidence_of(p_NK, np.array([2, 3, 4]), ordered=True))
    assert ranking.order_N.tolist() == [2, 1, 0]
    assert [suspect.suggested for suspect in ranking.suspects] == [("c1",)] * 3
    two_ends = np.array([[0.4, 0.0, 0.25, 0.0, 0.35]])
    assert rank(evidence_of(two_ends, np.array([4]), ordered=True)).suspects[0].suggested == ("c2",)


def test_ordinal_noise_of_several_steps_is_found():
    features_ND, p_NK, truth_N = simulated(num=800, classes=8, ordered=True)
    rng = np.random.default_rng(3)
    places = rng.choice(800, 80, replace=False)
    given_N = truth_N.copy()
    given_N[places] = np.where(truth_N[places] >= 4, truth_N[places] - 3, truth_N[places] + 3)
    ranking = rank(evidence_of(p_NK, given_N, features_ND, ordered=True))
    assert precision(ranking, given_N != truth_N) > 0.9
    assert ", median c" in ranking.suspects[0].why


def test_samples_of_one_group_do_not_vote_for_each_other():
    features_ND, p_NK, truth_N = simulated(num=60, classes=3)
    copies = np.concatenate([features_ND, features_ND, features_ND])
    groups = [f"g{n}" for n in range(60)] * 3
    near = nearest(copies, groups)
    assert not (near.places_NT % 60 == (np.arange(180) % 60)[:, None]).any()
    assert (nearest(copies, [None] * 180).places_NT[:, :2] % 60 == (np.arange(180) % 60)[:, None]).all()
    alone = nearest(features_ND[:4], ["g"] * 4)
    assert (alone.places_NT == -1).all()
    assert np.isnan(alone.shares(np.eye(3, dtype=bool)[truth_N[:4]])).all()
    lonely = replace(evidence_of(p_NK[:4], truth_N[:4]), neighbours=alone)
    np.testing.assert_array_equal(rank(lonely).scores_N, rank(replace(lonely, neighbours=None)).scores_N)


def test_neighbours_of_several_spaces_stay_in_their_own():
    features_ND, *_ = simulated(num=20)
    left, right = list(range(0, 20, 2)), list(range(1, 20, 2))
    parts = [(rows, nearest(features_ND[rows], [None] * 10, num=3)) for rows in (left, right)]
    places_NT = joined_neighbours(parts, 21).places_NT
    assert (places_NT[left] % 2 == 0).all()
    assert (places_NT[right] % 2 == 1).all()
    assert (places_NT[20] == -1).all()


def test_label_sets_are_judged_label_by_label():
    given_NK = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=bool)
    p_NK = np.array([[0.9, 0.1, 0.8], [0.05, 0.9, 0.1], [0.2, 0.3, 0.1]])
    evidence = Evidence(
        ids=("a", "b", "c"), classes=("red", "round", "old"), given_NK=given_NK, probabilities_NK=p_NK,
        judges=("the model",) * 3, is_set=True,
    )  # fmt: skip
    ranking = rank(evidence)
    (suspect,) = ranking.suspects
    assert (suspect.place, suspect.given, suspect.suggested) == (1, ("red",), ("round",))
    assert suspect.score == pytest.approx(0.95)
    assert suspect.why == "the model: round 90 %, red 5 %"


def test_flipped_labels_of_sets_are_found():
    rng = np.random.default_rng(0)
    truth_NK = rng.random((500, 4)) < 0.4
    p_NK = np.clip(np.where(truth_NK, 0.85, 0.15) + rng.normal(0, 0.1, (500, 4)), 0.01, 0.99)
    given_NK = truth_NK.copy()
    places = rng.choice(500, 50, replace=False)
    given_NK[places, rng.integers(4, size=50)] ^= True
    evidence = Evidence(
        ids=tuple(map(str, range(500))), classes=tuple("wxyz"), given_NK=given_NK, probabilities_NK=p_NK,
        judges=("m",) * 500, is_set=True,
    )  # fmt: skip
    assert precision(rank(evidence), (given_NK != truth_NK).any(1)) > 0.9
    assert 40 < estimated_errors(p_NK, given_NK, is_set=True) < 80


def test_the_confident_joint_as_in_the_paper():
    """Thresholds are the mean self-confidence: .7 for class 0 and .6 for class 1."""
    p_N2 = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.7, 0.3], [0.65, 0.35]])
    given_N = np.array([0, 0, 0, 1, 1, 1])
    thresholds = p_N2[given_N == 0, 0].mean(), p_N2[given_N == 1, 1].mean()
    assert thresholds == pytest.approx((0.7, 0.5167), abs=1e-3)
    assert confident_joint(p_N2, given_N).tolist() == [[2, 1], [1, 1]]
    assert estimated_errors(p_N2, np.eye(2, dtype=bool)[given_N], is_set=False) == pytest.approx(1 + 1.5)


def test_the_page_escapes_names_and_the_table_keeps_them(tmp_path):
    from obverse.manifest import Samples
    from obverse.report import to_html

    names = ["<script>alert(1)</script>", '=cmd|" /C calc"!A0', "a,b\nc"]
    evidence = Evidence(
        ids=tuple(names), classes=("<b>x</b>", "y"), given_NK=np.array([[1, 0]] * 3, dtype=bool),
        probabilities_NK=np.array([[0.1, 0.9]] * 3), judges=("m",) * 3,
    )  # fmt: skip
    ranking = rank(evidence)
    page = to_html(suspects_page(ranking, "<i>data</i>", used=("<u>",), thumbnails=lambda row: ()))
    assert not any(mark in page for mark in ("<script>alert", "<b>x", "<i>data", "<u>"))
    write_table(
        ranking, Samples.from_columns(names, ["<b>x</b>"] * 3, {"image": names}), ("image",), tmp_path / "s.csv"
    )
    with (tmp_path / "s.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == set(names)
    assert {(row["label"], row["new_label"], row["action"]) for row in rows} == {("<b>x</b>", "y", "keep")}
