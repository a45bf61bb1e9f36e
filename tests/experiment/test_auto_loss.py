"""Which loss `auto` chooses, and that it says why."""

import re

import pytest

from obverse.errors import RecipeError
from obverse.experiment.auto import resolve
from obverse.recipe import load_recipe

from .auto_facts import UNREACHABLE, index_of, resolved, set_hub


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    set_hub(monkeypatch, UNREACHABLE)


def loss_of(index, **loss):
    found = resolved(index, loss={"label_smoothing": "auto", **loss})
    return found.recipe.loss, [line for line in found.reasons if line.startswith("loss:")]


def test_plain_classes_get_cross_entropy_without_a_word():
    loss, lines = loss_of(index_of())
    assert (loss.kind, loss.label_smoothing, loss.decode, lines) == ("cross-entropy", 0.1, "mode", [])


def test_uneven_classes_get_logit_adjustment_and_are_told_why():
    loss, (line,) = loss_of(index_of(counts=(8, 400)))
    assert (loss.kind, loss.prior, loss.label_smoothing) == ("logit-adjustment", "tuned", 0.1)
    assert "50 times" in line
    advised = re.findall(r"loss\.\w+=[\w-]+", line)
    recipe = load_recipe("auto", [*advised, "runtime.device=cpu"])
    loss = resolve(recipe, index_of(counts=(8, 400))).recipe.loss
    assert (loss.kind, loss.prior, loss.label_smoothing) == ("logit-adjustment", "balanced", 0.1)


def test_a_teacher_s_correction_is_not_made_again():
    distill = {"teacher": "nowhere", "digest": "0" * 64}
    found = resolved(index_of(counts=(8, 400)), distill=distill)
    assert found.recipe.loss.kind == "cross-entropy"
    assert any("although the classes are uneven" in line for line in found.reasons)
    for kind in ("logit-adjustment", "balanced-softmax"):
        with pytest.raises(RecipeError, match=f"distill does not go with loss.kind: {kind}"):
            resolved(distill=distill, loss={"kind": kind, "prior": "train"})


@pytest.mark.parametrize("counts", [(20, 20), (8, 400)])
def test_ordered_classes_get_an_ordinal_loss_and_are_told_why(counts):
    loss, (line,) = loss_of(index_of(ordered=True, counts=counts))
    assert (loss.kind, loss.label_smoothing) == ("sord", 0)
    assert "because the classes are ordered" in line


@pytest.mark.parametrize("remedy", [{"loss": {"class_weights": "sqrt"}}, {"training": {"sampler": "balanced"}}])
def test_one_remedy_for_imbalance_is_enough(remedy):
    assert resolved(index_of(counts=(8, 400)), **remedy).recipe.loss.kind == "cross-entropy"


def test_smoothing_that_the_chosen_loss_cannot_use_is_refused():
    with pytest.raises(RecipeError, match="label_smoothing has no place in sord"):
        resolved(index_of(ordered=True), loss={"label_smoothing": 0.2})
