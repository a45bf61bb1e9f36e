"""Licences of pretrained weights: from timm, torchvision or a description beside a file, and what they restrict."""

import json

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg, list_pretrained

from obverse.models import licence_note, weights_licence
from obverse.recipe import (
    AutoBackbone,
    ConvNetBackbone,
    TimmBackbone,
    TorchvisionBackbone,
    forbids_commercial_use,
    licence_words,
    restriction,
)

CONVNEXT = "convnextv2_nano.fcmae_ft_in22k_in1k"
HIERA = "hiera_tiny_224.mae_in1k_ft_in1k"
DINO = "vit_small_patch16_dinov3.lvd1689m"
FASTVIT = "fastvit_t8.apple_in1k"


@pytest.mark.parametrize(
    ("name", "licence", "clause"),
    [
        (CONVNEXT, "cc-by-nc-4.0", "forbids commercial use"),
        (HIERA, "cc-by-nc-4.0", "forbids commercial use"),
        (DINO, "dinov3-license", "has terms of its own"),
        (FASTVIT, "fastvit-license", "has terms of its own"),
        ("resnet18.a1_in1k", "apache-2.0", ""),
        ("res2net50_14w_8s.in1k", "", ""),
    ],
)
def test_timm_says_the_licence_of_its_weights(name, licence, clause):
    backbone = TimmBackbone(name=name)
    assert (weights_licence(backbone), restriction(licence)) == (licence, clause)
    note = licence_note(backbone)
    assert note == (
        f"licence: the weights of {name} come under {licence}, which {clause}, and so does what is trained from them"
        if clause
        else ""
    )


def test_every_noncommercial_licence_of_timm_is_known():
    names = {get_pretrained_cfg(name).license or "" for name in list_pretrained()}
    assert {name for name in names if "nc" in name.split("-") or "noncommercial" in name} <= set(
        filter(forbids_commercial_use, names)
    )
    assert not any(map(forbids_commercial_use, ("", "apache-2.0", "mit", "dinov3-license", "cc-by-4.0")))


def test_weights_from_scratch_have_none():
    assert weights_licence(TimmBackbone(name=CONVNEXT, pretrained="none")) == ""
    assert weights_licence(ConvNetBackbone()) == weights_licence(AutoBackbone()) == ""


def test_a_file_has_the_licence_beside_it_or_the_one_that_all_such_weights_have(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "model.pth")
    file = str(tmp_path / "model.pth")
    assert weights_licence(TimmBackbone(name="test_resnet", pretrained=file)) == ""
    assert weights_licence(TimmBackbone(name="convnextv2_nano", pretrained=file)) == "cc-by-nc-4.0"
    described = {"architecture": "test_resnet", "pretrained_cfg": {"license": "mit"}}
    (tmp_path / "config.json").write_text(json.dumps(described))
    for place in (file, str(tmp_path)):
        assert weights_licence(TimmBackbone(name="test_resnet", pretrained=place)) == "mit"


def test_torchvision_names_one_for_swag_only():
    swag, plain = TorchvisionBackbone(name="vit_h_14.IMAGENET1K_SWAG_E2E_V1"), TorchvisionBackbone(name="resnet18")
    assert (weights_licence(swag), weights_licence(plain)) == ("cc-by-nc-4.0", "")


def test_the_words_of_a_model_card():
    assert licence_words("mit") == "mit; the data they were trained on may have terms"
    assert licence_words("cc-by-nc-4.0").startswith("cc-by-nc-4.0, which forbids commercial use; ")
