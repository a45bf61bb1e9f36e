"""Columns beside the pictures and a grade per side, on the command line."""

from __future__ import annotations

import json

import numpy as np

from obverse.cli.printing.predictions import print_block
from obverse.decisions import OneClass
from obverse.engines import Outputs
from obverse.inference.prediction import read_predictions


def test_predict_takes_columns_and_prints_a_grade_per_side(obverse, graded_run, coins):
    sides = {view: next(coins.glob(f"*/{view}/*")) for view in ("obverse", "reverse")}
    command = ["predict", graded_run, *(part for view, path in sides.items() for part in ("--view", f"{view}={path}"))]
    given = obverse(*command, "--column", "year=1905", "--format", "json")
    assert given.code == 0, given.err
    (with_year,), (without,) = json.loads(given.out), json.loads(obverse(*command, "--format", "json").out)
    assert with_year["probability"] != without["probability"]
    assert with_year["view_grades"] == without["view_grades"]
    grades = {view: grade["label"] for view, grade in with_year["view_grades"].items()}
    assert with_year["views_disagree"] == (len(set(grades.values())) > 1)
    shown = obverse(*command).out
    for view, grade in grades.items():
        assert f"{view} by its own head: {grade}" in shown
    assert ("the views disagree" in shown) == with_year["views_disagree"]


def test_a_missing_view_is_named(obverse, graded_run, coins):
    side = f"obverse={next(coins.glob('*/obverse/*'))}"
    shown = obverse("predict", graded_run, "--view", side).out
    assert "  reverse is missing: the answer is from the other views\n" in shown
    assert "obverse is missing" not in shown


def test_an_answer_that_is_not_the_most_probable_class_says_so(capsys):
    logits_NK = np.log(np.array([[0.4, 0.25, 0.35]], np.float32))
    outputs = Outputs(("coin",), np.array([-1]), logits_NK, np.zeros((1, 0), np.float32), ())
    for decode, line in (("median", "  answer XF40 is the median; the most probable is AU50\n"), ("mode", "")):
        (prediction,) = read_predictions(
            outputs, OneClass(decode, True), classes=("AU50", "XF40", "VF20"), views=("picture",), top_k=1
        )
        print_block(prediction, decode=decode)
        out = capsys.readouterr().out
        assert out.endswith(line)
        assert ("most probable" in out) == (decode == "median")


def test_columns_that_cannot_be_are_refused(refused, graded_run, shapes, shapes_run, coins):
    side = f"obverse={next(coins.glob('*/obverse/*'))}"
    refused(65, "no `yaer` (did you mean `year`?)", "predict", graded_run, "--view", side, "--column", "yaer=1")
    refused(65, "`year` is 'old', which is no number", "predict", graded_run, "--view", side, "--column", "year=old")
    refused(2, "write it as NAME=VALUE", "predict", graded_run, "--view", side, "--column", "year")
    picture = shapes / "sample.jpg"
    refused(65, "the model sees no extra columns", "predict", shapes_run, picture, "--column", "year=1")
