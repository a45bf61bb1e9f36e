"""The script beside an ONNX file gives the answers of `obverse predict`, without torch and Obverse."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.bundle import read_bundle
from obverse.export import TrainedModel, onnx, samples
from obverse.export.script import script
from obverse.imaging import Part, read_picture
from obverse.inference import Predictor
from obverse.manifest import Column
from obverse.recipe import OutputSpec

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ORIENTATION = 274
COLUMNS = (Column("year", "number", mean=1900.0, std=20.0), Column("mint", "category", ("A", "B")))
HALVES = (Part(0, 0, 1, 2), Part(0, 1, 1, 2))


@pytest.fixture(scope="module")
def coins(trained, with_rules):
    """A model of two views with rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 8)
        return with_rules(TrainedModel.read(trained.path), "lac")


@pytest.fixture(scope="module")
def exported(coins, tmp_path_factory):
    """The folder of the exported model of two views."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 1)
        onnx.write(folder / "model.onnx", coins)
    return folder


def photograph(path, size, orientation=1, *, mode="RGB", **options):
    """A smooth JPEG with noise; size is (height, width) as stored."""
    rng = np.random.default_rng(sum(size) + orientation)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    noisy = (np.asarray(coarse) + rng.normal(0, 6, (*size, 3))).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(noisy).convert(mode).save(path, exif=exif, **options)
    return path


def run(monkeypatch, capsys, file, *words):
    """The script's answer and its names."""
    monkeypatch.setattr(sys, "argv", [str(file), *map(str, words)])
    names = runpy.run_path(str(file))
    return json.loads(capsys.readouterr().out), names


def test_answers_of_predict_for_turned_and_missing_views(exported, coins, tmp_path, monkeypatch, capsys):
    predictor = Predictor(coins.bundle, coins.classifier, device="cpu")
    pairs = [
        (
            photograph(tmp_path / f"{code}.jpg", (301, 417), code),
            photograph(tmp_path / f"{code}r.jpg", (96, 70), 9 - code),
        )
        for code in (1, 3, 6, 8)
    ]
    for front, back in [*pairs, (pairs[2][0], "-"), ("-", pairs[1][1])]:
        (wanted,) = predictor.predict({
            view: path for view, path in (("obverse", front), ("reverse", back)) if path != "-"
        })  # fmt: skip
        answer, _ = run(monkeypatch, capsys, exported / "script.py", front, back)
        assert answer["labels"] == [wanted.label]
        assert answer["probabilities"] == pytest.approx(dict(wanted.top), abs=1e-5)
        assert (answer["set"], answer["decision"]) == (list(wanted.set), wanted.decision)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((801, 640), {"quality": 90}),  # 1/8 of 801 rounds up
        ((257, 255), {"quality": 75, "subsampling": 0}),
        ((130, 64), {"progressive": True}),
        ((63, 500), {"subsampling": 1}),
        ((300, 300), {"mode": "L"}),
        ((300, 200), {"mode": "CMYK"}),
    ],
)
def test_pixels_are_those_of_the_decoder(exported, tmp_path, monkeypatch, capsys, size, options):
    for orientation in (1, 6, 7):
        path = photograph(tmp_path / "picture.jpg", size, orientation, **options)
        _, names = run(monkeypatch, capsys, exported / "script.py", path, "-")
        min_height, min_width = names["facts"]["least_decode"]
        wanted = read_picture(path, min_height=min_height, min_width=min_width)
        assert names["pixels"](path).tobytes() == wanted.tobytes()
        assert wanted.shape == names["pixels"](path)[0].shape


def test_transparent_pictures_lie_on_white(exported, tmp_path, monkeypatch, capsys):
    rows = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    Image.fromarray(rows).save(tmp_path / "picture.png")
    _, names = run(monkeypatch, capsys, exported / "script.py", tmp_path / "picture.png", "-")
    assert np.array_equal(names["pixels"](tmp_path / "picture.png")[0], read_picture(tmp_path / "picture.png"))


def test_neither_torch_nor_obverse_is_imported(exported, tmp_path):
    path = photograph(tmp_path / "a.jpg", (90, 90))
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); assert not {'torch', 'obverse'} & {*sys.modules}"
    code = code.replace("runpy.run_path(sys.argv[1])", "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])")
    command = [sys.executable, "-c", code, str(exported / "script.py"), str(path), "-"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert list(json.loads(out)) == ["labels", "set", "decision", "probabilities"]


def test_every_kind_of_model_has_a_script_of_at_most_25_lines(trained):
    bundle = read_bundle(trained.path)[0]
    odd = (Column("mint\nimport os", "category", ("A", "B")),)
    assert bundle.output.sets
    assert bundle.output.acceptance
    without = replace(bundle, output=bundle.output.changed({"sets": None, "acceptance": None}))
    labels = replace(bundle, output=OutputSpec(kind="binary", sets=bundle.output.sets))
    kinds = (bundle, replace(bundle, columns=odd), replace(bundle, columns=odd, parts=HALVES), without, labels)
    for changed in kinds:
        text = script('a "model"\n\udcff.onnx', changed)
        compile(text.encode(), "script.py", "exec")
        assert len(text.splitlines()) <= 25


@pytest.fixture(scope="module")
def halves(trained, tmp_path_factory):
    """A model whose views are halves of one picture, with extra columns; and the folder of its export."""
    bundle = replace(read_bundle(trained.path)[0], columns=COLUMNS, parts=HALVES)
    torch.manual_seed(0)
    classifier = bundle.build().eval()
    with torch.no_grad():
        classifier.head[-1].weight.mul_(3)  # so that answers are far apart
    folder = tmp_path_factory.mktemp("halves")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 1)
        onnx.write(folder / "model.onnx", TrainedModel(bundle, classifier))
    return Predictor(bundle, classifier, device="cpu"), folder / "script.py"


def test_parts_of_a_picture_and_extra_columns(halves, tmp_path, monkeypatch, capsys):
    predictor, script_file = halves
    path = photograph(tmp_path / "both.jpg", (203, 411), 3)
    answers = set()
    for cells in ({"year": "1931", "mint": "B"}, {"mint": "unknown"}, {"year": "1850.5"}, {}):
        (wanted,) = predictor.predict(path, columns=cells)
        words = [f"{name}={cell}" for name, cell in cells.items()]
        answer, _ = run(monkeypatch, capsys, script_file, path, *words)
        assert answer["probabilities"] == pytest.approx(dict(wanted.top), abs=1e-5)
        assert (answer["set"], answer["decision"]) == (list(wanted.set), wanted.decision)
        answers.add(round(max(answer["probabilities"].values()), 4))
    assert len(answers) == 3  # an unknown category counts as missing
