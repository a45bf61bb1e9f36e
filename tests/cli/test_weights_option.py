"""`obverse train DATA --weights FILE`: nothing else is said, and the recipe stays `auto`."""

import pytest
import timm
import torch

from obverse.api.short_forms import given_forms, recipe_of
from obverse.errors import RecipeError
from obverse.recipe import load_recipe

QUICK = (
    *("--epochs", 1),
    *("--size", 32),
    *("--set", "evaluation.maps=0"),
    *("--set", "runtime.num_workers=0"),
    *("--set", "runtime.num_threads=1"),
    *("--set", "runtime.precision=fp32"),
    *("--set", "runtime.channels_last=false"),
    *("--set", "runtime.compile=false"),
    *("--set", "runtime.matmul=highest"),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"state_dict": timm.create_model("test_resnet").state_dict()}, path)
    return path


def test_a_file_is_enough_and_small_pictures_use_it_too(obverse, shapes, weights, tmp_path):
    run = tmp_path / "run"
    result = obverse("train", shapes, "--weights", weights, "--run", run, *QUICK)
    assert result.code == 0, result.err
    assert "model: test_resnet (timm), recognised from the" in result.out + result.err
    recipe = load_recipe(str(run / "recipe.yaml"))
    backbone = recipe.model.backbone
    assert (recipe.name, backbone.kind, backbone.name) == ("auto", "timm", "test_resnet")
    assert backbone.pretrained == str(weights)
    assert (backbone.mean, backbone.std) == ((0.5,) * 3, (0.5,) * 3)
    assert obverse("predict", run, shapes / "sample.jpg").code == 0


def test_mean_and_std_may_be_said_with_a_file_only(weights):
    settings = ("model.backbone.mean=[0.1, 0.2, 0.3]", "model.backbone.std=[0.2, 0.2, 0.2]")
    backbone = recipe_of("auto", settings, given_forms({"weights": str(weights)})).model.backbone
    assert (backbone.kind, backbone.pretrained, backbone.mean) == ("auto", str(weights), (0.1, 0.2, 0.3))
    with pytest.raises(RecipeError, match="need the weight file that they belong to"):
        recipe_of("auto", settings, {})


def test_what_cannot_be_used_is_one_sentence(refused, shapes, weights, tmp_path):
    refused(2, "--weights is for a model that can have weights", "train", shapes, "--model", "cct", "--weights", "none")
    refused(69, "no file 'nowhere.pth'", "train", shapes, "--weights", "nowhere.pth", "--run", tmp_path / "a")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    refused(65, "not a weight file that can be read", "train", shapes, "--weights", tmp_path / "junk.pth")
    other = ("train", shapes, "--model", "resnet18", "--weights", weights, "--run", tmp_path / "b", *QUICK)
    refused(65, "it looks like `test_resnet`: say --model test_resnet", *other)
    assert not (tmp_path / "b").exists()
