"""A truly pretrained file, loaded offline through the main path: its answers on photographs are plausible."""

import json
from importlib.resources import files

import pytest
import torch
from safetensors.torch import load_file

from obverse.data import Geometry, to_model_input
from obverse.experiment import start_run
from obverse.imaging import decode_picture
from obverse.models import build_classifier, input_needs
from obverse.recipe import ModelSpec, TimmBackbone
from obverse.runs import RunFolder

FILE = "mobilenetv2_100_imagenet1k.safetensors"
# ImageNet's words for what a bottle may be taken for.
BOTTLES = ("bottle", "beaker", "goblet", "vase", "jug", "flask", "perfume", "lotion", "pill", "wine", "beer", "cup",
           "saltshaker", "nipple", "soap", "syringe", "pop", "shaker", "glass", "pitcher")  # fmt: skip


def spec_of(real_data):
    return ModelSpec(
        backbone=TimmBackbone(
            name="mobilenetv2_100",
            pretrained=str(real_data / FILE),
            options={"pad_type": "same"},
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )
    )


def top_names(real_data, paths):
    """What the file's own classifier makes of our features of our pictures."""
    spec = spec_of(real_data)
    needs = input_needs(spec)
    model = build_classifier(spec, num_views=1, num_classes=2, height=224, width=224).eval()
    state = load_file(real_data / FILE)
    names = (real_data / "imagenet1k_labels.txt").read_text().splitlines()[1:]
    geometry = Geometry(224, 224, 224, 224, fit="crop", crop_fraction=0.875)
    images_BVCHW = torch.stack([geometry.apply(decode_picture(path.read_bytes())) for path in paths]).unsqueeze(1)
    inputs = to_model_input(images_BVCHW, mean=needs.mean, std=needs.std)
    with torch.no_grad():
        features = model.backbones[0](inputs[:, 0])
        logits = features @ state["classifier.weight"].T + state["classifier.bias"]
    return [names[index] for index in logits.argmax(1).tolist()]


def test_bottles_look_like_bottles(real_data, unpacked):
    # Chosen by name, before looking.
    tops = top_names(real_data, sorted((unpacked("trashnet") / "glass").glob("*.jpg"))[:12])
    plausible = [name for name in tops if any(word in name.lower() for word in BOTTLES)]
    assert len(plausible) >= 5, tops  # by chance a tenth of one


def test_a_palace_is_a_palace(real_data):
    """An ordinary photograph, which scikit-learn brings: decoding, geometry, statistics and weights fit."""
    assert top_names(real_data, [files("sklearn.datasets") / "images" / "china.jpg"]) == ["palace"]


def test_it_trains_offline_in_a_run(real_data, draw_classes, make_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    backbone = spec_of(real_data).model_dump(mode="json")["backbone"]
    recipe = make_recipe(
        model={"backbone": backbone}, data={"size": {"height": 64, "width": 64}}, training={"epochs": 1}
    )
    run = RunFolder(tmp_path / "run")
    start_run(draw_classes(tmp_path / "data", size=(64, 64)), recipe, run)
    bundle = json.loads((run.bundle / "model.json").read_text())
    assert bundle["mean"] == [0.5, 0.5, 0.5]
