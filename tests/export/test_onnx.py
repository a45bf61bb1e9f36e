"""The exported graph gives torch's answers in every runtime, and a wrong one is not written."""

import json

import numpy as np
import pytest

from obverse.bundle import read_bundle
from obverse.engines import OnnxSession
from obverse.errors import RefusedError
from obverse.export import gate, onnx
from obverse.export.graph import Graph, Names

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def test_a_written_file_answers_with_a_missing_view(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "NUM_SAMPLES", 12)
    bundle, classifier = read_bundle(trained.path)
    onnx.write(tmp_path / "model.onnx", bundle, classifier)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["dark", "light"]
    pixels = np.full((1, 31, 77, 3), 60, np.uint8)
    (probabilities,) = session.run(
        ["probabilities"], {"obverse": pixels, "reverse": pixels[:, :1, :1], "present": np.array([[True, False]])}
    )
    assert probabilities.sum() == pytest.approx(1)


def test_pixels_are_torch_s_own(trained, monkeypatch):
    monkeypatch.setattr(gate, "NUM_SAMPLES", 12)
    bundle, classifier = read_bundle(trained.path)
    graph, names = Graph(bundle, classifier).eval(), Names.of(bundle, classifier)
    session = OnnxSession(onnx.exported(graph, names, bundle).SerializeToString())
    (parity,) = gate.measure_parity(graph, names, bundle, [session])
    assert (parity.levels, parity.values) == (0, 0)
    assert parity.probability < 1e-5


def test_a_graph_with_other_pixels_is_refused(trained, tmp_path, monkeypatch):
    from onnxscript import opset20 as op

    from obverse.export import resize

    right = resize._resized
    monkeypatch.setattr(resize, "_resized", lambda *given: op.Add(right(*given), resize._number(2.0)))
    monkeypatch.setattr(gate, "NUM_SAMPLES", 4)
    with pytest.raises(RefusedError, match="picture"):
        onnx.write(tmp_path / "model.onnx", *read_bundle(trained.path))
    assert not list(tmp_path.iterdir())
