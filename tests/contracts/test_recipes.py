"""Every shipped recipe says what it is for, and loads."""

import pytest

from obverse.recipe import load_recipe, shipped_recipes

HEADER = ("Goal", "Data", "Hardware", "Command", "Expected")
EXPECTED_RECIPES = {"auto", "coins-two-view", "coins-rectangular", "finetune", "long-tail-scratch", "cifar10-finetune"}


def test_the_promised_recipes_are_shipped():
    assert set(shipped_recipes()) >= EXPECTED_RECIPES


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_header_and_content(name):
    text = shipped_recipes()[name]
    keys = [line.removeprefix("# ").partition(": ") for line in text.splitlines() if line.startswith("# ")]
    found = {key: value for key, colon, value in keys if colon and key in HEADER}
    assert tuple(found) == HEADER
    assert all(value.strip() for value in found.values())
    assert found["Command"].startswith("obverse ")
    assert load_recipe(name).name == name
