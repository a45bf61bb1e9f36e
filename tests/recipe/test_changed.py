"""`changed`: a copy of a recipe with other values, validated as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from obverse.errors import RecipeError
from obverse.recipe import ConvNetBackbone, Recipe, SplitSpec, load_recipe


def test_fields_at_any_depth_are_changed_together_and_the_original_stays() -> None:
    recipe = Recipe()
    changed = recipe.changed({"name": "x", "training.epochs": 5, "training.seed": 3, "data.split.seed": 4})
    assert (changed.name, changed.training.epochs, changed.training.seed, changed.data.split.seed) == ("x", 5, 3, 4)
    assert recipe == Recipe()


def test_a_section_is_replaced_as_a_whole() -> None:
    assert Recipe().changed({"model.backbone": ConvNetBackbone()}).model.backbone == ConvNetBackbone()


def test_a_changed_recipe_is_the_one_that_settings_make() -> None:
    changed = load_recipe("auto").changed({"optim.lr": 1, "data.largest_classes": 3})
    assert changed == load_recipe("auto", ["optim.lr=1", "data.largest_classes=3"])
    assert isinstance(changed.optim.lr, float)


def test_what_was_not_set_is_still_not_set() -> None:
    """Folds take what the recipe says of its split, and not what it leaves out."""
    assert SplitSpec().changed({"seed": 1}).model_fields_set == {"seed"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.epochs": True}, "`epochs`"),
        ({"training.epoch": 3}, "`epoch`: unknown key (did you mean `epochs`?)"),
        ({"training.sampler": "sqrt", "loss.class_weights": "sqrt"}, "both correct imbalance"),
        ({"mixing.mixup": 0.2, "training.batch_size": 3}, "must be even, not 3"),
    ],
)
def test_values_that_a_recipe_may_not_have_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        Recipe().changed(changes)
    assert message in str(refused.value)
