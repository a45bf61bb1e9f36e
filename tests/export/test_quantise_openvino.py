"""Quantised files of OpenVINO: the same measurement and gate as for ONNX, and only the network is changed."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from obverse.api import quantising
from obverse.api.quantising import export_quantised
from obverse.cli.main import app
from obverse.errors import OutputError, UnavailableError
from obverse.export import Exact, TrainedModel, samples
from obverse.export.quantising import nncf

for package in ("onnxscript", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def exact(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 4)
        return Exact.of(TrainedModel.read(trained.path))


@pytest.fixture
def model(trained, exact, monkeypatch):
    """The trained model, whose exact graph is exported once."""
    monkeypatch.setattr(quantising.Exact, "of", lambda model: exact)
    return TrainedModel.read(trained.path)


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def operators(graph):
    return [node.get_type_name() for node in graph.get_ops()]


@pytest.mark.parametrize("method", ["int8", "fp16"])
def test_files_are_measured_before_and_after(model, method, tmp_path):
    import openvino

    results, path = [], tmp_path / "model.xml"
    export_quantised(path, model, method, format="openvino", max_drop=100, notify=results.append)
    before, after = results[0].before, results[0].after
    assert files_in(tmp_path) == ["model.bin", "model.xml"]
    assert after.num_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    changed = np.abs(after.predictions.probabilities_NK - before.predictions.probabilities_NK)
    assert 0 < changed.max() < (0.2 if method == "int8" else 2e-3)
    graph = openvino.Core().read_model(path)
    facts = {name: graph.get_rt_info(["obverse", name]).value for name in ("quantised", "classes")}
    assert (facts["quantised"], json.loads(facts["classes"])) == (method, ["dark", "light"])
    assert ("FakeQuantize" in operators(graph)) == (method == "int8")
    stored = {node.get_element_type().get_type_name() for node in graph.get_ops() if node.get_type_name() == "Constant"}
    assert ("i8" if method == "int8" else "f16") in stored


def test_the_command_writes_both_files(model, trained, tmp_path):
    command = ["export", str(trained.path), "--format", "openvino", "--int8", "--max-drop", "100", "--out"]
    done = CliRunner().invoke(app, [*command, str(tmp_path / "small.xml")])
    assert done.exit_code == 0, done.output
    assert [row.split()[0] for row in done.stdout.splitlines()[1:3]] == ["exact", "int8"]
    assert files_in(tmp_path) == ["small.bin", "small.xml"]
    (tmp_path / "other.bin").write_text("mine")
    done = CliRunner().invoke(app, [*command, str(tmp_path / "other.xml")])
    assert isinstance(done.exception, OutputError)
    assert (tmp_path / "other.bin").read_text() == "mine"


def test_only_the_network_is_quantised(model, exact):
    rows = samples.draw_samples(model.bundle, exact.names, None).rows[:4]
    changed = nncf._quantised(exact.model, rows)
    pixels, makers = nncf._ancestors(filter(nncf._is_pixels, changed.outputs)), {}
    for node in changed.get_ops():
        makers.setdefault(node.get_type_name(), set()).add(node.friendly_name)
    assert makers["FakeQuantize"]
    assert not makers["FakeQuantize"] & pixels
    after = nncf._ancestors([changed.output("logits")]) - nncf._ancestors([changed.output("embeddings")])
    assert not makers["FakeQuantize"] & after


def test_what_is_missing_is_known_before_work_begins(model, tmp_path, monkeypatch):
    def never(model):
        raise AssertionError

    monkeypatch.setattr(quantising.Exact, "of", never)
    options = {"format": "openvino", "max_drop": 1, "notify": print}
    with pytest.raises(OutputError, match=r"must end in \.xml"):
        export_quantised(tmp_path / "model.onnx", model, "int8", **options)
    monkeypatch.setattr(nncf, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"obverse\[openvino\]"):
        export_quantised(tmp_path / "model.xml", model, "int8", **options)


def test_nothing_is_sent_to_anyone():
    """NNCF's telemetry is not loaded, whether it is installed or not, and can be imported afterwards."""
    code = (
        "import sys; from obverse.export.quantising import nncf; package = nncf._nncf()\n"
        "from nncf.telemetry import wrapper; print(type(wrapper.telemetry).__name__, nncf.TELEMETRY in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["MagicMock", "False"]
