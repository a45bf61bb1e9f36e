"""Every kind of backbone through the main path: train, evaluate, predict, explain; squares, 2:1 and odd sizes."""

import importlib.util
import json

import numpy as np
import pytest

from obverse.errors import UnavailableError
from obverse.experiment import start_run
from obverse.inference import load
from obverse.models.backbones import torchvision_backbone
from obverse.planning.imagined import imagined_index
from obverse.planning.plan import make_plan
from obverse.recipe import load_recipe
from obverse.runs import RunFolder

HF_VIT = {
    "model_type": "vit",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 48,
    "patch_size": 8,
}
BACKBONES = {
    "timm": {
        "kind": "timm",
        "name": "vit-tiny",
        "pretrained": "none",
        "options": {"depth": 3, "embed_dim": 24, "num_heads": 3},
    },
    "vit": {
        "kind": "vit",
        "patch": 8,
        "width": 24,
        "depth": 2,
        "heads": 3,
        "drop_path_rate": 0.1,
        "embed_drop_rate": 0.1,
    },
    "cct": {"kind": "cct", "depth": 2, "width": 24, "heads": 3, "mlp_ratio": 1, "num_convs": 2},
    "vgg": {"kind": "vgg", "num_blocks": 4, "residual": True, "norm": "batch", "activation": "leaky-relu"},
    "torchvision": {"kind": "torchvision", "name": "shufflenet_v2_x0_5", "pretrained": "none"},
    "hf-vit": {"kind": "hf", "name": "tiny", "pretrained": "none", "config": HF_VIT},
    "hf-resnet": {
        "kind": "hf",
        "name": "tiny",
        "pretrained": "none",
        "config": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    },
}
SIZES = {"square": (48, 48), "2:1": (32, 64), "odd": (45, 39)}
# Each kind at one size; all of them in `make test-full`.
QUICK = dict(zip(BACKBONES, ["odd", "2:1", "odd", "2:1", "odd", "2:1", "square"], strict=True))
CASES = [
    pytest.param(kind, size, marks=[] if QUICK[kind] == size else pytest.mark.full)
    for kind in BACKBONES
    for size in SIZES
]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def backbone_of(kind):
    if kind == "hf-resnet" and not importlib.util.find_spec("transformers"):
        pytest.skip("transformers is not installed")
    return BACKBONES[kind]


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_train_evaluate_predict(kind, size, draw_classes, make_recipe, tmp_path):
    height, width = SIZES[size]
    data = draw_classes(tmp_path / "data", per_class=8, size=(height + 3, width + 5))
    recipe = make_recipe(
        model={"backbone": backbone_of(kind)},
        data={"size": {"height": height, "width": width}},
        training={"epochs": 1, "micro_batch_size": 2},
    )
    run = RunFolder(tmp_path / "run")
    start_run(data, recipe, run)
    again = load_recipe(str(run.recipe)).model.backbone
    assert again.kind == BACKBONES[kind]["kind"]
    predictor = load(run.path, device="cpu")
    geometry = predictor.bundle.geometry
    assert (geometry.height, geometry.width) == (height, width)
    ids = json.loads((run.evaluation("test") / "ids.json").read_text())
    predictions = predictor.predict([data / name for name in ids], top_k=2)
    found = [[dict(p.top)[name] for name in predictor.classes] for p in predictions]
    np.testing.assert_allclose(found, np.load(run.evaluation("test") / "probabilities.npy"), atol=1e-5)


@pytest.mark.parametrize("kind", BACKBONES)
def test_every_kind_can_be_planned(kind, make_recipe):
    plain, again = (
        make_plan(recipe, imagined_index(recipe, num_classes=2, num_samples=100), device="cpu", gigabytes=1000.0)
        for recipe in (
            make_recipe(
                model={"backbone": backbone_of(kind)},
                data={"size": {"height": 64, "width": 128}},
                training={"batch_size": 16, "micro_batch_size": 16},
                runtime={"checkpointing": checkpointing},
            )
            for checkpointing in (False, True)
        )
    )
    assert plain.memory.model >= 4 * plain.bundle.build().num_parameters()
    assert plain.memory.training_flops > 0
    # In a CCT this small the convolutions that make the tokens are most of it, and they are computed again at once.
    assert again.memory.activations < plain.memory.activations or kind == "cct"


@pytest.mark.parametrize(
    "backbone",
    [
        {"kind": "torchvision", "name": "resnet18"},
        {"kind": "hf", "name": "someone/some-vit"},
        {"kind": "hf", "name": "no/such/folder"},
        {"kind": "timm", "name": "resnet-18", "pretrained": "no-such-file.safetensors"},
    ],
    ids=["torchvision", "hf", "hf-folder", "file"],
)
def test_weights_that_cannot_be_had_leave_nothing_behind(backbone, draw_classes, make_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_backbone, "why_unreachable", lambda *_: "the server cannot be reached")
    run = RunFolder(tmp_path / "runs" / "one")
    with pytest.raises(UnavailableError) as caught:
        start_run(draw_classes(tmp_path / "data", per_class=6), make_recipe(model={"backbone": backbone}), run)
    assert caught.value.exit_code == 69
    assert not run.path.exists()
