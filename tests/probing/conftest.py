"""A tiny pretrained backbone in a file, and data that its features can tell apart."""

import pytest
import timm
import torch
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def vit_weights(tmp_path_factory):
    """Weights of timm's `test_vit`, which takes a picture in a millisecond."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_vit.safetensors"
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), path)
    return path
