"""Options of `train` that are short for fields of the recipe."""

import pytest

from obverse.api.short_forms import given_forms, recipe_of
from obverse.errors import RecipeError


def chosen(*settings, recipe="auto", **options):
    return recipe_of(recipe, settings, given_forms(options))


def test_each_sets_its_field():
    recipe = chosen(
        epochs=3, batch_size=12, lr=1e-5, seed=7, size="640x320", minutes=2.0, device="cpu", track=["wandb"]
    )
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.training.seed) == (3, 12, 7)
    assert (recipe.optim.lr, recipe.training.minutes, recipe.runtime.device) == (1e-5, 2.0, "cpu")
    assert (recipe.data.size.width, recipe.data.size.height) == (640, 320)
    assert recipe.training.trackers == ("wandb",)
    assert chosen() == chosen(epochs=None, track=[])


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("convnet", "convnet", None),
        ("auto", "auto", None),
        ("resnet18", "timm", "resnet18"),
        ("torchvision:resnet50", "torchvision", "resnet50"),
        ("hf:org/name", "hf", "org/name"),
        ("hf-hub:org/name", "timm", "hf-hub:org/name"),
    ],
)
def test_models_by_name(model, kind, name):
    backbone = chosen(model=model).model.backbone
    assert (backbone.kind, getattr(backbone, "name", None)) == (kind, name)


def test_weights_and_other_fields_of_the_model_stay():
    backbone = chosen("model.backbone.options={depth: 2}", model="test_vit", weights="a b.pth").model.backbone
    assert (backbone.name, backbone.pretrained, backbone.options) == ("test_vit", "a b.pth", {"depth": 2})
    whole = chosen("model.backbone={kind: timm, name: test_vit}", weights="none").model.backbone
    assert (whole.name, whole.pretrained) == ("test_vit", "none")
    assert chosen("model.backbone.widths=[4, 8]", recipe="finetune", model="convnet").model.backbone.widths == (4, 8)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"epochs": 3}, "training.epochs=4"),
        ({"epochs": 3}, "training={epochs: 4}"),
        ({"lr": 0.1}, "optim.lr=auto"),
        ({"size": "64x32"}, "data.size.height=64"),
        ({"size": "64x32"}, "data.size=auto"),
        ({"model": "resnet18"}, "model.backbone.kind=hf"),
        ({"model": "resnet18"}, "model.backbone={kind: timm, name: resnet50}"),
        ({"minutes": 1.0}, "training.minutes=2"),
        ({"device": "cpu"}, "runtime.device=cuda"),
        ({"layout": "table"}, "data.layout=auto"),
    ],
)
def test_a_contradiction_is_an_error(options, setting):
    with pytest.raises(RecipeError, match=f"--{next(iter(options))} and --set .* contradict each other"):
        chosen(setting, **options)


def test_the_same_twice_is_none():
    assert chosen("optim.lr=1e-3", "training={epochs: 2}", lr=0.001, epochs=2).training.epochs == 2


def test_what_is_wrong_is_said(refused, tmp_path):
    refused(2, "write 224 for a square, or WIDTHxHEIGHT", "train", tmp_path, "--size", "3x")
    refused(2, "leave out --epochs, --set", "train", "--resume", "--run", "x", "--epochs", 3, "--set", "optim.lr=1")
    refused(2, "contradict each other", "train", tmp_path, "--seed", 3, "--set", "training.seed=4")
