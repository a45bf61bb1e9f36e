"""`data.largest_classes`: the classes with most training samples, and the run that this gives can be repeated."""

import pytest

from obverse.errors import DataError
from obverse.experiment.auto.resolve import resolve
from obverse.manifest import build_index
from obverse.recipe import DataSpec

SIZES = {"ant": 6, "bee": 15, "cat": 12, "dog": 20, "eel": 8}


@pytest.fixture
def data(draw_picture, tmp_path):
    for k, (name, size) in enumerate(SIZES.items()):
        for number in range(size):
            draw_picture(tmp_path / "data" / name / f"{number}.png", seed=100 * k + number)
    return tmp_path / "data"


def test_the_largest_are_kept(data):
    index = build_index(data, DataSpec(largest_classes=2))
    assert index.manifest.classes == ("bee", "dog")
    assert index.dropped == ("cat", "eel", "ant")
    (told,) = [found.message for found in index.findings if found.code == "excluded-class"]
    assert "3 smaller classes left out" in told
    assert "cat (" in told
    assert len(index.manifest.samples) == SIZES["bee"] + SIZES["dog"]


def test_training_samples_decide_not_all_samples(draw_picture, tmp_path):
    """A class that is large in test only is small; of equals the first by name stays."""
    for split, name, size in (
        ("train", "a", 9),
        ("train", "b", 8),
        ("train", "d", 8),
        ("train", "c", 4),
        ("test", "c", 30),
    ):
        for number in range(size):
            draw_picture(tmp_path / split / name / f"{number}.png", seed=hash_of(split, name, number))
    draw_picture(tmp_path / "test" / "a" / "0.png", seed=9001)
    draw_picture(tmp_path / "test" / "b" / "0.png", seed=9002)
    draw_picture(tmp_path / "test" / "d" / "0.png", seed=9003)
    assert build_index(tmp_path, DataSpec(largest_classes=2)).manifest.classes == ("a", "b")


def hash_of(split, name, number):
    return 1000 * (split == "test") + 100 * ord(name) + number


def test_the_resolved_recipe_gives_the_same_samples_and_split(data, make_recipe):
    recipe = make_recipe(data={"largest_classes": 3})
    index = build_index(data, recipe.data)
    resolved = resolve(recipe, index).recipe
    assert resolved.data.largest_classes is None
    assert resolved.data.exclude_classes == index.dropped
    again = build_index(data, resolved.data)
    assert again.manifest == index.manifest


def test_ordered_classes_stay_in_order(data, make_recipe):
    recipe = make_recipe(data={"largest_classes": 3, "order": ["dog", "eel", "cat", "bee", "ant"]})
    index = build_index(data, recipe.data)
    assert index.manifest.classes == ("dog", "cat", "bee")
    assert build_index(data, resolve(recipe, index).recipe.data).manifest == index.manifest


def test_more_than_there_are(data):
    with pytest.raises(DataError, match="largest_classes is 6, and the data has 5"):
        build_index(data, DataSpec(largest_classes=6))
