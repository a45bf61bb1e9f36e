"""Recognition of the network in a weight file: libraries, wrappers, ties, statistics, unknown files."""

import json
import os
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from obverse.errors import DataError, UnavailableError
from obverse.models import build_classifier, input_needs, pinned, recognise
from obverse.recipe import HFBackbone, ModelSpec, TimmBackbone, TorchvisionBackbone

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)


def saved(path, net, *, prefix="", container=None, metadata=None):
    """The file at `path` with the net's weights, under prefixed names, and in a pickle within a container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {prefix + name: value for name, value in net.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path, metadata=metadata)
    else:
        torch.save({container: state} if container else state, path)
    return str(path)


def statistics(backbone):
    return backbone.mean, backbone.std


def classifier(spec, side, *, load_weights=True):
    spec = pinned(ModelSpec(backbone=spec))
    return build_classifier(spec, num_views=1, num_classes=3, height=side, width=side, load_weights=load_weights)


@pytest.mark.parametrize(
    ("prefix", "container"),
    [("", None), ("module.", "state_dict"), ("_orig_mod.", "model"), ("module._orig_mod.", None), ("backbone.", None),
     ("net.", "state_dict"), ("backbone.", "teacher")],
)  # fmt: skip
def test_a_resnet_in_any_wrapper_is_timm_s_and_its_weights_are_loaded(tmp_path, prefix, container):
    net = timm.create_model("resnet18", num_classes=7)
    recognised = recognise(saved(tmp_path / "w.pth", net, prefix=prefix, container=container))
    assert isinstance(recognised.backbone, TimmBackbone)
    assert recognised.backbone.name == "resnet18"
    assert statistics(recognised.backbone) == IMAGENET
    assert "those of timm's resnet18.a1_in1k, because the file does not say them" in recognised.reason
    assert "122 tensors" in recognised.reason
    model = classifier(recognised.backbone, 64)
    assert torch.equal(model.backbones[0].layer4[1].conv2.weight, net.layer4[1].conv2.weight)


def test_a_file_of_a_deeper_resnet_is_not_the_shallower_one_that_it_contains(tmp_path):
    assert recognise(saved(tmp_path / "w.pth", timm.create_model("resnet34"))).backbone.name == "resnet34"


def test_a_vit_of_64_pixels_keeps_its_name_and_its_own_size(tmp_path):
    net = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=5)
    backbone = recognise(saved(tmp_path / "w.safetensors", net)).backbone
    assert (backbone.name, backbone.options) == ("vit_tiny_patch16_224", {})
    assert input_needs(ModelSpec(backbone=backbone)).size == (64, 64)
    model = classifier(backbone, 64)
    assert torch.equal(model.backbones[0].pos_embed, net.pos_embed)


def test_a_vit_of_no_usual_size_gets_options(tmp_path):
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=128, num_heads=2)
    backbone = recognise(saved(tmp_path / "w.pth", net)).backbone
    options = {"patch_size": 8, "embed_dim": 128, "depth": 2, "num_heads": 2, "mlp_ratio": 4.0}
    assert backbone.options == options
    images = torch.randn(2, 1, 3, 32, 32)
    ours = classifier(backbone, 32).eval()
    net.reset_classifier(0)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbones[0](images[:, 0]), net.eval()(images[:, 0]))


def test_networks_of_the_same_tensors_are_told_apart_by_the_name_of_the_file(tmp_path):
    net = timm.create_model("deit_tiny_patch16_224")
    deit = recognise(saved(tmp_path / "deit_tiny_patch16_224-a1311bcf.pth", net)).backbone
    assert (deit.name, statistics(deit)) == ("deit_tiny_patch16_224", IMAGENET)
    vit = recognise(saved(tmp_path / "w.pth", net)).backbone
    assert (vit.name, statistics(vit)) == ("vit_tiny_patch16_224", HALF)
    padded = timm.create_model("tf_mobilenetv3_small_minimal_100")
    named = recognise(saved(tmp_path / "tf_mobilenetv3_small_minimal_100" / "w.pth", padded)).backbone
    assert named.name == "tf_mobilenetv3_small_minimal_100"


def test_the_weights_of_a_name_are_told_apart_by_the_tag_and_by_the_number_of_classes(tmp_path):
    headless = timm.create_model("vit_small_patch16_224", num_classes=0)
    assert statistics(recognise(saved(tmp_path / "a" / "w.pth", headless)).backbone) == IMAGENET  # DINO's
    net = timm.create_model("mobilenetv4_conv_small")
    name = "mobilenetv4_conv_small.e3600_r256_in1k.pth"
    assert statistics(recognise(saved(tmp_path / name, net)).backbone) == HALF
    assert statistics(recognise(saved(tmp_path / "w.pth", net)).backbone) == IMAGENET


def test_metadata_say_padding_mean_and_std(tmp_path):
    net = timm.create_model("mobilenetv2_050")
    notes = {"note": "timm mobilenetv2_050 pad_type='same', mean=[0.1, 0.2, 0.3], std=0.25, 1000 classes"}
    recognised = recognise(saved(tmp_path / "w.safetensors", net, metadata=notes))
    assert recognised.backbone.options == {"pad_type": "same"}
    assert statistics(recognised.backbone) == ((0.1, 0.2, 0.3), (0.25,) * 3)
    assert "mean [0.1, 0.2, 0.3] and std 0.25, as the file's metadata say" in recognised.reason
    silent = recognise(saved(tmp_path / "x.safetensors", net)).backbone
    assert (silent.options, statistics(silent)) == ({}, IMAGENET)


def test_mean_and_std_that_the_user_says_come_first(tmp_path):
    file = saved(tmp_path / "w.safetensors", timm.create_model("resnet18"), metadata={"note": "mean=std=0.5"})
    recognised = recognise(file, mean=(0.1,) * 3, std=(0.2,) * 3)
    assert statistics(recognised.backbone) == ((0.1,) * 3, (0.2,) * 3)
    assert "as you say" in recognised.reason


def test_a_folder_of_timm_says_its_architecture_and_statistics(tmp_path):
    saved(tmp_path / "model.safetensors", timm.create_model("vit_tiny_patch16_224"))
    values = {"architecture": "deit_tiny_patch16_224", "pretrained_cfg": {"mean": [0.1] * 3, "std": [0.2] * 3}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    recognised = recognise(str(tmp_path))
    assert recognised.backbone.name == "deit_tiny_patch16_224"
    assert statistics(recognised.backbone) == ((0.1,) * 3, (0.2,) * 3)
    assert "as the configuration beside it says" in recognised.reason


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5", "convnext_tiny"])
def test_networks_of_torchvision(tmp_path, name):
    file = saved(tmp_path / "w.pth", getattr(torchvision.models, name)(num_classes=4))
    backbone = recognise(file).backbone
    assert (type(backbone), backbone.name) == (TorchvisionBackbone, name)


def test_a_published_file_of_torchvision_is_known_by_its_name(tmp_path):
    net = torchvision.models.resnet18()
    published = recognise(saved(tmp_path / "resnet18-f37072fd.pth", net)).backbone
    assert (published.kind, published.name) == ("torchvision", "resnet18.IMAGENET1K_V1")
    assert recognise(saved(tmp_path / "w.pth", net)).backbone.kind == "timm"


def test_a_folder_of_transformers(hf_vit_folder):
    recognised = recognise(str(hf_vit_folder))
    assert isinstance(recognised.backbone, HFBackbone)
    assert "as config.json beside 'model.safetensors' says" in recognised.reason
    model = classifier(recognised.backbone, 32)
    assert model.backbones[0].num_features == 24


@pytest.mark.parametrize("kind", ["vit", "dinov2", "dinov2_with_registers"])
def test_a_file_of_transformers_without_its_configuration(tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.for_model(
        kind, hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=32, patch_size=8, num_labels=3
    )
    net = transformers.AutoModelForImageClassification.from_config(config).eval()
    net.save_pretrained(tmp_path / "folder")
    os.rename(tmp_path / "folder" / "model.safetensors", tmp_path / "model.safetensors")
    file = str(tmp_path / "model.safetensors")
    if kind == "vit":
        with pytest.raises(UnavailableError, match=r"set model.backbone.mean"):
            pinned(ModelSpec(backbone=recognise(file).backbone))
    backbone = recognise(file, mean=(0.5,) * 3, std=(0.5,) * 3).backbone
    ours, images = classifier(backbone, 32).eval(), torch.randn(2, 3, 32, 32)
    net.classifier = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(ours.backbones[0](images), net(images).logits, atol=1e-5, rtol=1e-5)


def test_a_file_of_no_known_network_names_the_nearest(tmp_path):
    net = timm.create_model("resnet18", layers=(1, 1, 1, 1))
    with pytest.raises(DataError, match=r"not recognised; the nearest of timm are .*; say which one with --model NAME"):
        recognise(saved(tmp_path / "w.pth", net))
    with pytest.raises(DataError, match=r"w2.pth': its network is not recognised"):
        recognise(saved(tmp_path / "w2.pth", torch.nn.Linear(3, 3)))


def test_a_recipe_of_another_network_is_told_the_likely_one(tmp_path):
    file = saved(tmp_path / "w.pth", timm.create_model("resnet18"))
    with pytest.raises(
        DataError, match=r"does not hold `resnet34`: .*; it looks like `resnet18`: say --model resnet18"
    ):
        classifier(TimmBackbone(name="resnet34", pretrained=file), 64)
    theirs = saved(tmp_path / "v.pth", torchvision.models.mobilenet_v2())
    with pytest.raises(DataError, match=r"looks like `mobilenet_v2`: say --model torchvision:mobilenet_v2"):
        classifier(TimmBackbone(name="resnet34", pretrained=theirs), 64)


def test_a_real_file():
    folder = os.environ.get("OBVERSE_REAL_DATA")
    if not folder:
        pytest.skip("OBVERSE_REAL_DATA is not set")
    recognised = recognise(str(Path(folder) / "mobilenetv2_100_imagenet1k.safetensors"))
    assert recognised.backbone.name == "mobilenetv2_100"
    assert recognised.backbone.options == {"pad_type": "same"}
    assert statistics(recognised.backbone) == HALF
    assert "as the file's metadata say" in recognised.reason
