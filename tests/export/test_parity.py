"""Every family of networks and kind of answer passes the gate in every runtime."""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.engines import OnnxSession, OpenVinoSession
from obverse.export import TrainedModel, onnx, samples
from obverse.export.gate import Gate
from obverse.export.programs import pt2, torchscript
from obverse.export.programs.session import ProgramSession
from obverse.manifest import Column
from obverse.recipe import ModelSpec, OutputSpec

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

WEIGHTS = "mobilenetv2_100_imagenet1k.safetensors"
FAMILIES = {
    "convnet": {"kind": "convnet", "widths": (8, 16)},
    "resnet": {"kind": "timm", "name": "resnet18", "pretrained": "none"},
    "vit": {"kind": "vit", "patch": 16, "width": 48, "depth": 2, "heads": 2},
    "cct": {"kind": "cct", "width": 48, "depth": 2, "heads": 2},
    "mobilenet": {"kind": "timm", "name": "mobilenetv2_100", "pretrained": WEIGHTS},
}
SQUARE = Geometry.for_multiple(96, 96, multiple=32, fit="pad")
CLASSES = ("a", "b", "c", "d")
COLUMNS = (Column("year", "number", mean=1900.0, std=20.0), Column("mint", "category", ("A", "B")))
CASES = {
    "square": "lac",
    "wide": "raps",
    "views": "lac",
    "ensemble": "lac",
    "labels": "labels",
    "ordered": "range",
    "columns": "lac",
}
"""Case -> kind of sets."""


def described(family, case):
    """The bundle of a family in a case; of MobileNetV2 with the file of its weights."""
    backbone = dict(FAMILIES[family])
    if family == "mobilenet":
        folder = os.environ.get("OBVERSE_REAL_DATA")
        if folder is None:
            pytest.skip("OBVERSE_REAL_DATA is not set: no trained weights")
        backbone["pretrained"] = str(Path(folder) / WEIGHTS)
    model = ModelSpec.model_validate({"backbone": backbone})
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    bundle = Bundle(CLASSES, False, ("image",), SQUARE, mean, std, model, OutputSpec())
    labels = {"kind": "binary", "thresholds": (0.3, 0.5, 0.6, 0.7)}
    if case == "wide":
        wide = Geometry.for_multiple(96, 192, multiple=32, fit="crop")
        return replace(bundle, geometry=replace(wide, crop_fraction=0.875))
    if case == "views":
        return replace(bundle, views=("obverse", "reverse"))
    if case == "ensemble":
        other = replace(bundle.as_member(), mean=(0.5, 0.5, 0.5), output=OutputSpec(prior=(0.1, 0.2, 0.3, 0.4)))
        return replace(bundle, members=(bundle.as_member(), other))
    if case == "labels":
        return replace(bundle, output=OutputSpec.model_validate(labels))
    if case == "ordered":
        return replace(bundle, ordered=True, output=OutputSpec(kind="corn", decode="median"))
    return replace(bundle, columns=COLUMNS) if case == "columns" else bundle


@pytest.fixture(scope="session")
def gate_of(with_rules):
    """gate_of(family, case) -> the model with rules, and its gate."""

    def make(family, case):
        model = with_rules(built(described(family, case)), CASES[case])
        return model, Gate.of(model)

    return make


def built(bundle):
    """The model; heads of untrained networks are enlarged to spread the answers."""
    torch.manual_seed(0)
    is_trained = getattr(bundle.model.backbone, "pretrained", "none") != "none"
    classifier = bundle.build(load_weights=True).eval()
    with torch.no_grad():
        for name, weight in classifier.named_parameters():
            if "head" in name and name.endswith("weight") and not is_trained:
                weight.mul_(5)
    return TrainedModel(bundle, classifier)


def require_equal(gate, session):
    parity = gate.measure(session)
    assert parity.is_equal, parity.reason
    assert parity.levels == 0
    # The answers depend on the pictures.
    assert np.ptp([row["probabilities"] for row in gate.expected], axis=0).max() > 0.002
    assert len({row["set"].tobytes() for row in gate.expected}) > 1
    assert len({int(row["decision"][0]) for row in gate.expected}) > 1


@pytest.mark.parametrize(("family", "case"), [("cct", "ordered"), ("vit", "labels")])
def test_both_runtimes_of_onnx(family, case, gate_of, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 12)
    model, gate = gate_of(family, case)
    data = onnx.exported(gate.graph, gate.names, model.bundle).SerializeToString()
    for session in (OnnxSession(data), OpenVinoSession(data)):
        require_equal(gate, session)


@pytest.mark.parametrize(("family", "case"), [("vit", "square"), ("convnet", "ensemble")])
def test_a_program_of_torch_takes_one_sample(family, case, gate_of, monkeypatch):
    """It is recorded with two, and features may be slices with strides of their own."""
    monkeypatch.setattr(samples, "NUM_SAMPLES", 4)
    model, gate = gate_of(family, case)
    program = torch.export.load(io.BytesIO(pt2.exported(model, gate.names))).module()
    require_equal(gate, ProgramSession("torch.export", program, gate.names))


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_all_runtimes(family, case, gate_of, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 25)
    model, gate = gate_of(family, case)
    data = onnx.exported(gate.graph, gate.names, model.bundle).SerializeToString()
    program = torch.export.load(io.BytesIO(pt2.exported(model, gate.names))).module()
    with torchscript._without_deprecations():
        script = torchscript.recorded(model, gate.names)
    for session in (
        OnnxSession(data),
        OpenVinoSession(data),
        ProgramSession("torch.export", program, gate.names),
        ProgramSession("TorchScript", script, gate.names),
    ):
        require_equal(gate, session)
