"""Recipe files: YAML 1.2 scalars, `--set`, one level of `extends`, exact round trips, the JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obverse.errors import RecipeError
from obverse.recipe import (
    Recipe,
    build_recipe,
    describe_fields,
    load_recipe,
    recipe_schema,
    save_recipe,
    shipped_recipes,
)
from obverse.recipe.yaml_text import parse_yaml

few = settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("3E5", 3e5),
        (".5", 0.5),
        ("-2", -2),
        ("010", 10),
        ("08", 8),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("0x10", "0x10"),
        ('"10"', "10"),
        ("[no, 1e3]", ["no", 1000.0]),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    read = parse_yaml(text, "here")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {a: 1, a: 2}"])
def test_a_key_written_twice_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"here: the key `a` is written twice"):
        parse_yaml(text, "here")


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: b: c", "!!python/object/apply:os.getcwd []", "9" * 5000, "[" * 5000, "a: \x00"],
    ids=["open bracket", "two colons", "python tag", "huge number", "deep", "nul"],
)
def test_broken_yaml_is_one_recipe_error(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^here.* is not valid YAML"):
        parse_yaml(text, "here")


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="line 3"):
        load_recipe(write(tmp_path / "r.yaml", "name: x\noptim:\n  lr: }\n"))


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(RecipeError, match="plain words"):
        load_recipe("auto", ["data=&a [*a]"])


def test_settings_reach_nested_fields_lists_and_mappings() -> None:
    recipe = load_recipe(
        "auto",
        ["optim.lr=3e-4", "data.views=[front, back]", "data.size={height: 256, width: 512}", "data.image_root=a=b"],
    )
    assert recipe.optim.lr == 3e-4
    assert recipe.data.views == ("front", "back")
    assert recipe.data.size != "auto"
    assert (recipe.data.size.height, recipe.data.size.width) == (256, 512)
    assert recipe.data.image_root == "a=b"


@pytest.mark.parametrize("setting", ["data.path=elsewhere", "data={path: elsewhere}"])
def test_where_the_data_is_cannot_be_set(tmp_path: Path, setting: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.path has no effect"):
        load_recipe("auto", [setting])
    assert load_recipe(write(tmp_path / "of_a_run.yaml", "data: {path: there}\n")).data.path == "there"


def test_the_described_defaults_are_those_of_a_recipe_that_says_nothing() -> None:
    said, plain = load_recipe("auto"), Recipe()
    assert said == plain.changed({"loss.label_smoothing": "auto", "training.ema_decay": 0.999})
    description = " ".join(describe_fields("recipe").split())
    assert "`loss.label_smoothing: auto` and `training.ema_decay: 0.999`" in description


def test_the_later_setting_wins() -> None:
    assert load_recipe("auto", ["optim.lr=1.0", "optim.lr=2.0"]).optim.lr == 2.0


@pytest.mark.parametrize("setting", ["optim.lr", "=3", "optim..lr=3", ".lr=3", "optim.=3"])
def test_a_malformed_setting_shows_how_to_write_it(setting: str) -> None:
    with pytest.raises(RecipeError, match=r"section\.field=value"):
        load_recipe("auto", [setting])


def test_mapping_of_the_same_kind_is_merged_and_another_kind_replaces_the_section(tmp_path: Path) -> None:
    path = write(tmp_path / "r.yaml", "model: {backbone: {kind: timm, name: resnet50, drop_rate: 0.1}}")
    merged = load_recipe(path, ["model.backbone={name: resnet18}"]).model.backbone
    assert merged.model_dump()["name"] == "resnet18"
    assert merged.model_dump()["drop_rate"] == 0.1
    replaced = load_recipe(path, ["model.backbone={kind: vgg, num_blocks: 4}"]).model.backbone
    assert replaced.model_dump() == {
        "kind": "vgg", "num_blocks": 4, "norm": "none", "activation": "relu", "pool": "flatten", "residual": False
    }  # fmt: skip


def test_extends_takes_a_shipped_recipe_or_a_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "name: base\noptim: {lr: 0.5, weight_decay: 0.25}\n")
    child = load_recipe(write(tmp_path / "child.yaml", "extends: base.yaml\nname: child\noptim: {lr: 0.1}\n"))
    assert (child.name, child.optim.lr, child.optim.weight_decay) == ("child", 0.1, 0.25)
    assert load_recipe(write(tmp_path / "other.yaml", "extends: auto\n")) == load_recipe("auto")


def test_extends_replaces_a_section_of_another_kind(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "model: {backbone: {kind: timm, name: resnet50}}\n")
    child = load_recipe(write(tmp_path / "c.yaml", "extends: base.yaml\nmodel: {backbone: {kind: convnet}}\n"))
    assert child.model.backbone.kind == "convnet"


def test_two_levels_of_extends_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: auto\n")
    path = write(tmp_path / "b.yaml", "extends: a.yaml\n")
    with pytest.raises(RecipeError, match="only one level is allowed"):
        load_recipe(path)


def test_extends_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="`extends` must be"):
        load_recipe(write(tmp_path / "a.yaml", "extends: [auto]\n"))


def test_an_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match=r"no recipe `autoo`.*auto.*did you mean `auto`"):
        load_recipe("autoo")


def test_a_file_that_is_no_mapping_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="`key: value`"):
        load_recipe(write(tmp_path / "list.yaml", "- a\n"))
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="UTF-8"):
        load_recipe(str(tmp_path / "binary.yaml"))


def test_an_empty_file_is_the_default_recipe(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path / "empty.yaml", "# nothing\n")) == Recipe()


fractions = st.floats(0, 0.999, allow_subnormal=True)
words = st.text(min_size=1, max_size=12) | st.sampled_from(["no", "1e-4", "null", "~", "010", " a", "a: b", "é\n#"])


@few
@given(
    lr=st.floats(1e-300, 1e300),
    decay=fractions,
    name=words,
    views=st.lists(words, min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 2**63 - 1),
)
def test_saved_recipe_loads_equal(
    tmp_path: Path, lr: float, decay: float, name: str, views: list[str], seed: int
) -> None:
    values = {
        "name": name, "optim": {"lr": lr, "weight_decay": decay}, "data": {"views": views}, "training": {"seed": seed},
    }  # fmt: skip
    recipe = build_recipe(values, "here")
    save_recipe(recipe, tmp_path / "r.yaml")
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipe_loads_round_trips_and_states_its_goal(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert shipped_recipes()[name].startswith("# Goal:")
    save_recipe(recipe, tmp_path / "r.yaml")
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe


def nodes_of(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema node and every alternative of it, references followed."""
    if "$ref" in node:
        return nodes_of(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    choices = [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]
    return [node, *(found for choice in choices for found in nodes_of(schema, choice))]


def unknown_keys(schema: dict[str, Any], node: dict[str, Any], values: Any, place: str = "") -> list[str]:
    if not isinstance(values, dict):
        return []
    nodes = [n for n in nodes_of(schema, node) if "properties" in n or "additionalProperties" in n]
    tagged = [n for n in nodes if n.get("properties", {}).get("kind", {}).get("const") == values.get("kind")]
    fields = {k: v for n in (tagged or nodes) for k, v in n.get("properties", {}).items()}
    if any(isinstance(n.get("additionalProperties"), dict) for n in nodes):
        return []
    missing = [f"{place}{key}" for key in values if key not in fields]
    known = (k for k in values if k in fields)
    return missing + [bad for k in known for bad in unknown_keys(schema, fields[k], values[k], f"{place}{k}.")]


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_schema_knows_every_key_of_a_shipped_recipe_as_written_and_as_dumped(name: str) -> None:
    schema = recipe_schema()
    assert unknown_keys(schema, schema, parse_yaml(shipped_recipes()[name], name)) == []
    assert unknown_keys(schema, schema, load_recipe(name).model_dump(mode="json")) == []


def test_schema_forbids_other_keys_and_is_plain_json() -> None:
    schema = recipe_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {*Recipe.model_fields, "extends"}
    assert unknown_keys(schema, schema, {"optim": {"lrr": 1}}) == ["optim.lrr"]
    assert unknown_keys(schema, schema, {"model": {"backbone": {"kind": "vgg", "name": "x"}}}) == [
        "model.backbone.name"
    ]
