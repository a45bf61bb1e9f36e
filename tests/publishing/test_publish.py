"""A published folder: timm loads its weights, Obverse its bundle, and the card says what is known and what is not."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from huggingface_hub import ModelCard

import obverse
from obverse.bundle import Bundle, Member, read_bundle, write_bundle
from obverse.data import Geometry
from obverse.engines import TorchEngine, run_engine
from obverse.errors import OutputError, RecipeError
from obverse.inference import Predictor
from obverse.publishing import publish
from obverse.recipe import CalibrationSpec, ConvNetBackbone, HeadSpec, ModelSpec, OutputSpec, TimmBackbone

NAMES = ("a|b", "<script>alert(1)</script>", "- x: [y", "日本 *語*")
VIT = TimmBackbone(
    name="vit_tiny_patch16_224", pretrained="none", options={"depth": 1, "embed_dim": 48, "num_heads": 3}
)
MOBILE = TimmBackbone(name="mobilenetv2_035", pretrained="none")
HEAD = HeadSpec(dropout=0.1)
MEMBER = Member(ModelSpec(backbone=VIT.changed({"pretrained": "/srv/a/w.pth"})), OutputSpec(), (0.4,) * 3, (0.2,) * 3)


def write_model(folder, backbone, classes=NAMES, *, head=HEAD, trained=None, **output):
    """A bundle with random weights; returns its predictor."""
    bundle = Bundle(
        classes=classes,
        ordered=False,
        views=("image",),
        geometry=Geometry(48, 64, 48, 64),
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.2),
        model=ModelSpec(backbone=backbone, head=head),
        output=OutputSpec(**output),
        trained=trained or {},
    )
    torch.manual_seed(0)
    classifier = bundle.build().eval()
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    write_bundle(folder, bundle, classifier.state_dict())
    return Predictor(bundle, classifier)


@pytest.mark.parametrize(
    ("backbone", "output"),
    [
        (MOBILE, {"prior": (0.1, 0.2, 0.3, 0.4), "calibration": CalibrationSpec(
            kind="temperature", scale=(0.7,) * 4, shift=(0.0,) * 4, num_samples=100)}),
        (VIT, {"kind": "binary"}),
    ],
)  # fmt: skip
def test_timm_loads_the_weights(backbone, output, draw_picture, tmp_path):
    """The logits of timm's network are the bundle's class logits, prior and calibration included."""
    predictor = write_model(tmp_path / "bundle", backbone, **output)
    done = publish(tmp_path / "bundle", tmp_path / "out")
    assert done.no_timm == ""
    net = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    (batch,) = predictor.batches(draw_picture(tmp_path / "p.png", size=(30, 40)), 1)
    expected_BK = run_engine(predictor.engine, [batch]).logits_NK
    with torch.no_grad():
        found_BK = net(predictor.engine.forward.inputs(batch)[:, 0]).numpy()
    np.testing.assert_allclose(found_BK, expected_BK, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected_BK) > 1e-3
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["label_names"] == list(NAMES)
    data = timm.data.resolve_model_data_config(net)
    assert (*data["input_size"], *data["mean"], data["crop_mode"]) == (3, 48, 64, 0.4, 0.5, 0.6, "border")


def test_the_folder_may_be_there_if_it_is_empty(one_view, tmp_path, monkeypatch):
    """As the current folder, where a shell works, or the mount point of a volume, which cannot be renamed over."""
    out = tmp_path / "coins"
    out.mkdir()
    monkeypatch.chdir(out)
    before = out.stat().st_ino
    publish(one_view, Path("."))
    assert out.stat().st_ino == before
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "bundle"]
    assert "# coins\n" in (out / "README.md").read_text()
    with pytest.raises(OutputError, match="not empty"):
        publish(one_view, Path("."))


def test_a_run_is_published_whole(one_view, draw_picture, tmp_path):
    out = tmp_path / "out"
    done = publish(one_view, out)
    assert "not one of timm's" in done.no_timm
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "bundle"]
    picture = draw_picture(tmp_path / "p.png", seed=3)
    assert obverse.load(out).predict(picture) == obverse.load(one_view).predict(picture)
    text = (out / "README.md").read_text()
    measured = json.loads((one_view / "evaluation" / "test" / "metrics.json").read_text())["accuracy"]
    low, high = (f"{100 * measured[end]:.1f}" for end in ("low", "high"))
    assert f"{100 * measured['value']:.1f} % | {low} to {high} %" in text
    for words in (
        "Numbers on test", "intended use", "limits", "If pictures show people", "How it was trained",
        "licence of the pretrained weights | none needed: trained from scratch", "left to a person",
        "timm does not load",
    ):  # fmt: skip
        assert words in text, words
    assert str(one_view.parent) not in text
    card = ModelCard.load(out / "README.md").data
    assert (card.license, card.pipeline_tag, card.library_name) == ("unknown", "image-classification", "obverse")
    (result,) = [result for result in card.eval_results if result.metric_type == "accuracy"]
    assert result.metric_value == round(measured["value"], 4)
    assert result.dataset_split == "test"


def test_names_are_text(tmp_path):
    """Class names are neither YAML, Markdown nor HTML, and neither is the name of the folder."""
    write_model(tmp_path / "bundle", ConvNetBackbone(widths=(4,)))
    publish(tmp_path / "bundle", tmp_path / "- *x*: [<b>")
    text = (tmp_path / "- *x*: [<b>" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert set(yaml.safe_load(front)) == {"license", "library_name", "pipeline_tag", "tags", "metrics"}
    assert "<script" not in body
    assert "<b>" not in body
    assert "| 0 | a\\|b |" in body
    assert "No test numbers" in body


@pytest.mark.parametrize(
    ("from_weights", "given", "entry"),
    [
        ("apache-2.0", None, {"license": "apache-2.0"}),
        ("dinov3-license", None, {"license": "other", "license_name": "dinov3-license"}),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", {"license": "cc-by-nc-sa-4.0"}),
        (None, "mit", {"license": "mit"}),
    ],
)
def test_licence(from_weights, given, entry, tmp_path):
    trained = {"licence": from_weights} if from_weights else None
    write_model(tmp_path / "bundle", VIT, trained=trained)
    publish(tmp_path / "bundle", tmp_path / "out", licence=given)
    text = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n", 2)[1])
    assert {key: front[key] for key in entry} == entry
    assert ("license_name" in front) == ("license_name" in entry)
    if from_weights:
        assert f"licence of the pretrained weights | {from_weights}" in text


def test_a_licence_that_the_weights_forbid(tmp_path):
    write_model(tmp_path / "bundle", VIT, trained={"licence": "apache-2.0, cc-by-nc-4.0"})
    with pytest.raises(RecipeError, match="forbids commercial use"):
        publish(tmp_path / "bundle", tmp_path / "out", licence="mit")
    with pytest.raises(RecipeError, match="no identifier"):
        publish(tmp_path / "bundle", tmp_path / "out", licence="my: licence")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(one_view, tmp_path):
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "mine.txt").write_text("x")
    file.write_text("x")
    for place in (full, file):
        with pytest.raises(OutputError):
            publish(one_view, place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    (tmp_path / "empty").mkdir()
    assert publish(one_view, tmp_path / "empty").measured is not None


def test_no_place_of_this_machine(tmp_path):
    """The folder in which the weights lay is not published; the bundle gives the same answers."""
    backbone = VIT.changed({"pretrained": "/srv/ada/secret/weights.safetensors"})
    write_model(tmp_path / "bundle", backbone)
    publish(tmp_path / "bundle", tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"/srv/ada" in path.read_bytes()]
    assert (tmp_path / "out" / "README.md").read_text().count("not known") == 2  # training data, licence
    read, _ = read_bundle(tmp_path / "out")
    assert read.model.backbone.pretrained == "weights.safetensors"
    digests = {hashlib.sha256((path / "model.safetensors").read_bytes()).digest()
               for path in (tmp_path / "bundle", tmp_path / "out" / "bundle")}  # fmt: skip
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"views": ("a", "b")}, "several views"),
        ({"model": ModelSpec(backbone=VIT, head=HeadSpec(hidden=(8,)))}, "hidden layers"),
        ({"output": OutputSpec(kind="cosine")}, "one logit per class"),
        ({"members": (MEMBER, MEMBER), "trained": {"licence": "apache-2.0, mit"}}, "ensemble"),
    ],
)
def test_why_timm_cannot_load_it(change, reason, tmp_path):
    predictor = write_model(tmp_path / "first", VIT)
    bundle = replace(predictor.bundle, **change)
    write_bundle(tmp_path / "bundle", bundle, bundle.build().state_dict())
    assert reason in publish(tmp_path / "bundle", tmp_path / "out").no_timm
    assert not (tmp_path / "out" / "config.json").exists()
    text = (tmp_path / "out" / "README.md").read_text()
    assert "timm does not load these weights" in text
    assert ("license_name: apache-2.0, mit" in text) == ("members" in change)
    assert "/srv" not in text + (tmp_path / "out" / "bundle" / "model.json").read_text()
    assert isinstance(obverse.load(tmp_path / "out").engine, TorchEngine)
