"""The ways that `auto` compares, for a transformer, a convolutional network, one view and several."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

import obverse
from obverse.experiment import resolve
from obverse.manifest import build_index
from obverse.recipe import load_recipe, setting_lines
from obverse.studies.choice import auto_ways


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("weights")
    for name in ("test_vit", "test_resnet"):
        save_file(timm.create_model(name, num_classes=0).state_dict(), folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def ways_of(weights, make_recipe, draw_classes, tmp_path):
    def ways(name, views=(), **sections):
        data = draw_classes(tmp_path / "data", per_class=6, views=views)
        backbone = {"kind": "timm", "name": name, "pretrained": str(weights / f"{name}.safetensors")}
        recipe = make_recipe(model={"backbone": backbone, **sections.pop("model", {})}, choice={}, **sections)
        index = build_index(data, recipe.data)
        resolved = resolve(recipe, index)
        found = auto_ways(recipe, resolved, index)
        recipes = {way: load_recipe(recipe, setting_lines(changes)) for way, changes in found.items()}
        assert all(resolve(recipe, index).recipe.choice is None for recipe in recipes.values())
        return recipes

    return ways


def test_a_transformer_has_lora(ways_of):
    ways = ways_of("test_vit", finetune={"layer_decay": 0.7})
    assert list(ways) == ["joint", "frozen", "lora"]
    assert ways["frozen"].finetune.train == "head"
    assert ways["frozen"].finetune.head_first is not None
    assert ways["lora"].finetune.lora.rank == 8
    assert ways["joint"].finetune.train == "all"
    assert [way for way in ways if ways[way].finetune.lora] == ["lora"]


def test_a_convolutional_network_trains_its_last_blocks(ways_of):
    ways = ways_of("test_resnet")
    assert list(ways) == ["joint", "frozen", "last-blocks"]
    assert ways["last-blocks"].finetune.train_stages == 2


def test_several_views_may_share_a_network_or_have_one_each(ways_of):
    ways = ways_of("test_vit", ("obverse", "reverse"), model={"sharing": "separate", "fusion": {"kind": "concat"}})
    assert list(ways) == ["joint", "frozen", "lora", "shared", "average"]
    kinds = {name: (way.model.sharing, way.model.fusion.kind) for name, way in ways.items()}
    assert kinds["shared"] == ("shared", "gated")
    assert kinds["average"] == ("separate", "average")
    assert kinds["joint"] == ("separate", "concat")
    assert kinds["frozen"][0] == "shared"


def test_what_the_recipe_does_anyway_is_not_trained_twice(ways_of):
    model = {"sharing": "shared", "fusion": {"kind": "gated"}, "view_heads": {}}
    ways = ways_of("test_vit", ("obverse", "reverse"), model=model)
    assert list(ways) == ["joint", "frozen", "lora", "average"]


@pytest.mark.full
def test_the_recipe_few_shot_from_python(weights, draw_classes, tmp_path):
    data = draw_classes(tmp_path / "coins", per_class=9, views=("obverse", "reverse"))
    run = obverse.train(
        data,
        "few-shot",
        run=tmp_path / "run",
        model="test_vit",
        weights=str(weights / "test_vit.safetensors"),
        size=32,
        epochs=1,
        batch_size=4,
        lr=1e-3,
        device="cpu",
        progress=False,
        settings={
            "choice.folds": 2,
            "evaluation.maps": 0,
            "runtime.precision": "fp32",
            "runtime.channels_last": False,
            "runtime.num_threads": 1,
            "runtime.num_workers": 0,
        },
    )
    choice = json.loads((run.path / "choice.json").read_text())
    names = {way["name"] for way in choice["ways"]}
    assert {"frozen", "lora", "joint", "average"} <= names
    assert choice["chosen"] in names
    # Epoch 0 is the head fitted to the frozen features; no backbone changes in this way.
    frozen = json.loads((run.path / "choice/frozen/fold-0/training_log.json").read_text())
    assert [row["epoch"] for row in frozen["epochs"]] == [0, 1]
    assert obverse.load(run).predict(run.example)[0].label in ("dark", "light")
