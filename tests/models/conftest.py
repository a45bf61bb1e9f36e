"""One tiny backbone of every kind, and weight folders as other libraries write them."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from obverse.recipe import (
    CCTBackbone,
    ConvNetBackbone,
    HFBackbone,
    TimmBackbone,
    TorchvisionBackbone,
    VGGBackbone,
    ViTBackbone,
)

HF_VIT = {
    "model_type": "vit",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
HF_RESNET = {
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}
HF_DINO = {
    "model_type": "dinov2",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "mlp_ratio": 2,
    "image_size": 32,
    "patch_size": 8,
}
BACKBONES = {
    "timm-vit": TimmBackbone(
        name="vit_tiny_patch16_224", pretrained="none", options={"depth": 2, "embed_dim": 24, "num_heads": 3}
    ),
    "timm-resnet": TimmBackbone(name="test_resnet", pretrained="none"),
    "timm-mobilenet": TimmBackbone(name="mobilenetv3_small_050", pretrained="none"),
    "vit": ViTBackbone(patch=8, width=24, depth=2, heads=3, mlp_ratio=2),
    "cct": CCTBackbone(depth=2, width=24, heads=3, mlp_ratio=1, num_convs=2, drop_path_rate=0.0),
    "convnet": ConvNetBackbone(widths=(8, 8, 16)),
    "vgg": VGGBackbone(num_blocks=4, norm="batch", pool="mean", residual=True),
    "torchvision": TorchvisionBackbone(name="shufflenet_v2_x0_5", pretrained="none"),
    "hf-vit": HFBackbone(name="tiny", pretrained="none", config=HF_VIT, mean=(0.5,) * 3, std=(0.5,) * 3),
}
ATTENTION = ("timm-vit", "vit", "cct", "hf-vit")
if importlib.util.find_spec("transformers"):
    BACKBONES["hf-resnet"] = HFBackbone(
        name="tiny", pretrained="none", config=HF_RESNET, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    BACKBONES["hf-dino"] = HFBackbone(name="tiny", pretrained="none", config=HF_DINO, mean=(0.5,) * 3, std=(0.5,) * 3)
    ATTENTION += ("hf-dino",)


@pytest.fixture(params=sorted(BACKBONES))
def backbone(request):
    return BACKBONES[request.param]


@pytest.fixture(params=sorted(ATTENTION))
def attentive(request):
    return BACKBONES[request.param]


@pytest.fixture
def hf_vit_state():
    """Tensors of a plain ViT under the names of Transformers 4, its classifier included."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) * 0.1

    names = {
        "vit.embeddings.cls_token": draw(1, 1, 24),
        "vit.embeddings.position_embeddings": draw(1, 17, 24),
        "vit.embeddings.patch_embeddings.projection.weight": draw(24, 3, 8, 8),
        "vit.embeddings.patch_embeddings.projection.bias": draw(24),
        "vit.layernorm.weight": 1 + draw(24),
        "vit.layernorm.bias": draw(24),
        "classifier.weight": draw(7, 24),
        "classifier.bias": draw(7),
    }
    for layer in range(2):
        for name, shape in {
            "layernorm_before": (24,),
            "layernorm_after": (24,),
            "attention.attention.query": (24, 24),
            "attention.attention.key": (24, 24),
            "attention.attention.value": (24, 24),
            "attention.output.dense": (24, 24),
            "intermediate.dense": (48, 24),
            "output.dense": (24, 48),
        }.items():
            names[f"vit.encoder.layer.{layer}.{name}.weight"] = draw(*shape)
            names[f"vit.encoder.layer.{layer}.{name}.bias"] = draw(shape[0])
    return names


@pytest.fixture
def hf_vit_folder(tmp_path, hf_vit_state):
    """As Transformers writes it: config.json, preprocessor_config.json, model.safetensors."""
    from safetensors.torch import save_file

    folder = tmp_path / "hf-vit"
    folder.mkdir()
    config = {**HF_VIT, "architectures": ["ViTForImageClassification"], "id2label": {"0": "cat"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "do_normalize": True})
    )
    save_file(hf_vit_state, folder / "model.safetensors")
    return folder
