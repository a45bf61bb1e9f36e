"""The choice of backbone and size before a training: by measurement, by cost where the measurement cannot tell."""

import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import obverse
from obverse.cli.main import app
from obverse.errors import DataError, RecipeError
from obverse.evaluation import Predictions
from obverse.experiment import resolve
from obverse.manifest import build_index
from obverse.metrics import metric_of
from obverse.probing import Candidate, choice, choose_backbone, contestants
from obverse.recipe import AutoBackbone, Size, TimmBackbone, load_recipe

FIXED = {
    "device": "cpu",
    "precision": "fp32",
    "channels_last": False,
    "matmul": "highest",
    "num_threads": 1,
    "num_workers": 0,
    "compile": False,
}
SETTINGS = {"data.size": 32, "evaluation.maps": 0, **{f"runtime.{name}": value for name, value in FIXED.items()}}
QUICK = {"epochs": 1, "progress": False, "settings": SETTINGS}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    """Forty pictures of 80 pixels, of two classes."""
    return draw_classes(tmp_path_factory.mktemp("choice") / "data", per_class=20, size=(80, 80))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, vit_weights):
    """A folder of two weight files of one network: the first is blind, because its first layer is zero."""
    path = tmp_path_factory.mktemp("several")
    state = load_file(vit_weights)
    save_file(state, path / "sees.safetensors")
    state["patch_embed.proj.weight"].zero_()
    save_file(state, path / "blind.safetensors")
    return path


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """Weights of a network of the same kind with three times the layers."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("larger") / "larger.safetensors"
    save_file(timm.create_model("test_vit", depth=18, num_classes=0).state_dict(), path)
    return path


@pytest.fixture
def obverse_lines():
    """Lines that the command prints."""

    def lines(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return lines


def chosen(data, *, weights, settings=()):
    """The recipe after the choice, and the messages."""
    fixed = [f"runtime.{name}={str(value).lower()}" for name, value in FIXED.items()]
    recipe = load_recipe("auto", [*fixed, *settings])
    recipe = recipe.changed({"model.backbone": AutoBackbone(pretrained=weights)})
    index, messages = build_index(data, recipe.data), []
    return choose_backbone(recipe, index, messages.append), messages


def test_the_backbone_that_tells_the_classes_apart_is_trained_and_said(data, folder, tmp_path):
    run = obverse.train(data, run=tmp_path / "run", weights=folder, **QUICK)
    backbone = load_recipe(run.path / "recipe.yaml").model.backbone
    assert (backbone.kind, backbone.pretrained) == ("timm", str(folder / "sees.safetensors"))
    (line,) = [line for line in run.messages if ", next " in line]
    found = re.fullmatch(r"\S+ \(sees\.safetensors\): (\d+) % \((\d+) to (\d+)\), next "
                         r"\S+ \(blind\.safetensors\): (\d+) % \((\d+) to (\d+)\)", line)  # fmt: skip
    best, low, _, other, _, other_high = map(int, found.groups())
    assert best > 90 > 70 > other
    assert low > other_high
    seen = {split: json.loads((run.path / f"evaluation/{split}/metrics.json").read_text())["seen"]["chosen"]
            for split in ("val", "test")}  # fmt: skip
    assert "the backbone (of 2)" in seen["val"]
    assert seen["test"] == []


def test_the_same_command_chooses_the_same_and_a_resumed_run_does_not_measure(data, folder, tmp_path, monkeypatch):
    first, again = (chosen(data, weights=(str(folder),)) for _ in range(2))
    assert first == again
    run = obverse.train(data, run=tmp_path / "run", weights=[folder / "sees.safetensors", folder / "blind.safetensors"],
                        **QUICK)  # fmt: skip
    assert load_recipe(run.path / "recipe.yaml").model.backbone.pretrained == first[0].model.backbone.pretrained
    (run.path / "training_log.json").unlink()
    monkeypatch.setattr(choice, "at_hand", lambda *args: pytest.fail("measured again"))
    assert obverse.resume(run.path, progress=False).path == run.path


def test_of_equally_good_backbones_the_one_that_computes_less_is_taken(data, vit_weights, larger, monkeypatch):
    monkeypatch.setattr(choice, "_is_close", lambda trial, best, select: True)
    recipe, messages = chosen(data, weights=(str(larger), str(vit_weights)), settings=["data.size=32"])
    assert recipe.model.backbone.pretrained == str(vit_weights)
    best = next(line for line in messages if ", next " in line)
    assert best.startswith(f"vit_tiny_patch16_224 ({vit_weights.name})")


def test_close_is_within_one_standard_error_of_the_paired_difference():
    def trial(wrong):
        is_right_N = torch.tensor([n not in wrong for n in range(100)])
        right_N2 = torch.stack([is_right_N, ~is_right_N], 1).numpy().astype("float32")
        truth_N, ids = np.zeros(100, np.int64), tuple(map(str, range(100)))
        run = Predictions(split="val", classes=("a", "b"), ids=ids, truth=truth_N, probabilities_NK=right_N2)
        return SimpleNamespace(measured=SimpleNamespace(runs=(run,)))

    accuracy = metric_of("accuracy", label_sets=False)
    best = trial(range(10))
    assert choice._is_close(best, best, accuracy)
    # 4 and 3 samples that only one has right: a difference of 0.01 with a standard error of 0.026.
    assert choice._is_close(trial(range(3, 14)), best, accuracy)
    # 9 that only the best has right: 0.09 with 0.029.
    assert not choice._is_close(trial(range(19)), best, accuracy)


@pytest.mark.parametrize(("quality", "size"), [("as good", "auto"), ("better", 80)])
def test_pictures_with_few_pixels_are_measured_at_half_the_size(data, folder, monkeypatch, quality, size):
    monkeypatch.setattr(choice, "_is_ahead", lambda trial, own, select: quality == "better")
    recipe, messages = chosen(data, weights=(str(folder),))
    assert recipe.evaluation.val_chose == ("the backbone (of 2)", "the input size (of 2)")
    assert recipe.data.size == (size if size == "auto" else Size(height=size, width=size))
    assert re.search(r"^input size 160: 100 % .*; 80: 100 % ", messages[-1])


def test_which_sizes_are_measured(data):
    index = build_index(data, load_recipe("auto").data)

    def sizes(own, *settings):
        row = SimpleNamespace(size=own)
        return [(size.width, size.height) for size in choice._sizes(load_recipe("auto", settings), row, index)]

    assert sizes("160") == [(80, 80)]
    assert sizes("320x160") == [(160, 80)]
    assert sizes("48") == [(64, 64)]  # 72 in steps of 16
    assert sizes("64") == []
    assert sizes("160", "data.size=160") == []
    assert sizes("160", "training.minutes=10") == []
    assert sizes("160", "training.minutes=60") == [(80, 80)]


def test_one_file_is_not_measured(data, folder, vit_weights):
    recipe, messages = chosen(data, weights=str(vit_weights))
    assert len(messages) == 1
    assert messages[0].startswith("model: ")
    assert recipe.evaluation.val_chose == ()
    assert recipe.model.backbone.pretrained == str(vit_weights)
    assert chosen(data, weights="none")[1] == []


def test_too_few_groups_for_folds_take_the_first(draw_classes, folder, tmp_path):
    few = draw_classes(tmp_path / "few", per_class=2)
    recipe, messages = chosen(few, weights=(str(folder),))
    assert recipe.model.backbone.pretrained == str(folder / "blind.safetensors")
    assert "too few to compare: the first is taken" in messages[1]


def test_what_cannot_be_used_is_left_out(data, vit_weights, tmp_path):
    shutil.copy(vit_weights, tmp_path / "a.safetensors")
    state = load_file(vit_weights)
    state["blocks.0.attn.qkv.weight"].fill_(1e38)
    save_file(state, tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"no weights")
    recipe, messages = chosen(data, weights=(str(tmp_path),), settings=["data.size=32"])
    assert recipe.model.backbone.pretrained == str(tmp_path / "a.safetensors")
    assert "c.safetensors' is not a weight file" in messages[0]
    assert any("b.safetensors) is left out: the features of" in line for line in messages)
    assert any(line.endswith(", the only one that can be used") for line in messages)
    (tmp_path / "a.safetensors").unlink()
    shutil.copy(tmp_path / "b.safetensors", tmp_path / "d.safetensors")
    with pytest.raises(DataError, match="NaN or infinite"):
        chosen(data, weights=(str(tmp_path),), settings=["data.size=32"])


@pytest.mark.parametrize(
    ("setting", "usable", "refused"),
    [("finetune.lora={}", "test_vit", "test_resnet"), ("finetune.freeze_norm=true", "test_resnet", "test_vit")],
)
def test_what_training_would_refuse_cannot_win(data, vit_weights, tmp_path, monkeypatch, setting, usable, refused):
    resnet = tmp_path / "resnet.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), resnet)
    files = {"test_vit": vit_weights, "test_resnet": resnet}
    named = [TimmBackbone(name=name, pretrained=str(file)) for name, file in files.items()]
    candidates = tuple(Candidate(backbone, backbone.name, ()) for backbone in named)
    monkeypatch.setattr(choice, "at_hand", lambda auto, reasons: candidates)
    recipe, messages = chosen(data, weights=tuple(map(str, files.values())), settings=["data.size=32", setting])
    assert recipe.model.backbone.name == usable
    (line,) = [line for line in messages if " is left out: " in line]
    assert line.startswith(f"{refused} is left out: {setting.partition('=')[0]}")
    assert any(line.endswith(", the only one that can be used") for line in messages)


def test_of_the_hub_only_what_is_cached_is_compared(data, folder, monkeypatch):
    def cached(auto, reasons=None):
        backbones = [TimmBackbone(name=name, pretrained=str(folder / file)) for name, file in files.items()]
        aliases = ("resnet-18", "mobilenetv4-small", "dinov2-small")
        return tuple(Candidate(b, alias, (), reason=alias) for b, alias in zip(backbones, aliases, strict=False))

    monkeypatch.setattr(choice, "at_hand", cached)
    here = {"resnet18.a1_in1k", "mobilenetv4_conv_small.e2400_r224_in1k", "vit_small_patch14_dinov2.lvd142m"}
    monkeypatch.setattr(obverse.models, "is_cached", here.__contains__)
    files = {"test_vit": "sees.safetensors", "test_vit2": "blind.safetensors", "test_vit3": "blind.safetensors"}
    recipe, index = load_recipe("auto", ["runtime.device=cpu"]), build_index(data, load_recipe("auto").data)
    assert [candidate.name for candidate in contestants(recipe, index)] == ["resnet-18", "mobilenetv4-small"]
    here.remove("mobilenetv4_conv_small.e2400_r224_in1k")
    assert contestants(recipe, index) == ()
    assert contestants(recipe.changed({"model.backbone": TimmBackbone(name="resnet18")}), index) == ()


def test_plan_says_what_will_be_measured(data, folder, obverse_lines):
    lines = obverse_lines("plan", data, "--set", f"model.backbone.pretrained={folder}", "--memory", 100)
    (line,) = [line for line in lines if line.startswith("compared")]
    assert (
        "train first compares vit_tiny_patch16_224 (blind.safetensors), vit_tiny_patch16_224 (sees.safetensors)" in line
    )


def test_several_weights_are_for_train_and_for_recognised_networks(data, folder):
    several = [str(folder / "sees.safetensors"), str(folder / "blind.safetensors")]
    with pytest.raises(RecipeError, match="--weights"):
        obverse.train(data, model="resnet18", weights=several, progress=False)
    recipe = load_recipe("auto").changed({"model.backbone": AutoBackbone(pretrained=tuple(several))})
    with pytest.raises(RecipeError, match="which only `obverse train` compares"):
        resolve(recipe, build_index(data, recipe.data))


def test_a_stop_while_it_measures_leaves_no_run(data, folder, tmp_path, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(choice.Bench, "measured", stopped)
    with pytest.raises(KeyboardInterrupt):
        obverse.train(data, run=tmp_path / "run", weights=folder, **QUICK)
    assert not (tmp_path / "run").exists()
