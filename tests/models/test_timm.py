"""timm backbones: odd sizes, statistics of the weights, local files, and what is said when weights cannot be had."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import DropPath

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.models import build_classifier, input_needs, parameter_groups, undecayed_names
from obverse.models.backbones import timm_backbone
from obverse.models.backbones.timm_backbone import build_timm, size_multiple, why_unavailable
from obverse.recipe import ConcatFusion, ModelSpec, TimmBackbone

TINY = {"depth": 1, "embed_dim": 48, "num_heads": 3}
VIT = "vit_tiny_patch16_224"


def vit(**fields):
    return TimmBackbone(**{"name": VIT, "pretrained": "none", "options": TINY, **fields})


def classifier(spec=None, num_views=1, **fields):
    model = ModelSpec(backbone=spec or vit(), **fields)
    return build_classifier(model, num_views=num_views, num_classes=4, height=64, width=96)


def test_attention_biases_are_never_those_of_earlier_weights():
    net = build_timm(TimmBackbone(name="tiny_vit_5m_224", pretrained="none"), height=64, width=64).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        net(images)
        for name, parameter in net.named_parameters():
            if name.endswith("attention_biases"):
                parameter.normal_()
        now = net(images)
        torch.testing.assert_close(net.train().eval()(images), now, rtol=0, atol=0)


def test_a_vit_takes_rectangular_pictures():
    model = classifier().eval()
    assert model(torch.randn(2, 1, 3, 64, 96), torch.ones(2, 1, dtype=torch.bool)).shape == (2, 4)
    assert model.backbones[0].pos_embed.shape[1] == 1 + 4 * 6


def test_norms_biases_tokens_and_embeddings_are_not_decayed():
    model = classifier(num_views=2, fusion=ConcatFusion())
    undecayed = undecayed_names(model)
    wanted = {"backbones.0.pos_embed", "backbones.0.cls_token", "fusion.missing_VD", "backbones.0.norm.weight"}
    assert wanted <= undecayed
    names = dict(model.named_parameters())
    decayed = set(names) - undecayed
    assert {"head.0.weight", "backbones.0.blocks.0.attn.qkv.weight", "backbones.0.patch_embed.proj.weight"} <= decayed
    assert not [name for name in decayed if "norm" in name or name.endswith("bias")]


def test_groups_hold_every_trainable_parameter_once():
    model = classifier(num_views=2, fusion=ConcatFusion())
    model.head[0].bias.requires_grad_(False)
    decayed, rest = parameter_groups(model, 0.3)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    grouped = [id(p) for group in (decayed, rest) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert id(model.fusion.missing_VD) in {id(p) for p in rest["params"]}


@pytest.mark.parametrize(
    ("name", "multiple"),
    [
        (VIT, 16),
        ("vit_small_patch14_dinov2", 14),
        ("swin_tiny_patch4_window7_224", 32),
        ("resnet18", 1),
        ("test_convnext", 32),
        ("naflexvit_base_patch16_gap", 16),
        ("coat_tiny", 32),
        ("crossvit_9_240", 240),
    ],
)
def test_the_multiple_comes_from_the_model(name, multiple):
    assert size_multiple(TimmBackbone(name=name)) == multiple


def test_mean_and_std_come_from_the_weights_and_can_be_overridden():
    assert input_needs(ModelSpec(backbone=vit(name=f"{VIT}.augreg_in21k_ft_in1k"))).mean == (0.5, 0.5, 0.5)
    assert input_needs(ModelSpec(backbone=TimmBackbone(name="resnet18.a1_in1k"))).mean == (0.485, 0.456, 0.406)
    needs = input_needs(ModelSpec(backbone=vit(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))))
    assert (needs.mean, needs.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("name", "options"),
    [(VIT, {**TINY, "depth": 2}), ("test_resnet", {}), ("test_convnext", {}), ("test_efficientnet", {})],
)
def test_drop_rates_reach_the_model(name, options):
    """Stochastic depth by one field, in networks of patches and of convolutions."""
    model = build_timm(TimmBackbone(name=name, drop_path_rate=0.3, pretrained="none", options=options),
                       height=32, width=32)  # fmt: skip
    rates = [part.drop_prob for part in model.modules() if isinstance(part, DropPath)]
    assert rates == sorted(rates)
    assert 0.15 <= rates[-1] <= 0.3 + 1e-6


@pytest.fixture
def weight_file(tmp_path):
    torch.manual_seed(7)
    model = timm.create_model(VIT, num_classes=5, **TINY)
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    return path, model


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_local_file_gives_its_own_features(weight_file, as_folder):
    path, model = weight_file
    spec = vit(pretrained=str(path.parent if as_folder else path))
    images = torch.randn(2, 3, 224, 224)
    loaded = build_timm(spec, height=224, width=224).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), model.eval().forward_head(model.forward_features(images), True))


def test_a_local_pth_of_a_training_loop_is_read_too(weight_file, tmp_path):
    _, model = weight_file
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "model.pth")
    loaded = build_timm(vit(pretrained=str(tmp_path / "model.pth")), height=224, width=224)
    assert torch.equal(loaded.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.weight)


def test_a_local_file_fits_other_sizes(weight_file):
    path, model = weight_file
    loaded = build_timm(vit(pretrained=str(path)), height=64, width=96)
    assert loaded.pos_embed.shape[1] == 1 + 24
    assert torch.equal(loaded.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize("source", ["file", "hub"])
@pytest.mark.parametrize("name", [VIT, "cait_xxs24_224", "convit_tiny", "vitamin_small_224"])
def test_another_grid_of_as_many_patches_is_resampled(name, source, tmp_path, monkeypatch):
    """7x28 patches are as many as 14x14; timm itself resamples by their number, or for some models only."""
    options = {"embed_dim": 48, "num_heads": 3, "depth": 1} if name == VIT else {}
    torch.manual_seed(0)
    own = timm.create_model(name, num_classes=0, **options).state_dict()
    save_file(own, tmp_path / "model.safetensors")
    create = timm.create_model

    def cached(*names, pretrained=False, **fields):
        overlay = {"pretrained_cfg_overlay": {"state_dict": own, "custom_load": False}} if pretrained else {}
        return create(*names, pretrained=pretrained, **fields, **overlay)

    if source == "hub":
        monkeypatch.setattr(timm_backbone, "require_hub", lambda _: None)
        monkeypatch.setattr(timm, "create_model", cached)
    pretrained = "hub" if source == "hub" else str(tmp_path)
    model = build_timm(vit(name=name, options=options, pretrained=pretrained), height=112, width=448)
    grid = own["pos_embed"][:, -196:].transpose(1, 2).unflatten(2, (14, 14))
    wanted = torch.nn.functional.interpolate(grid, (7, 28), mode="bicubic", antialias=True).flatten(2)
    torch.testing.assert_close(model.pos_embed.detach()[:, -196:], wanted.transpose(1, 2))


def test_load_weights_false_reads_no_file():
    model = build_timm(vit(pretrained="nowhere.safetensors"), height=32, width=32, load_weights=False)
    assert model.num_features == 48


def test_a_file_of_another_model_is_a_data_error(tmp_path):
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"does not hold `vit_tiny_patch16_224`: 18 of 18 tensors are missing"):
        build_timm(vit(pretrained=str(tmp_path / "other.safetensors")), height=32, width=32)


def test_a_file_of_another_width_is_a_data_error(weight_file):
    path, _ = weight_file
    with pytest.raises(DataError, match=r"^'.*model.safetensors' does not fit `vit_tiny_patch16_224`"):
        build_timm(vit(pretrained=str(path), options={**TINY, "embed_dim": 96}), height=32, width=32)


@pytest.mark.parametrize("name", ["junk.safetensors", "junk.pth"])
def test_junk_is_a_data_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04 this is not a weight file")
    with pytest.raises(DataError, match="is not a weight file"):
        build_timm(vit(pretrained=str(tmp_path / name)), height=32, width=32)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(DataError, match="safely"):
        build_timm(vit(pretrained=str(tmp_path / "bomb.pth")), height=32, width=32)
    assert not (tmp_path / "ran").exists()


def test_a_missing_file_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match=r"no file .*\(or say `hub` or `none`\)") as caught:
        build_timm(vit(pretrained=str(tmp_path / "no.safetensors")), height=32, width=32)
    assert caught.value.exit_code == 69


def test_an_unreachable_hub_is_said_with_ways_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(timm_backbone, "why_unavailable", lambda name: "the hub cannot be reached")
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("a model was built"))
    with pytest.raises(UnavailableError) as caught:
        build_timm(vit(pretrained="hub"), height=32, width=32)
    for part in (f"`{VIT}` are not here", "hub cannot be reached", "connect to the network", "path/to", "=none"):
        assert part in str(caught.value)


def test_offline_is_asked_of_the_hub_s_own_setting(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert why_unavailable(VIT) == "HF_HUB_OFFLINE forbids downloading"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    assert why_unavailable(VIT) == "the hub cannot be reached"


def test_cached_weights_need_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path))
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    assert why_unavailable(VIT) is None


def test_a_name_without_published_weights_is_said():
    assert why_unavailable("vit_tiny_patch16_384_nothing") == "timm publishes none under this name"


@pytest.mark.parametrize("name", ["vit_tinny_patch16_224", "vit_tiny_patch16_224.nonsense"])
def test_an_unknown_name_gets_a_near_one(name):
    with pytest.raises(RecipeError, match=r"timm has no model .*did you mean `vit_tiny_patch16_224"):
        input_needs(ModelSpec(backbone=vit(name=name)))
    with pytest.raises(RecipeError, match="did you mean"):
        build_timm(vit(name=name), height=32, width=32)


def test_an_option_the_model_does_not_take_is_a_recipe_error():
    with pytest.raises(RecipeError, match="does not take these"):
        build_timm(vit(options={"cardinality": 2}), height=32, width=32)
    with pytest.raises(RecipeError, match="does not take these"):
        size_multiple(vit(options={"cardinality": 2}))


@pytest.mark.parametrize("name", ["vgg11", "ghostnet_050", "hgnet_tiny"])
def test_the_head_fits_what_comes_out(name):
    with torch.device("meta"):
        model = classifier(TimmBackbone(name=name, pretrained="none"), view_heads={}, num_views=2)
        logits = model(torch.empty(2, 2, 3, 64, 96), torch.ones(2, 2, dtype=torch.bool), each_view=True)
    assert logits.shape == (2, 3, 4)


@pytest.mark.parametrize("options", [{"embed_dim": 25}, {"num_heads": 0}, {"global_pool": "x"}])
def test_an_option_of_no_use_is_a_recipe_error(options):
    with pytest.raises(RecipeError, match="does not take these"):
        build_timm(vit(options={**TINY, **options}), height=32, width=32)


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("efficientformer_l1", (256, 256), "cannot take pictures of 256x256"),
        ("crossvit_9_240", (224, 224), "cannot take pictures of 224x224"),
        ("nest_tiny", (224, 448), "Model only handles square inputs"),
    ],
)
def test_a_size_that_the_model_refuses_is_a_recipe_error(name, size, sentence):
    with pytest.raises(RecipeError, match=sentence):
        build_timm(TimmBackbone(name=name, pretrained="none"), height=size[0], width=size[1])


def test_an_auto_backbone_is_not_built():
    with pytest.raises(RecipeError, match="still `auto`"):
        build_classifier(ModelSpec(), num_views=1, num_classes=2, height=32, width=32)
