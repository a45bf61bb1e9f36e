"""What weight decay touches in networks of other libraries."""

import pytest
import torch
from torchvision.models import get_model

from obverse.models import undecayed_names
from obverse.models.backbones.adapted import AdaptedBackbone

DECAYED = {
    "swin_t": (
        "torchvision",
        ["0.0.weight", "attn.qkv.weight", "attn.proj.weight", "mlp.0.weight", "reduction.weight"],
    ),
    "maxvit_t": ("torchvision", ["to_qkv.weight", "merge.weight"]),
    "convnext_tiny": ("torchvision", ["0.0.weight", "block.0.weight"]),
    "swin_v2_t": ("torchvision", ["attn.qkv.weight", "mlp.3.weight"]),
    "dinov2": ("hf", ["projection.weight", "fc1.weight"]),
    "dinov2_with_registers": ("hf", ["projection.weight", "fc1.weight"]),
    "swin": ("hf", ["projection.weight", "reduction.weight"]),
    "convnextv2": ("hf", ["dwconv.weight", "pwconv1.weight"]),
    "beit": ("hf", ["projection.weight", "fc1.weight"]),
}


@pytest.mark.parametrize("name", DECAYED)
def test_only_weights_are_decayed(name):
    """Not tokens, tables of positions (or what computes them), embeddings, scales and norms, whatever their shape."""
    library, wanted = DECAYED[name]
    with torch.device("meta"):
        if library == "hf":
            transformers = pytest.importorskip("transformers")
            config = transformers.AutoConfig.for_model(name, num_labels=2)
            net = transformers.AutoModelForImageClassification.from_config(config)
        else:
            net = get_model(name)
        backbone = AdaptedBackbone(net, num_outputs=2 if library == "hf" else 1000)
    shapes = {name: parameter.shape for name, parameter in backbone.named_parameters()}
    decayed = shapes.keys() - undecayed_names(backbone)
    for ending in wanted:
        assert [name for name in decayed if name.endswith(ending)], ending
    for name in decayed:
        assert name.endswith("weight")
        words = ("token", "position_embed", "table", "scale", "norm", "grn", "cpb_mlp", "position_bias_mlp")
        assert not [word for word in words if word in name], name
        assert sum(length > 1 for length in shapes[name]) > 1
