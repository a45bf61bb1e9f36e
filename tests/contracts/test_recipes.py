"""Every shipped recipe says what it is for, and loads."""

import re
from pathlib import Path

import pytest

from obverse.recipe import ALIASES, load_recipe, shipped_recipes

HEADER = ("Goal", "Data", "Hardware", "Command", "Expected")
EXPECTED_RECIPES = {
    "auto",
    "cifar10-cct",
    "cifar10-finetune",
    "coins-rectangular",
    "coins-resnet50",
    "coins-two-view",
    "finetune",
    "long-tail-scratch",
}
MODELS = Path(__file__).parents[2] / "docs" / "reference" / "models.md"


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


def test_the_variants_of_the_document_load_and_what_is_compared_is_alike():
    lines = [line for line in shipped_recipes()["coins-rectangular"].splitlines() if line.startswith("#  ")]
    settings = [re.findall(r"[a-z_]+\.[\w.]+=(?:\{[^}]*\}|\[[^\]]*\]|[\w.-]+)", line) for line in lines]
    assert all(settings)
    recipes = [load_recipe("coins-rectangular", changes) for changes in settings]
    assert [recipe for recipe in recipes if recipe.training.micro_batch_size == 4 < recipe.training.batch_size]
    one, other = load_recipe("coins-rectangular"), load_recipe("coins-resnet50")
    assert (one.data, one.augment) == (other.data, other.augment)


def test_short_names_are_documented_as_they_are():
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \|", MODELS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert dict(rows) == ALIASES
