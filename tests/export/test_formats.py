"""Files of OpenVINO, torch.export and TorchScript give torch's answers for pictures of any size."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.cli.models.export import command
from obverse.data import Geometry
from obverse.engines import OpenVinoSession
from obverse.errors import OutputError, RefusedError, UnavailableError
from obverse.export import TrainedModel, openvino, samples
from obverse.export.graph import Names
from obverse.export.programs import fit, pt2, torchscript
from obverse.export.programs.session import ProgramSession
from obverse.inference import load

SIZES = [(301, 7), (1, 1), (64, 480)]


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 8)


def opened(file, model):
    """A session of an exported file."""
    names = Names.of(model.bundle, model.classifier)
    if file.suffix == ".xml":
        return OpenVinoSession(file.read_bytes(), file.with_suffix(".bin").read_bytes())
    if file.suffix == ".pt2":
        return ProgramSession("torch.export", torch.export.load(file).module(), names)
    with torchscript._without_deprecations():
        return ProgramSession("TorchScript", torch.jit.load(file), names)


@pytest.mark.parametrize(("writer", "name"), [(openvino, "a.xml"), (pt2, "a.pt2"), (torchscript, "a.ts")])
def test_answers_of_predict(trained, tmp_path, writer, name):
    pytest.importorskip("onnxscript" if writer is openvino else "torch")
    pytest.importorskip("openvino" if writer is openvino else "torch")
    model = TrainedModel.read(trained.path)
    words = writer.write(tmp_path / name, model)
    assert "6 samples of val and test and 2 generated ones" in words
    session, predictor, rng = opened(tmp_path / name, model), load(trained.path, device="cpu"), np.random.default_rng(0)
    for size in SIZES:
        pixels = rng.integers(0, 256, (2, *size, 3), np.uint8)
        present = np.array([[True, True], [False, True]])
        inputs = {"obverse": pixels, "reverse": pixels[:, :, ::-1].copy(), "present": present}
        given = session.run(inputs)["probabilities"]
        views = [{view: inputs[view][row] for view in ("obverse", "reverse")} for row in range(2)]
        wanted = predictor.predict([views[0], {"reverse": views[1]["reverse"]}])
        for row in range(2):
            named = dict(zip(model.bundle.classes, given[row].tolist(), strict=True))
            assert named == pytest.approx(dict(wanted[row].top), abs=1e-5)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry.for_multiple(40, 40, multiple=16, fit="pad"),
        Geometry.for_multiple(40, 60, multiple=16, fit="pad", direction="down"),
        Geometry(32, 64, 32, 64, fit="squash"),
        Geometry(32, 64, 48, 64, fit="crop"),
        replace(Geometry(56, 56, 56, 56, fit="crop"), crop_fraction=0.875),
    ],
)
def test_fitted_pixels_are_the_geometry_s(geometry):
    rng = np.random.default_rng(0)
    for size in [(1, 1), (3, 700), (40, 40), (97, 64), (640, 480), *map(tuple, rng.integers(1, 400, (20, 2)))]:
        pixels = rng.integers(0, 256, (1, *map(int, size), 3), np.uint8)
        given = fit.fitted_pixels(torch.from_numpy(pixels), geometry, least=min, most=max)
        assert torch.equal(given[0], geometry.apply(pixels[0])), size


def test_pt2_needs_torch_alone(one_view, tmp_path):
    pt2.write(tmp_path / "a.pt2", TrainedModel.read(one_view))
    code = (
        "import json, sys, torch; facts = {'obverse.json': ''}\n"
        "program = torch.export.load(sys.argv[1], extra_files=facts).module()\n"
        "answer = program(torch.full((1, 50, 20, 3), 60, dtype=torch.uint8))[1]\n"
        "print(json.loads(facts['obverse.json'])['classes'][int(answer)], 'obverse' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pt2")], capture_output=True, text=True)
    assert done.stdout.split() == ["dark", "False"], done.stderr


def test_other_pixels_are_refused(one_view, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "interpolate", lambda *given, **more: torch.zeros_like(right(*given, **more)))
    with pytest.raises(RefusedError, match=r"TorchScript .* nothing was written"):
        torchscript.write(tmp_path / "a.ts", TrainedModel.read(one_view))
    assert not list(tmp_path.iterdir())


right = fit.interpolate


def test_a_missing_package_names_the_extra(one_view, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino, "has_openvino", lambda: False)
    with pytest.raises(UnavailableError, match=r"obverse\[export,openvino\]"):
        openvino.write(tmp_path / "a.xml", TrainedModel.read(one_view))


def test_nothing_of_the_user_s_is_replaced(one_view, tmp_path):
    (tmp_path / "script.py").write_text("mine")
    (tmp_path / "a.bin").write_text("mine")
    for format, out in (("onnx", "a.onnx"), ("openvino", "a.xml"), ("openvino", "b.onnx")):
        with pytest.raises(OutputError):
            command(one_view, format, tmp_path / out)
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == ["mine", "mine"]
