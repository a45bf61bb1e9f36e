"""A recipe is small and its numbers are of this world: whatever else comes is one sentence, at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obverse.errors import RecipeError
from obverse.recipe import load_recipe, load_sweep, save_recipe
from obverse.recipe.criteria import load_criteria
from obverse.recipe.yaml_text import MAX_BYTES, MAX_VALUES, parse_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("runtime.num_workers", 100_000),
        ("runtime.num_workers", 257),
        ("runtime.num_threads", 10**9),
        ("runtime.num_threads", 1025),
        ("training.seed", "9" * 20),
        ("training.seed", 2**63),
        ("training.epochs", 10**20),
        ("training.epochs", 1_000_001),
        ("training.batch_size", 10**9),
        ("training.micro_batch_size", 10**9),
        ("training.minutes", 1e300),
        ("training.early_stopping.patience", 10**9),
        ("optim.weight_decay", 1e300),
        ("schedule.warmup_epochs", 1e300),
        ("schedule.drop_at", [0.1] * 101),
        ("evaluation.batch_size", 10**9),
        ("evaluation.maps", 10**9),
        ("data.size", 32_769),
        ("data.size.width", 10**9),
        ("data.largest_classes", 10**9),
        ("data.cache.memory_gigabytes", 1e300),
        ("data.cache.disk_gigabytes", 1e300),
        ("data.split.seed", 10**20),
        ("data.split.folds", 10**9),
        ("augment.max_stretch", 1e300),
        ("finetune.lora.rank", 10**9),
        ("finetune.head_first.strength", 1e300),
        ("finetune.freeze_stages", 10**9),
        ("loss.gamma", 1e300),
    ],
)
def test_absurd_numbers_are_refused(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"`{field}.*`: .*(less than|at most|valid integer)") as refused:
        load_recipe("auto", [f"{field}={value}"])
    assert len(str(refused.value)) < 400


def test_a_number_of_5000_digits_is_refused() -> None:
    with pytest.raises(RecipeError):
        load_recipe("auto", ["training.seed=" + "9" * 5000])


@pytest.mark.parametrize(
    "setting",
    [
        "runtime.num_workers=256",
        "runtime.num_threads=1024",
        f"training.seed={2**63 - 1}",
        "training.epochs=1000000",
        "data.size=32768",
    ],
)
def test_the_largest_numbers_are_taken(setting: str, tmp_path: Path) -> None:
    recipe = load_recipe("auto", [setting])
    save_recipe(recipe, tmp_path / "recipe.yaml")
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a {b: 1}\nc: [" + "*a, " * MAX_VALUES + "]",
        "\n".join(f"key{n}: {n}" for n in range(200_000)),
    ],
    ids=["billion laughs", "many aliases", "200,000 keys"],
)
def test_too_many_values_are_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"more than 200,000 values, repeated ones included"):
        load_recipe(str(tmp_path / "recipe.yaml"))


def test_an_alias_as_people_use_it_is_read() -> None:
    assert parse_yaml("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]", "here")["d"] == [{"b": [1, 2]}] * 2


def test_many_unknown_keys_are_few_words() -> None:
    text = "{" + ", ".join(f"key{n}: 1" for n in range(2000)) + "}"
    with pytest.raises(RecipeError) as refused:
        load_recipe("auto", [f"optim={text}"])
    assert "`optim.key0`: unknown key" in str(refused.value)
    assert str(refused.value).endswith("more places")
    assert len(str(refused.value)) < 1000


def test_a_key_of_a_megabyte_is_not_repeated_in_the_sentence() -> None:
    for text, words in ((f"{{{'k' * 10**6}: 1}}", "not valid YAML"), (f"{{? {'k' * 10**6} : 1}}", "unknown key")):
        with pytest.raises(RecipeError, match=words) as refused:
            load_recipe("auto", [f"optim={text}"])
        assert len(str(refused.value)) < 400


@pytest.mark.parametrize("load", [load_recipe, load_sweep, load_criteria])
def test_what_is_no_small_ordinary_file_is_not_read(load, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(30 * 2**30)
    for name, words in (("pipe", "it is a pipe"), ("sparse", f"more than the limit of {MAX_BYTES:,}")):
        path = tmp_path / name
        with pytest.raises(RecipeError, match=words):
            load(str(path) if load is load_recipe else path)


def test_a_name_that_cannot_be_a_file_is_no_recipe() -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(RecipeError, match="no recipe"):
            load_recipe(name)


def test_a_sweep_of_a_billion_conditions_is_refused(tmp_path: Path) -> None:
    grid = "\n".join(f"  optim.field{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for n in range(9))
    (tmp_path / "sweep.yaml").write_text(f"grid:\n{grid}\n")
    with pytest.raises(RecipeError, match=r"1,000,000,000 conditions, more than 1,000"):
        load_sweep(tmp_path / "sweep.yaml")
