"""Models of Transformers: what their folders and the hub's cache say, which file is read, and which sizes they take."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.models import input_needs, pinned
from obverse.models.build import _build_backbone
from obverse.models.weights import hf_files, hub
from obverse.recipe import HFBackbone, ModelSpec

from .conftest import HF_DINO, HF_VIT

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
VISION = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 48}
CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def built(backbone, height=32, width=32):
    return _build_backbone(ModelSpec(backbone=backbone), height=height, width=width, load_weights=True).eval()


@pytest.mark.parametrize("config", [HF_VIT, HF_DINO], ids=["plain", "other"])
def test_a_known_configuration_without_its_weights_is_said_with_the_ways(config):
    pytest.importorskip("transformers")
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE forbids downloading") as caught:
        built(HFBackbone(name="someone/some-vit", config=config, **HALF))
    for way in ("connect to the network", "model.backbone.pretrained=path/to/", "pretrained=none"):
        assert way in str(caught.value)


@pytest.mark.parametrize("size", [[32, 64], [16, 64], [16, 32]])
def test_positions_come_from_the_grid_that_the_configuration_says(hf_vit_folder, hf_vit_state, size):
    """A grid that is no square, and one that has as many patches as another."""
    rows, columns = size[0] // 8, size[1] // 8
    positions = torch.randn(1, 1 + rows * columns, 24, generator=torch.Generator().manual_seed(4))
    save_file({**hf_vit_state, "vit.embeddings.position_embeddings": positions}, hf_vit_folder / "model.safetensors")
    (hf_vit_folder / "config.json").write_text(json.dumps({**HF_VIT, "image_size": size}))
    spec = HFBackbone(name=str(hf_vit_folder))
    assert torch.equal(built(spec, *size).pos_embed, positions), "nothing is resampled that fits"
    grid = positions[:, 1:].transpose(1, 2).unflatten(2, (rows, columns))
    resampled = torch.nn.functional.interpolate(grid, (4, 4), mode="bicubic", antialias=True)
    torch.testing.assert_close(built(spec).pos_embed[:, 1:], resampled.flatten(2).transpose(1, 2))


def test_positions_of_no_grid_do_not_fit(hf_vit_folder, hf_vit_state):
    positions = {"vit.embeddings.position_embeddings": torch.zeros(1, 12, 24)}
    save_file({**hf_vit_state, **positions}, hf_vit_folder / "model.safetensors")
    with pytest.raises(DataError, match=r"does not fit .*11 position embeddings are those of no square"):
        built(HFBackbone(name=str(hf_vit_folder)))


@pytest.fixture
def dino_folder(tmp_path):
    """Two weight files beside one configuration."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    kind = transformers.Dinov2ForImageClassification
    kind(transformers.Dinov2Config(**HF_DINO, num_labels=9)).save_pretrained(tmp_path / "dino")
    state = {name: tensor + 1 for name, tensor in load_file(tmp_path / "dino/model.safetensors").items()}
    save_file(state, tmp_path / "dino/epoch9.safetensors")
    return tmp_path / "dino"


@pytest.mark.parametrize("as_name", [True, False])
def test_a_named_file_is_the_one_that_is_read(dino_folder, as_name):
    file = str(dino_folder / "epoch9.safetensors")
    spec = HFBackbone(name=file, **HALF) if as_name else HFBackbone(name="dino", pretrained=file, **HALF)
    first, ninth = built(HFBackbone(name=str(dino_folder), **HALF)), built(spec)
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(ninth.state_dict()[name], tensor + 1)


def test_a_folder_that_does_not_say_mean_and_std_asks_for_them(hf_vit_folder):
    (hf_vit_folder / "preprocessor_config.json").write_text('{"do_resize": true}')
    spec = HFBackbone(name=str(hf_vit_folder))
    with pytest.raises(UnavailableError, match=r"set model.backbone.mean and model.backbone.std"):
        pinned(ModelSpec(backbone=spec))
    (hf_vit_folder / "preprocessor_config.json").unlink()
    with pytest.raises(UnavailableError, match=r"set model.backbone.mean and model.backbone.std"):
        pinned(ModelSpec(backbone=spec))
    scratch, given = spec.changed({"pretrained": "none"}), spec.changed(HALF)
    for usable in (scratch, given):
        assert input_needs(pinned(ModelSpec(backbone=usable))).mean == (0.5,) * 3


@pytest.mark.parametrize(
    ("said", "size", "crop_fraction"),
    [
        ({}, 32, 1.0),
        ({"do_center_crop": True, "size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 48}}, 48, 0.75),
        ({"do_center_crop": False, "size": {"height": 64, "width": 64}, "crop_size": 48}, 32, 1.0),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 32, 0.875),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, 32, 1.0),
    ],
)
def test_the_preprocessor_says_which_middle_is_kept(hf_vit_folder, said, size, crop_fraction):
    (hf_vit_folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False, **said}))
    needs = input_needs(pinned(ModelSpec(backbone=HFBackbone(name=str(hf_vit_folder)))))
    assert (needs.size, needs.crop_fraction) == ((size, size), crop_fraction)


def test_a_description_that_cannot_be_fetched_is_not_taken_for_none(monkeypatch):
    spec = HFBackbone(name="someone/some-vit", config=HF_VIT)
    with pytest.raises(UnavailableError, match=r"preprocessor_config.json .* not here: HF_HUB_OFFLINE") as caught:
        pinned(ModelSpec(backbone=spec))
    assert "model.backbone.mean" in str(caught.value)
    monkeypatch.setattr(hf_files, "cached", lambda *_: False)
    with pytest.raises(UnavailableError, match="there is none, or it does not say them"):
        pinned(ModelSpec(backbone=spec))


def test_the_hub_s_cache_knows_what_is_there_and_what_is_not(tmp_path):
    place = tmp_path / "hub/models--a--b"
    for file in ("refs/main", ".no_exist/1/none.json", "snapshots/1/some.json"):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text("1")
    assert hub.cached("a/b", "some.json") == Path(place / "snapshots/1/some.json")
    assert hub.cached("a/b", "none.json") is False
    assert hub.cached("a/b", "other.json") is None
    assert hub.cached("./no/name", "some.json") is None


@pytest.mark.parametrize(
    ("config", "multiple"),
    [
        ({"model_type": "siglip", "vision_config": {**VISION, "patch_size": 8, "image_size": 32}}, 8),
        ({"model_type": "clip", "vision_config": VISION}, 32),
        ({"model_type": "dinov2", **VISION}, 14),
        ({"model_type": "vit", **VISION}, 16),
        (CONVNEXT, 32),
        ({"model_type": "swin", "depths": [1, 1], "num_heads": [1, 2], "embed_dim": 8}, 32),
        ({"model_type": "resnet", "hidden_sizes": [8], "depths": [1], "embedding_size": 8}, 1),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_sides_are_multiples_of_what_the_network_cuts_into(config, multiple):
    pytest.importorskip("transformers")
    spec = HFBackbone(name="tiny", pretrained="none", config=config)
    assert input_needs(ModelSpec(backbone=spec)).multiple == multiple


def test_a_size_that_the_network_refuses_is_a_recipe_error():
    pytest.importorskip("transformers")
    vision = {**VISION, "patch_size": 8, "image_size": 32}
    spec = HFBackbone(name="tiny", pretrained="none", config={"model_type": "clip", "vision_config": vision})
    assert built(spec).num_features == 24
    with pytest.raises(RecipeError, match=r"cannot take pictures of 64x32 .*squares or one size only"):
        built(spec, 32, 64)
