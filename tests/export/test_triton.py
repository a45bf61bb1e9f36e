"""A folder for Triton fits the schema of its configuration and holds the graph that was checked."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from obverse.cli.models.export import command
from obverse.errors import OutputError
from obverse.export import TrainedModel, triton
from obverse.inference import load

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
text_format = pytest.importorskip("google.protobuf.text_format")
tritonclient = pytest.importorskip("tritonclient")


@pytest.fixture(scope="module")
def schema():
    """Triton's `model_config.proto`, without the rest of its gRPC client, which needs grpcio."""
    spec = importlib.util.spec_from_file_location(
        "model_config", Path(tritonclient.__path__[0]) / "grpc/model_config_pb2.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(trained, checked_coins, tmp_path_factory):
    path = tmp_path_factory.mktemp("repository") / "coins"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton, "checked", lambda _: checked_coins)
        command(trained.path, "triton", out=path)
    return path


def test_the_configuration_fits_the_schema_and_the_graph(folder, schema):
    config = text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), schema.ModelConfig())
    assert (config.name, config.backend, config.HasField("dynamic_batching")) == ("coins", "onnxruntime", True)
    session = onnxruntime.InferenceSession(folder / "1/model.onnx", providers=["CPUExecutionProvider"])
    types = {
        "TYPE_FP32": "tensor(float)",
        "TYPE_UINT8": "tensor(uint8)",
        "TYPE_INT64": "tensor(int64)",
        "TYPE_BOOL": "tensor(bool)",
    }
    for described, tensors in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [each.name for each in described] == [tensor.name for tensor in tensors]
        for each, tensor in zip(described, tensors, strict=True):
            assert types[schema.DataType.Name(each.data_type)] == tensor.type
            sizes = list(each.reshape.shape) if each.HasField("reshape") else list(each.dims)
            assert sizes == [size if isinstance(size, int) else -1 for size in tensor.shape[1:]]
            assert list(each.dims)  # none may be empty
    views = {each.name: list(each.dims) for each in config.input}
    assert views == {"obverse": [-1, -1, 3], "reverse": [-1, -1, 3], "present": [2]}
    dims = {each.name: list(each.dims) for each in config.output}
    assert (dims["set"], dims["decision"]) == ([2], [1])
    (labelled,) = [each for each in config.output if each.label_filename]
    assert labelled.name == "probabilities"
    assert (folder / labelled.label_filename).read_text("utf-8").splitlines() == ["dark", "light"]


def test_the_graph_inside_answers_a_batch_as_large_as_the_configuration_allows(folder, trained, schema):
    config = text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), schema.ModelConfig())
    session = onnxruntime.InferenceSession(folder / "1/model.onnx", providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, (config.max_batch_size, 31, 47, 3), np.uint8)
    batch = {"obverse": pixels, "reverse": pixels[::-1], "present": np.ones((len(pixels), 2), bool)}
    (probabilities,) = session.run(["probabilities"], batch)
    pairs = [{"obverse": one, "reverse": other} for one, other in zip(pixels, pixels[::-1], strict=True)]
    for row, wanted in zip(probabilities, load(trained.path, device="cpu").predict(pairs), strict=True):
        assert dict(zip(("dark", "light"), row.tolist(), strict=True)) == pytest.approx(dict(wanted.top), abs=1e-5)


@pytest.fixture
def same_graph(checked_coins, monkeypatch):
    """Every export has the same graph, which need not be made again."""
    monkeypatch.setattr(triton, "checked", lambda _: checked_coins)


def test_labels_are_one_line_each_and_names_are_quoted(trained, tmp_path, same_graph, schema):
    model = TrainedModel.read(trained.path)
    path = tmp_path / 'a "name"'
    bundle = replace(model.bundle, classes=("two\nlines", "ünïcode"))
    triton.write(path, replace(model, bundle=bundle))
    assert (path / "labels.txt").read_text("utf-8").splitlines() == [r"two\nlines", "ünïcode"]
    assert text_format.Parse((path / "config.pbtxt").read_text("utf-8"), schema.ModelConfig()).name == 'a "name"'


def test_what_is_there_stays_without_force(folder, trained, tmp_path, same_graph):
    with pytest.raises(OutputError, match="--force replaces it"):
        command(trained.path, "triton", out=folder)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="File exists"):
        command(trained.path, "triton", out=tmp_path / "file", force=True)
    (tmp_path / "mine.txt").write_text("mine")
    command(trained.path, "triton", out=tmp_path, force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "1/model.onnx").is_file()
