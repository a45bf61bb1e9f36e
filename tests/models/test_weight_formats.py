"""Weights as timm, Transformers and torchvision write them: the same numbers, any size, a sentence for every fault."""

import builtins
import json

import pytest
import timm
import torch
from safetensors.torch import save, save_file
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torchvision.models import resnet18, shufflenet_v2_x0_5
from torchvision.models.vision_transformer import VisionTransformer

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.models import build_classifier, input_needs, pinned
from obverse.models.backbones import torchvision_backbone
from obverse.models.backbones.vit import ViTShape, build_vit, fill_vit
from obverse.models.build import _build_backbone
from obverse.models.weights import hub
from obverse.models.weights.vit_formats import timm_names
from obverse.models.weights.weight_files import find_weights, read_weights
from obverse.recipe import ALIASES, HFBackbone, ModelSpec, TimmBackbone, TorchvisionBackbone

IMAGES = torch.randn(2, 3, 32, 32)
SHAPE = ViTShape(patch=8, width=24, depth=2, heads=3, mlp_ratio=2)
TINY = {"depth": 2, "embed_dim": 24, "num_heads": 3, "patch_size": 8, "mlp_ratio": 2.0}


def built(backbone, height=32, width=32):
    return _build_backbone(ModelSpec(backbone=backbone), height=height, width=width, load_weights=True).eval()


def answers(model, images=IMAGES):
    with torch.no_grad():
        return model(images)


def test_torchvision_s_vit_is_timm_s():
    torch.manual_seed(0)
    theirs = VisionTransformer(32, 8, 2, 3, 24, 48, num_classes=5).eval()
    ours = build_vit(SHAPE, height=32, width=32).eval()
    fill_vit(ours, timm_names(theirs.state_dict()), source="test", name="vit")
    theirs.heads = torch.nn.Identity()
    torch.testing.assert_close(answers(ours), answers(theirs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_transformers_vit_is_timm_s(prefix, hf_vit_state, hf_vit_folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.ViTForImageClassification.from_pretrained(hf_vit_folder, num_labels=7).eval()
    theirs.classifier = torch.nn.Identity()
    state = {name.removeprefix("vit.") if not prefix else name: value for name, value in hf_vit_state.items()}
    ours = build_vit(ViTShape(8, 24, 2, 3, 2, eps=1e-12), height=32, width=32).eval()
    fill_vit(ours, timm_names(state), source="test", name="vit")
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), theirs(IMAGES).logits, atol=1e-5, rtol=1e-5)
    fill_vit(ours, timm_names(theirs.state_dict()), source="test", name="vit")  # the names of Transformers 5
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), theirs(IMAGES).logits, atol=1e-5, rtol=1e-5)


def test_an_hf_folder_needs_no_transformers(hf_vit_folder, hf_vit_state, monkeypatch):
    forbid_transformers(monkeypatch)
    spec = pinned(ModelSpec(backbone=HFBackbone(name=str(hf_vit_folder))))
    assert spec.backbone.config["hidden_size"] == 24
    assert "id2label" not in spec.backbone.config
    needs = input_needs(spec)
    assert (needs.multiple, needs.mean, needs.std) == (8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    model = built(spec.backbone)
    assert torch.equal(model.norm.weight, hf_vit_state["vit.layernorm.weight"])
    keys = hf_vit_state["vit.encoder.layer.1.attention.attention.key.weight"]
    assert torch.equal(model.blocks[1].attn.qkv.weight[24:48], keys)
    (hf_vit_folder / "config.json").unlink()
    (hf_vit_folder / "preprocessor_config.json").unlink()
    assert input_needs(spec) == needs, "a resolved recipe needs nothing but the weights"


@pytest.mark.parametrize(("height", "width"), [(16, 64), (40, 40)])
def test_positions_are_resampled_to_the_picture(hf_vit_folder, hf_vit_state, height, width):
    model = built(HFBackbone(name=str(hf_vit_folder)), height, width)
    grid = hf_vit_state["vit.embeddings.position_embeddings"][:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    resampled = torch.nn.functional.interpolate(grid, (height // 8, width // 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(model.pos_embed[:, 1:], resampled.flatten(2).transpose(1, 2))
    assert torch.equal(model.pos_embed[:, :1], hf_vit_state["vit.embeddings.position_embeddings"][:, :1])


def test_a_timm_name_takes_all_three_formats(hf_vit_folder, tmp_path):
    spec = TimmBackbone(name="vit_tiny_patch16_224", options=TINY, pretrained=str(hf_vit_folder))
    from_hf = built(spec)
    torch.manual_seed(1)
    theirs = VisionTransformer(32, 8, 2, 3, 24, 48, num_classes=5)
    torch.save(theirs.state_dict(), tmp_path / "torchvision.pth")
    from_torchvision = built(spec.changed({"pretrained": str(tmp_path / "torchvision.pth")}))
    assert torch.equal(from_torchvision.norm.weight, theirs.encoder.ln.weight)
    assert torch.equal(from_torchvision.patch_embed.proj.weight, theirs.conv_proj.weight)
    assert not torch.equal(from_hf.patch_embed.proj.weight, from_torchvision.patch_embed.proj.weight)
    assert "state_dict" not in from_hf.pretrained_cfg


def test_a_timm_folder_says_its_own_statistics(tmp_path):
    model = TimmViT(img_size=32, num_classes=4, **TINY)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    values = {
        "architecture": "vit_tiny_patch16_224",
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    backbone = TimmBackbone(name="vit_tiny_patch16_224", options=TINY, pretrained=str(tmp_path))
    spec = pinned(ModelSpec(backbone=backbone))
    assert (spec.backbone.mean, spec.backbone.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(RecipeError, match="is a model of timm: say kind: timm, name: vit_tiny_patch16_224"):
        input_needs(ModelSpec(backbone=HFBackbone(name=str(tmp_path))))
    other = TimmBackbone(name="resnet18", pretrained=str(tmp_path))
    with pytest.raises(DataError, match="holds `vit_tiny_patch16_224`, and the recipe says `resnet18`"):
        pinned(ModelSpec(backbone=other))


def test_a_file_of_another_library_does_not_get_the_statistics_of_timm_s_weights(hf_vit_folder, tmp_path):
    theirs = VisionTransformer(32, 8, 2, 3, 24, 48, num_classes=5)
    torch.save(theirs.state_dict(), tmp_path / "torchvision.pth")
    spec = TimmBackbone(name="vit_tiny_patch16_224", options=TINY, pretrained=str(tmp_path / "torchvision.pth"))
    needs = input_needs(pinned(ModelSpec(backbone=spec)))
    assert (needs.mean, needs.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    own = spec.changed({"mean": (0.1, 0.2, 0.3)})
    assert pinned(ModelSpec(backbone=own)).backbone.mean == (0.1, 0.2, 0.3)
    from_hf = spec.changed({"pretrained": str(hf_vit_folder)})
    assert input_needs(pinned(ModelSpec(backbone=from_hf))).mean == (0.1, 0.2, 0.3)
    (hf_vit_folder / "preprocessor_config.json").unlink()
    with pytest.raises(UnavailableError, match=r"comes from Transformers.*set model.backbone.mean"):
        pinned(ModelSpec(backbone=from_hf))


def test_torchvision_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    theirs = shufflenet_v2_x0_5(num_classes=7)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    model = built(TorchvisionBackbone(name="shufflenet_v2_x0_5", pretrained=str(tmp_path / "weights.pth")), 64, 64)
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(answers(model, images), answers(theirs.eval(), images))
    with pytest.raises(DataError, match="does not hold `resnet18`"):
        built(TorchvisionBackbone(name="resnet18", pretrained=str(tmp_path / "weights.pth")), 64, 64)


def test_a_resnet_of_timm_takes_torchvision_s_file(tmp_path):
    torch.manual_seed(0)
    theirs = resnet18().eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    model = built(TimmBackbone(name="resnet18", pretrained=str(tmp_path / "resnet18.pth")), 48, 64)
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 48, 64)
    torch.testing.assert_close(answers(model, images), answers(theirs, images), atol=1e-5, rtol=1e-5)


def test_weights_of_torchvision_say_their_statistics_and_are_pinned():
    spec = pinned(ModelSpec(backbone=TorchvisionBackbone(name="resnet50")))
    assert spec.backbone.name == "resnet50.IMAGENET1K_V2"
    assert input_needs(spec).mean == (0.485, 0.456, 0.406)
    for name in ("inception_v3", "googlenet"):  # they turn ImageNet's statistics into these themselves
        assert input_needs(ModelSpec(backbone=TorchvisionBackbone(name=name))).mean == (0.5, 0.5, 0.5)
    assert input_needs(ModelSpec(backbone=TorchvisionBackbone(name="vit_l_32"))).multiple == 32


def test_weights_say_which_pictures_they_know(tmp_path):
    needs = input_needs(ModelSpec(backbone=TorchvisionBackbone(name="resnet50.IMAGENET1K_V2")))
    assert (needs.size, needs.crop_fraction) == ((224, 224), pytest.approx(224 / 232))
    needs = input_needs(ModelSpec(backbone=TimmBackbone(name="resnet18.a1_in1k")))
    assert (needs.size, needs.crop_fraction) == ((224, 224), 0.95)
    assert input_needs(ModelSpec(backbone=TimmBackbone(name="test_vit.r160_in1k"))).size == (160, 160)
    values = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 96, 192], "crop_pct": 0.8}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    needs = input_needs(ModelSpec(backbone=TimmBackbone(name="resnet18", pretrained=str(tmp_path))))
    assert (needs.size, needs.crop_fraction) == ((96, 192), 0.8)
    needs = input_needs(ModelSpec(backbone=TimmBackbone(name="resnet18", pretrained="none")))
    assert (needs.size, needs.crop_fraction) == (None, 1.0)


def test_aliases_are_pinned_timm_names():
    for alias, name in ALIASES.items():
        backbone = TimmBackbone(name=alias)
        assert backbone.name == name
        assert timm.models.get_pretrained_cfg(name).tag == name.partition(".")[2]
    sizes = {}
    for alias in ("vit-small", "vit-base", "vit-large"):
        with torch.device("meta"):
            model = build_classifier(
                ModelSpec(backbone=TimmBackbone(name=alias, pretrained="none")),
                num_views=1, num_classes=1000, height=224, width=224,
            )  # fmt: skip
        sizes[alias] = int(model.num_parameters() / 1e6)
    assert sizes == {"vit-small": 22, "vit-base": 86, "vit-large": 304}


def test_a_name_without_a_tag_gets_the_one_that_is_taken_today():
    assert pinned(ModelSpec(backbone=TimmBackbone(name="resnet50"))).backbone.name == "resnet50.a1_in1k"
    scratch = ModelSpec(backbone=TimmBackbone(name="resnet50", pretrained="none"))
    assert pinned(scratch) == scratch


def test_shards_are_one_state(tmp_path, hf_vit_state):
    names = sorted(hf_vit_state)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: hf_vit_state[name] for name in part}, tmp_path / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert find_weights(str(tmp_path)).name == "model.safetensors.index.json"
    torch.testing.assert_close(read_weights(find_weights(str(tmp_path))), hf_vit_state)


def test_training_loops_wrap_their_weights(tmp_path, hf_vit_state):
    wrapped = {f"module.{name}": value for name, value in hf_vit_state.items()}
    torch.save({"epoch": 3, "model_state_dict": wrapped, "optimizer": {}}, tmp_path / "best.pth")
    torch.testing.assert_close(read_weights(find_weights(str(tmp_path))), hf_vit_state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_no_number_in_a_file_is_refused_with_file_and_tensor(tmp_path, name, value):
    state, path = {"a": torch.ones(2), "b.weight": torch.tensor([1.0, value]).bfloat16()}, tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save({"model": state}, path)
    with pytest.raises(DataError, match=rf"{name}'.* b\.weight holds NaN or infinity"):
        read_weights(path)
    assert set(read_weights(path, "meta")) == {"a", "b.weight"}


def test_tensors_that_lie_deeper_are_named(tmp_path):
    inner = {"a": torch.ones(2), "b": torch.ones(2)}
    torch.save({"epoch": torch.tensor(3), "foo": {"bar": inner}}, tmp_path / "deep.pt")
    with pytest.raises(DataError, match=r"its tensors lie deeper, under \['foo'\]\['bar'\]; save"):
        read_weights(tmp_path / "deep.pt", "meta")


def test_a_folder_with_several_files_names_them(tmp_path):
    for number in range(7):
        (tmp_path / f"w{number}.pth").touch()
    with pytest.raises(UnavailableError, match=r"7 weight files; name one: w0\.pth, .*, w4\.pth and 2 more$"):
        find_weights(str(tmp_path))


def forbid_transformers(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.partition(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)


def test_an_architecture_that_needs_the_package_says_so(monkeypatch):
    forbid_transformers(monkeypatch)
    spec = HFBackbone(name="tiny", pretrained="none", config={"model_type": "resnet"})
    with pytest.raises(UnavailableError, match=r"not installed; pip install 'obverse\[hf\]'") as caught:
        built(spec)
    assert caught.value.exit_code == 69


def test_a_transformers_folder_of_another_kind(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=32, patch_size=8, num_labels=9
    )
    torch.manual_seed(0)
    theirs = transformers.Dinov2ForImageClassification(config).eval()
    theirs.save_pretrained(tmp_path / "dino")
    statistics = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    model = built(pinned(ModelSpec(backbone=HFBackbone(name=str(tmp_path / "dino"), **statistics))).backbone)
    assert model.num_features == 48
    theirs.classifier = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES), theirs(IMAGES).logits)
    broken = read_weights(tmp_path / "dino" / "model.safetensors")
    broken.pop("dinov2.layernorm.weight")
    save_file(broken, tmp_path / "dino" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 of \d+ tensors are missing, the first is .*layernorm.weight"):
        built(HFBackbone(name=str(tmp_path / "dino")))


FAULTS = {
    "no config": ("config.json", None, UnavailableError, "no config.json"),
    "broken config": ("config.json", b"{", DataError, "read as JSON"),
    "empty config": ("config.json", b"{}", UnavailableError, "no config.json"),
    "no kind": ("config.json", b'{"hidden_size": 24}', DataError, "does not say its model_type"),
    "odd config": ("config.json", b'{"model_type": "vit", "hidden_size": "x"}', DataError, "is none of a ViT"),
    "heads": ("config.json", b'{"model_type": "vit", "hidden_size": 25}', DataError, "12 heads do not share 25"),
    "no weights": ("model.safetensors", None, UnavailableError, "no weight file"),
    "damaged": ("model.safetensors", b"junk", DataError, "is not a weight file that can be read"),
    "other weights": ("model.safetensors", save({"a": torch.zeros(1)}), DataError, "tensors are missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_faulty_folder_is_a_sentence(hf_vit_folder, fault):
    file, content, error, sentence = FAULTS[fault]
    if content is None:
        (hf_vit_folder / file).unlink()
    else:
        (hf_vit_folder / file).write_bytes(content)
    with pytest.raises(error, match=sentence) as caught:
        built(HFBackbone(name=str(hf_vit_folder)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (HFBackbone(name="someone/some-vit"), "`someone/some-vit` are not here and the hub cannot be reached"),
        (HFBackbone(name="./no/such/folder"), "neither a folder here nor a name on the hub"),
        (TorchvisionBackbone(name="resnet18"), "are not here and torchvision's server cannot be reached"),
        (TimmBackbone(name="resnet-50"), "`resnet50.a1_in1k` are not here and the hub cannot be reached"),
    ],
)
def test_offline_says_the_ways(spec, sentence, monkeypatch, tmp_path):
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UnavailableError, match=sentence) as caught:
        built(spec, 64, 64)
    for way in ("connect to the network", "model.backbone.pretrained=path/to/", "pretrained=none"):
        assert way in str(caught.value)


def test_behind_a_proxy_the_proxy_is_asked(monkeypatch):
    asked = []

    class Connection:
        def close(self):
            asked.append("closed")

    monkeypatch.setattr("socket.create_connection", lambda address, **_: asked.append(address) or Connection())
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert hub.why_unreachable("https://weights.example/file", "it") is None
    assert hub.why_unreachable("https://inside.example/file", "it") is None
    assert asked == [("proxy.example", 3128), "closed", ("inside.example", 443), "closed"]


def test_torchvision_weights_in_torch_s_cache_need_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(hub.socket, "create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    spec = TorchvisionBackbone(name="resnet18")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").touch()
    assert torchvision_backbone.why_unavailable(spec) is None


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (TorchvisionBackbone(name="resnet51"), r"no classification model `resnet51` \(did you mean `resnet50`"),
        (TorchvisionBackbone(name="resnet50.V9"), "no weights `V9` of `resnet50`; it has IMAGENET1K_V1"),
        (
            TorchvisionBackbone(name="resnet18", options={"embed_dim": 2}, pretrained="none"),
            "does not take these options",
        ),
        (TorchvisionBackbone(name="alexnet", pretrained="none"), "cannot take pictures of 16x16"),
    ],
)
def test_recipes_that_cannot_be_built(spec, sentence):
    with pytest.raises(RecipeError, match=sentence):
        built(pinned(ModelSpec(backbone=spec)).backbone, 16, 16)
