"""Engines of other runtimes: torch's outputs, the fastest by measurement, and refused where answers differ."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.bundle import Bundle
from obverse.data import Batch, Geometry
from obverse.engines import build_engine, choice, noise_batch
from obverse.errors import RecipeError, RefusedError, UnavailableError
from obverse.inference import Predictor
from obverse.manifest import Column
from obverse.recipe import OutputSpec, build_recipe

for package in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)

CPU = torch.device("cpu")
COLUMNS = (Column("mint", "category", ("D", "S")), Column("year", "number", mean=1900.0, std=20.0))


@pytest.fixture(scope="module")
def model():
    """Two views with heads of their own, extra columns and a prior."""
    backbone = {"kind": "convnet", "widths": [4, 8], "mirrored": False}
    spec = build_recipe({"model": {"backbone": backbone, "view_heads": {}}}, "test").model
    output, geometry = OutputSpec(prior=(0.5, 0.3, 0.2)), Geometry(12, 16, 12, 16)
    views = ("obverse", "reverse")
    bundle = Bundle(
        ("a", "b", "c"), False, views, geometry, (0.4,) * 3, (0.3,) * 3, spec, output, columns=COLUMNS
    )  # fmt: skip
    torch.manual_seed(0)
    classifier = bundle.build().train()
    with torch.no_grad():  # statistics that are not those of a fresh network
        classifier(torch.randn(8, 2, 3, 12, 16), torch.ones(8, 2, dtype=torch.bool), torch.zeros(8, 2))
    return replace(bundle, digest="first"), classifier.eval()


def engine_of(name, model, **options):
    words = []
    return build_engine(name, *model, device=CPU, notify=words.append, **options), words


def batch_of(num):
    generator = torch.Generator().manual_seed(num)
    present_BV = torch.ones(num, 2, dtype=torch.bool)
    present_BV[0, 1] = False
    return Batch(
        torch.randint(0, 256, (num, 2, 3, 12, 16), dtype=torch.uint8, generator=generator),
        present_BV,
        torch.arange(num) % 3,
        torch.ones(num, dtype=torch.bool),
        tuple(map(str, range(num))),
        columns_BE=torch.tensor([[1.0, 0.5], [0.0, -1.0], [2.0, 0.0]])[torch.arange(num) % 3],
    )


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize("num", [1, 5])
def test_outputs_are_torchs(model, name, num):
    batch, plain = batch_of(num), engine_of("torch", model)[0]
    engine, _ = engine_of(name, model)
    for each_view in (False, True):
        given, wanted = (each.outputs(batch, each_view=each_view) for each in (engine, plain))
        assert (given.ids, len(given.alone_VNK), len(given.grades_VNK)) == (wanted.ids, 2 * each_view, 2 * each_view)
        np.testing.assert_array_equal(given.truth, wanted.truth)
        pairs = zip(
            (given.logits_NK, given.embeddings_ND, *given.alone_VNK, *given.grades_VNK),
            (wanted.logits_NK, wanted.embeddings_ND, *wanted.alone_VNK, *wanted.grades_VNK),
            strict=True,
        )
        for one, other in pairs:
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=1e-4)
    assert engine.outputs(batch, embeddings=False).embeddings_ND.shape == (num, 0)
    assert engine.needs == plain.needs


def test_auto_measures_once_and_names_its_choice(model, monkeypatch):
    measured = []

    def rates(engines, batch):
        measured.append(tuple(engines))
        assert len(batch) == choice.BATCH_SIZE
        return {"torch": 10.0, "onnx": 15.0, "openvino": 30.0}

    monkeypatch.setattr(choice, "pictures_per_second", rates)
    for _ in range(2):
        engine, (sentence,) = engine_of("auto", model)
        assert engine.session.name == "OpenVINO"
        assert sentence == "engine: openvino, 30 samples/s on this machine (onnx 15, torch 10; measured once)"
    assert measured == [("torch", "onnx", "openvino")]


def test_auto_keeps_torch_unless_another_is_clearly_faster():
    assert choice._choice({"torch": 10.0, "onnx": 10.9}) == "torch"
    assert choice._choice({"torch": 10.0, "onnx": 11.1, "openvino": 11.0}) == "onnx"


def test_auto_leaves_out_an_engine_that_is_not_exact(model, monkeypatch):
    bundle, classifier = model
    other = replace(bundle, digest="second")  # another model for the cache
    real = choice.OnnxSession

    class Wrong(real):
        def run(self, inputs):
            given = super().run(inputs)
            return {**given, "logits": given["logits"] + [0.01, 0, 0]}

    monkeypatch.setitem(choice.SESSIONS, "onnx", Wrong)
    monkeypatch.setattr(choice, "network_onnx", lambda *given: choice._cached_onnx(*model))
    with pytest.raises(RefusedError, match="ONNX Runtime does not give this model's answers"):
        engine_of("onnx", (other, classifier))
    monkeypatch.setattr(choice, "pictures_per_second", lambda engines, batch: dict.fromkeys(engines, 1.0))
    engine, (sentence,) = engine_of("auto", (other, classifier))
    assert sentence == "engine: torch, 1 samples/s on this machine (openvino 1; measured once)"
    assert type(engine).__name__ == "TorchEngine"


def test_all_engines_are_timed(model):
    engines = {"torch": engine_of("torch", model)[0], "onnx": engine_of("onnx", model)[0]}
    rates = choice.pictures_per_second(engines, noise_batch(model[0], 2))
    assert rates.keys() == engines.keys()
    assert all(0 < rate < 1e7 for rate in rates.values())


def test_a_graph_is_exported_once_per_model(model, monkeypatch):
    engine_of("onnx", model)
    monkeypatch.setattr(choice, "network_onnx", lambda *given: pytest.fail("exported again"))
    engine_of("onnx", model)
    with pytest.raises(pytest.fail.Exception, match="exported again"):
        engine_of("onnx", (replace(model[0], digest="third"), model[1]))
    with pytest.raises(pytest.fail.Exception, match="exported again"):
        engine_of("onnx", (replace(model[0], digest=""), model[1]))


def test_a_damaged_file_of_the_cache_is_made_again(model, monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path)
    data = choice._cached_onnx(*model)
    (file,) = (tmp_path / "engines").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    monkeypatch.setattr(choice, "network_onnx", lambda *given: data)
    assert choice._cached_onnx(*model) == data
    assert file.read_bytes().endswith(data)


def test_a_predictor_answers_alike(model):
    bundle, _ = model
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    sample = {"obverse": pixels, "year": 1920}
    answers = [Predictor(bundle, engine_of(name, model)[0]).predict(sample)[0] for name in ("torch", "onnx")]
    assert dict(answers[1].top) == pytest.approx(dict(answers[0].top), abs=1e-4)
    assert answers[1].by_view.keys() == answers[0].by_view.keys() == {"obverse"}


def test_what_cannot_be_built(model, monkeypatch):
    with pytest.raises(RecipeError, match="no engine `tensorrt`"):
        engine_of("tensorrt", model)
    with pytest.raises(RecipeError, match="runs on the CPU"):
        build_engine("onnx", *model, device=torch.device("cuda"), notify=print)
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    engine, (sentence,) = engine_of("auto", model)
    assert "no other is installed" in sentence
    assert type(engine).__name__ == "TorchEngine"
    monkeypatch.setattr("obverse.engines.onnx_export.find_spec", lambda name: None)
    monkeypatch.setattr(choice, "cache_folder", lambda: None)
    with pytest.raises(UnavailableError, match="pip install"):
        engine_of("onnx", model)


def test_signals_are_handled_after_openvino(model):
    """Two models of which the older one goes first left signals a stack that was freed."""
    program = (
        "import faulthandler, gc, signal, sys\n"
        "from obverse.engines.openvino_engine import OpenVinoSession\n"
        "faulthandler.enable()\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('handled'))\n"
        "data = sys.stdin.buffer.read()\n"
        "older, younger = OpenVinoSession(data), OpenVinoSession(data)\n"
        "del older\ngc.collect()\ndel younger\ngc.collect()\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=choice._cached_onnx(*model), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"handled\n"), done.stderr.decode()
