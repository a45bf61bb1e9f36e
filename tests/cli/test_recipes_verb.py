"""`obverse recipes`."""

import json
import re

from obverse.recipe import describe_fields, load_recipe, shipped_recipes


def test_the_list_names_every_recipe_with_its_goal(obverse):
    result = obverse("recipes")
    assert result.code == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines()] == list(shipped_recipes())
    assert "Goal:" not in result.out
    assert "a sensible classifier" in result.out


def test_a_shown_recipe_is_its_file_and_can_be_trained_with(obverse, tmp_path):
    result = obverse("recipes", "finetune")
    assert result.out == shipped_recipes()["finetune"]
    (tmp_path / "mine.yaml").write_text(result.out, encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.yaml")) == load_recipe("finetune")


def test_the_schema_is_for_editors(obverse):
    schema = json.loads(obverse("recipes", "--schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"extends", "data", "model", "training"} <= set(schema["properties"])


def test_a_section_is_described_field_by_field(obverse):
    result = obverse("recipes", "--fields", "optim")
    assert result.out.startswith("## `optim`\n")
    assert "- **`optim.lr`** (`auto` or number above 0, default `auto`): Peak learning rate." in result.out
    assert "schedule" not in result.out


def test_a_field_and_the_sections_below_one_are_described(obverse):
    assert obverse("recipes", "--fields", "training.seed").out.startswith("- **`training.seed`** (whole number from 0")
    assert "## `data.split.group_by`" in obverse("recipes", "--fields", "data.split").out
    assert obverse("recipes", "--fields", "criteria.name").out.startswith("- **`criteria.name`**")


def test_whatever_is_listed_can_be_asked_for_and_means_one_thing():
    text = describe_fields()
    headings, fields = re.findall(r"^## `([\w.]+)`", text, re.M), re.findall(r"^- \*\*`([\w.]+)`", text, re.M)
    assert "sweep.search.space" in headings
    assert "sweep.search.trials" in fields
    for name in dict.fromkeys([*headings, *fields]):
        first = describe_fields(name).splitlines()[0]
        assert first.startswith((f"## `{name}`", f"- **`{name}`**", "## The file of criteria")), name


def test_defaults_that_are_mappings_are_shown():
    assert "default `{kind: auto}`" in describe_fields("model.fusion").splitlines()[0] + describe_fields("model")
    assert "default `{}`" in describe_fields("data.columns")


def test_an_unknown_field_is_an_error_with_a_proposal(obverse):
    result = obverse("recipes", "--fields", "optim.lrr")
    assert result.code == 2
    assert "did you mean `optim.lr`?" in result.err
    assert obverse("recipes", "optim", "--schema").code == 2
