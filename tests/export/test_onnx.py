"""The exported graph gives torch's answers in every runtime, and a wrong one is not written."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from obverse.bundle import read_bundle
from obverse.data import Geometry
from obverse.engines import OnnxSession, to_onnx
from obverse.errors import RefusedError
from obverse.export import TrainedModel, gate, onnx, samples
from obverse.export.fit import fitted
from obverse.inference import load

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = [tuple(map(int, np.random.default_rng(seed).integers(1, 900, 2))) for seed in range(12)]


def test_a_written_file_answers_with_a_missing_view(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 12)
    bundle = read_bundle(trained.path)[0]
    words = onnx.write(tmp_path / "model.onnx", TrainedModel.read(trained.path))
    assert "6 samples of val and test and 6 generated ones" in words
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["dark", "light"]
    pixels = np.random.default_rng(0).integers(0, 256, (1, 31, 77, 3), np.uint8)
    (probabilities,) = session.run(
        ["probabilities"], {"obverse": pixels, "reverse": pixels[:, :1, :1], "present": np.array([[True, False]])}
    )
    (wanted,) = load(trained.path, device="cpu").predict({"obverse": pixels[0]})
    assert dict(zip(bundle.classes, probabilities[0].tolist(), strict=True)) == pytest.approx(
        dict(wanted.top), abs=1e-5
    )


class Fits(nn.Module):
    """Several geometries of one picture."""

    def __init__(self, geometries):
        super().__init__()
        self.geometries = geometries

    def forward(self, pixels):
        return tuple(fitted(pixels, geometry) for geometry in self.geometries)


def test_every_geometry_gives_the_pixels_of_torch():
    geometries = [
        Geometry.for_multiple(40, 40, multiple=16, fit="pad"),
        Geometry.for_multiple(40, 40, multiple=16, fit="pad", direction="down"),
        Geometry(32, 64, 32, 64, fit="squash"),
        Geometry(32, 64, 48, 64, fit="crop"),
        replace(Geometry(56, 56, 56, 56, fit="crop"), crop_fraction=0.875),
    ]
    size = {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    proto = to_onnx(
        Fits(geometries),
        (torch.zeros(1, 41, 53, 3, dtype=torch.uint8),),
        input_names=["pixels"],
        dynamic_shapes=(size,),
        custom_translation_table={torch.ops.obverse.fit.default: onnx._fit},
    )
    session = OnnxSession(proto.SerializeToString())
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (3, 700), (40, 40), (97, 64), (640, 480), (1203, 901), (64, 3001), *SIZES]:
        pixels = rng.integers(0, 256, (1, height, width, 3), np.uint8)
        for geometry, given in zip(geometries, session.run({"pixels": pixels}).values(), strict=True):
            wanted = geometry.apply(pixels[0]).numpy()
            assert np.array_equal(given[0], wanted), (height, width, geometry)


def test_pixels_are_torch_s_own(trained, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 12)
    model = TrainedModel.read(trained.path)
    of_torch = gate.Gate.of(model)
    session = OnnxSession(onnx.exported(of_torch.graph, of_torch.names, model.bundle).SerializeToString())
    parity = of_torch.measure(session)
    assert (parity.levels, parity.values) == (0, 0)
    assert parity.probability < 1e-5


def test_a_graph_with_other_pixels_is_refused(trained, tmp_path, monkeypatch):
    from onnxscript import opset20 as op

    from obverse.export import resize

    right = resize._resized
    monkeypatch.setattr(resize, "_resized", lambda *given: op.Add(right(*given), resize._number(2.0)))
    monkeypatch.setattr(samples, "NUM_SAMPLES", 4)
    with pytest.raises(RefusedError, match="picture"):
        onnx.write(tmp_path / "model.onnx", TrainedModel.read(trained.path))
    assert not list(tmp_path.iterdir())
