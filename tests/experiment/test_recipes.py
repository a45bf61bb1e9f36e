"""Every shipped recipe: it builds at its own size, and a tiny variant of it trains."""

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from obverse.models import build_classifier
from obverse.recipe import AutoBackbone, Size, build_recipe, load_recipe, shipped_recipes
from obverse.runs import StepEnd

TINY_VIT = {"depth": 1, "embed_dim": 48, "num_heads": 3}

# The backbone of `auto` is chosen when the data is known: tests/experiment/test_resolve.py.
FIXED = [name for name in shipped_recipes() if not isinstance(load_recipe(name).model.backbone, AutoBackbone)]


@pytest.mark.parametrize("name", FIXED)
def test_it_builds_at_its_own_size(name):
    spec = load_recipe(name)
    assert isinstance(spec.data.size, Size)
    views = spec.data.views if isinstance(spec.data.views, tuple) else ("image",)
    side = (-(-spec.data.size.height // 16) * 16, -(-spec.data.size.width // 16) * 16)
    with torch.device("meta"):
        model = build_classifier(
            spec.model, num_views=len(views), num_classes=10, height=side[0], width=side[1], load_weights=False
        )
        logits = model.eval()(torch.empty(2, len(views), 3, *side), torch.ones(2, len(views), dtype=torch.bool))
    assert logits.shape == (2, 10)


def test_the_recipes_have_the_documents_sizes():
    def millions(name, num_views):
        spec = load_recipe(name).model
        with torch.device("meta"):
            model = build_classifier(
                spec, num_views=num_views, num_classes=10, height=256, width=512, load_weights=False
            )
        return model.num_parameters() / 1e6

    assert millions("coins-rectangular", 1) == 148.683082
    assert millions("coins-two-view", 2) == pytest.approx(2 * 86 + 2, abs=1.5)


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    """Weights of the tiny ViT, for recipes whose backbone is frozen in part and so cannot start from scratch."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("vit_tiny_patch16_224", **TINY_VIT).state_dict(), path)
    return path


def tiny(recipe, weights):
    """The same recipe, shrunk: what it says about training stays. weights: of the tiny ViT."""
    values = json.loads(recipe.model_dump_json())
    backbone = values["model"]["backbone"]
    if backbone["kind"] == "timm":
        is_vit = backbone["name"].startswith("vit_")
        assert is_vit or backbone["name"].startswith("resnet"), "give this backbone a tiny stand-in"
        name, options = ("vit_tiny_patch16_224", TINY_VIT) if is_vit else ("test_resnet", {"zero_init_last": False})
        backbone |= {"name": name, "options": options, "pretrained": "none"}
        if recipe.finetune.lora:
            backbone["pretrained"] = str(weights)
    if backbone["kind"] == "vit":
        backbone |= {"width": 48, "depth": 1, "heads": 3}
    values["model"]["head"]["hidden"] = [8 for _ in values["model"]["head"]["hidden"]]
    values["data"]["size"] = {"height": 32, "width": 64}
    values["runtime"] |= {"device": "cpu", "precision": "fp32", "matmul": "highest", "num_threads": 1,
                          "num_workers": 0, "channels_last": False}  # fmt: skip
    return build_recipe(values, recipe.name)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_tiny_variant_trains_one_step(name, draw_classes, make_trainer, tiny_weights, tmp_path):
    recipe = tiny(load_recipe(name), tiny_weights)
    views = recipe.data.views if isinstance(recipe.data.views, tuple) else ()
    data = draw_classes(tmp_path / "data", classes=("AU50", "MS65"), per_class=10, size=(40, 80), views=views)
    trainer = make_trainer(data, recipe, tmp_path / "checkpoints")
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    event = next(event for event in trainer.run() if isinstance(event, StepEnd))
    assert event.learning_rate > 0
    still = [name for name, tensor in trainer.model.named_parameters() if torch.equal(tensor, before[name])]
    frozen = [name for name, tensor in trainer.model.named_parameters() if not tensor.requires_grad]
    assert bool(frozen) == bool(recipe.finetune.lora)
    assert still in (frozen, ["fusion.missing_VD"])
