"""Quantised files: only the network is changed, and none is written that loses too much accuracy."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from obverse.api import quantising
from obverse.api.quantising import export_quantised
from obverse.cli.main import app
from obverse.cli.models.export import _method
from obverse.cli.printing.quantised import print_quantised
from obverse.errors import DataError, RecipeError, RefusedError
from obverse.export import Exact, Names, TrainedModel, samples
from obverse.export.onnx import OnnxFile
from obverse.export.quantising import files, graphs, integers

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def session_of(data):
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def exact(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 6)
        return Exact.of(TrainedModel.read(trained.path))


@pytest.fixture
def export(trained, tmp_path, exact, monkeypatch):
    """The quantised export of the trained run, whose exact graph is exported once."""
    monkeypatch.setattr(quantising.Exact, "of", lambda model: exact)

    def run(method, *, max_drop=100.0, model=None):
        results = []
        model = model or TrainedModel.read(trained.path)
        export_quantised(tmp_path / "model.onnx", model, method, max_drop=max_drop, notify=results.append)
        return results[0]

    return run


@pytest.mark.parametrize("method", ["int8", "fp16"])
def test_files_are_measured_before_and_after(export, method, tmp_path, exact, capsys):
    result = export(method)
    print_quantised(result)
    header, before, after, words = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["file", "MB"]
    assert [row.split()[0] for row in (before, after)] == ["exact", method]
    assert f"{result.after.score('accuracy'):.2%}" in after
    num = len(result.after.predictions.ids)
    assert words.startswith(f"accuracy {0.0 - result.points_lost:+.2f} points on {num} test samples")
    assert "exact McNemar: p = " in words
    assert [file.name for file in (result.before, result.after)] == ["exact", method]
    assert result.after.num_bytes == (tmp_path / "model.onnx").stat().st_size
    for file in (result.before, result.after):
        assert file.predictions.ids
        assert file.predictions.split == "test"
        assert 0 < file.milliseconds < 1e5
        assert 0 < file.samples_per_second < 1e6
    np.testing.assert_allclose(
        result.after.predictions.probabilities_NK, result.before.predictions.probabilities_NK, atol=0.2
    )
    changed = np.abs(result.after.predictions.probabilities_NK - result.before.predictions.probabilities_NK)
    assert changed.max() > 0
    session = session_of(tmp_path / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["quantised"] == method
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["dark", "light"]
    assert [output.name for output in session.get_outputs()] == list(exact.names.outputs)


def test_predictions_before_are_those_of_torch(export, trained):
    from obverse.evaluation import Predictions

    stored, given = Predictions.read(trained.evaluation("test")), export("fp16").before.predictions
    assert given.ids == stored.ids
    np.testing.assert_array_equal(given.truth, stored.truth)
    np.testing.assert_allclose(given.probabilities_NK, stored.probabilities_NK, atol=1e-4)


def test_calibration_sees_train_samples_only(export, trained, monkeypatch):
    seen = []
    real = quantising._inputs
    monkeypatch.setattr(
        quantising, "_inputs", lambda manifest, rows, *more: (seen.append(list(rows)), real(manifest, rows, *more))[1]
    )
    export("int8")
    assert {sample.split for sample in seen[0]} == {"train"}
    assert {sample.split for rows in seen[1:] for sample in rows} == {"test"}


def test_a_file_that_loses_too_much_is_not_written(export, tmp_path, monkeypatch):
    def wrong(format, exact, *more, **options):
        """The exact graph, and with the logits of the classes exchanged."""
        model = onnx.load_from_string(exact.data)
        (node,) = (node for node in model.graph.node if "logits" in node.output)
        node.output[list(node.output).index("logits")] = "right"
        model.graph.node.append(helper.make_node("Neg", ["right"], ["logits"], "wrong"))
        return OnnxFile(exact.data), OnnxFile(model.SerializeToString())

    monkeypatch.setattr(quantising, "exact_and_quantised", wrong)
    with pytest.raises(RefusedError, match=r"int8 loses too much, accuracy -\d.* points on \d+ test samples .*McNemar"):
        export("int8", max_drop=0.5)
    assert not list(tmp_path.iterdir())


def test_options_of_the_command(export, trained, tmp_path, monkeypatch):
    """The file alone is written: a script beside it is that of another file, and stays."""
    (tmp_path / "script.py").write_text("of another file")
    command = ["export", str(trained.path), "--format", "onnx", "--int8", "--out", str(tmp_path / "small.onnx")]
    done = CliRunner().invoke(app, [*command, "--max-drop", "100"])
    assert done.exit_code == 0, done.output
    assert [row.split()[0] for row in done.stdout.splitlines()[1:3]] == ["exact", "int8"]
    assert {path.name: path.stat().st_size > 100 for path in tmp_path.iterdir()} == {
        "script.py": False, "small.onnx": True}  # fmt: skip
    monkeypatch.setattr(quantising.Quantised, "points_lost", property(lambda result: 2.0))
    for given, is_written in (("2.5", True), ("nan", False), ("1.5", False)):
        done = CliRunner().invoke(app, [*command[:-1], str(tmp_path / f"{given}.onnx"), "--max-drop", given])
        assert (done.exception is None, (tmp_path / f"{given}.onnx").exists()) == (is_written, is_written)
    assert "--max-drop allows 1.5" in str(done.exception)
    done = CliRunner().invoke(app, [*command[:4], "--max-drop", "1"])
    assert "--max-drop is for --int8 and --fp16" in str(done.exception)


def test_what_cannot_be_measured(export, trained, tmp_path, monkeypatch):
    model = TrainedModel.read(trained.path)
    with pytest.raises(RecipeError, match="bundle without its run"):
        export("int8", model=TrainedModel(model.bundle, model.classifier))
    for given, problem in (
        ({"format": "onnx", "int8": True, "fp16": True}, "exclude each other"),
        ({"format": "pth", "int8": True, "fp16": False}, "are for the format onnx or openvino"),
    ):
        with pytest.raises(RecipeError, match=problem):
            _method(**given)
    monkeypatch.setattr(quantising, "_spread", lambda rows, most: [])
    with pytest.raises(DataError, match="no test samples"):
        export("int8")
    assert not list(tmp_path.iterdir())


def test_pixels_stay_exact_and_convolutions_are_integers(exact, trained):
    assert graphs.is_convolutional(exact.model)
    inputs = samples.draw_samples(TrainedModel.read(trained.path).bundle, exact.names, None).rows[:4]
    copy = type(exact.model).FromString(exact.model.SerializeToString())
    changed = integers.with_int8_products(copy, inputs)
    before = graphs.ancestors(changed, exact.names.pixels)
    kinds = {name: {node.op_type for node in changed.graph.node if (node.name in before) == inside}
             for name, inside in (("geometry", True), ("network", False))}  # fmt: skip
    assert "QuantizeLinear" in kinds["network"]
    assert "QuantizeLinear" not in kinds["geometry"]
    stored = {tensor.name: tensor.data_type for tensor in changed.graph.initializer}
    convolved = [node.input[1] for node in exact.model.graph.node if node.op_type == "Conv"]
    assert len(convolved) >= 2
    assert all(stored[f"{name}_quantized"] == TensorProto.INT8 for name in convolved)
    sessions = [session_of(model.SerializeToString()) for model in (exact.model, changed)]
    for sample in inputs:
        for one, other in zip(*(session.run(list(exact.names.pixels), sample) for session in sessions), strict=True):
            np.testing.assert_array_equal(one, other)


def products():
    """A graph of four products by constants: of the geometry, of the network, of the head and of the outlier score."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 1, (64, 64)).astype(np.float32) for name in ("resize", "weight", "head", "means")}
    nodes = [
        helper.make_node("MatMul", ["image", "resize"], ["pixels.image"], "geometry"),
        helper.make_node("MatMul", ["pixels.image", "weight"], ["embeddings"], "network"),
        helper.make_node("MatMul", ["embeddings", "head"], ["logits"], "decision"),
        helper.make_node("MatMul", ["embeddings", "means"], ["outlier_score"], "score"),
    ]
    given, *outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 64])
        for name in ("image", "pixels.image", "embeddings", "logits", "outlier_score")
    )
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "products", [given], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_products_of_transformers_are_quantised_for_each_input():
    exact = Exact(products(), Names(("image",), (), ("pixels.image",), ("embeddings", "logits")), "")
    assert not graphs.is_convolutional(exact.model)
    data = files._quantised_onnx(exact, "int8", [])
    nodes = onnx.load_from_string(data).graph.node
    assert [node.op_type for node in nodes].count("MatMulInteger") == 1
    assert {"geometry", "decision"} <= {node.name for node in nodes if node.op_type == "MatMul"}
    pixels = np.random.default_rng(1).normal(0, 1, (3, 64)).astype(np.float32)
    wanted, given = (session_of(each).run(["embeddings"], {"image": pixels})[0] for each in (exact.data, data))
    assert 1e-4 < np.abs(given - wanted).max() < 0.02 * np.abs(wanted).max()


def test_sums_of_two_products_of_transformers_fit_in_16_bits():
    """Processors without VNNI add the products of two inputs by their weights in 16 bits."""
    stored = {tensor.name: tensor for tensor in integers.with_int8_products(products(), []).graph.initializer}
    weights = numpy_helper.to_array(stored["weight_quantized"])
    assert np.abs(weights.astype(int)).max() == integers.LARGEST
    assert 255 * integers.LARGEST * 2 < 2**15


def test_products_of_transformers_are_rounded_for_the_calibration_samples():
    rng = np.random.default_rng(2)
    mix = rng.normal(0, 1, (8, 64))  # inputs that go together, as those of networks do
    calibration = [{"image": (rng.normal(0, 1, (4, 8)) @ mix).astype(np.float32)} for _ in range(16)]
    pixels = (rng.normal(0, 1, (20, 8)) @ mix).astype(np.float32)
    exact, plain, rounded = (
        session_of(model.SerializeToString()).run(["embeddings"], {"image": pixels})[0]
        for model in (products(), *(integers.with_int8_products(products(), given) for given in ([], calibration)))
    )
    assert np.square(rounded - exact).mean() < 0.7 * np.square(plain - exact).mean()


def test_a_weight_that_the_graph_transposes_is_quantised_as_well():
    model = products()
    next(node for node in model.graph.node if node.name == "network").input[1] = "turned"
    model.graph.node.insert(1, helper.make_node("Transpose", ["weight"], ["turned"], "turn", perm=[1, 0]))
    nodes = integers.with_int8_products(model, []).graph.node
    kinds = [node.op_type for node in nodes]
    assert (kinds.count("MatMulInteger"), kinds.count("Transpose")) == (1, 0)
    pixels = np.random.default_rng(1).normal(0, 1, (3, 64)).astype(np.float32)
    exact = session_of(model.SerializeToString()).run(["embeddings"], {"image": pixels})[0]
    (changed,) = session_of(integers.with_int8_products(model, []).SerializeToString()).run(
        ["embeddings"], {"image": pixels}
    )
    assert np.abs(changed - exact).max() < 0.02 * np.abs(exact).max()


def test_weights_of_16_bits_are_computed_with_in_32():
    exact = Exact(products(), Names(("image",), (), ("pixels.image",), ("embeddings", "logits")), "")
    weight = next(tensor for tensor in exact.model.graph.initializer if tensor.name == "head")
    huge = numpy_helper.to_array(weight).copy()
    huge[0, 0] = 1e6  # no number of 16 bits
    weight.CopyFrom(numpy_helper.from_array(huge, "head"))
    data = files._quantised_onnx(exact, "fp16", [])
    stored = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(data).graph.initializer}
    full = dict.fromkeys(("resize", "head", "means"), TensorProto.FLOAT)
    assert stored == {**full, "weight.fp16": TensorProto.FLOAT16}
    pixels = np.random.default_rng(1).normal(0, 1, (3, 64)).astype(np.float32)
    wanted, given = (session_of(each).run(["embeddings"], {"image": pixels})[0] for each in (exact.data, data))
    np.testing.assert_allclose(given, wanted, atol=1e-3 * np.abs(wanted).max())
