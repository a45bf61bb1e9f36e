"""The folder classifier, as its README says, and its own test script."""

import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import obverse

ROOT = Path(__file__).parents[2] / "examples"
TINY = ("runtime.num_workers=0", "runtime.precision=fp32", "runtime.channels_last=false", "runtime.matmul=highest",
        "evaluation.maps=0")  # fmt: skip
VIT = ("data.size={height: 32, width: 32}", "model.backbone.options={depth: 2}")


def fast(*settings):
    return [word for setting in (*TINY, *settings) for word in ("--set", setting)]


def test_the_quick_start(example):
    folder = example("folder_classifier")
    code, out, err = folder.run("classifier.py", "--generate-data", "--samples", "80", "--size", "32")
    assert code == 0, err
    assert (folder.path / "sample.jpg").is_file()
    assert len(list((folder.path / "data").glob("*/*.png"))) == 80
    before = (folder.path / "sample.jpg").stat().st_mtime_ns
    code, out, err = folder.run("classifier.py", "--generate-data", "--samples", "8")
    assert code == 73
    assert "sample.jpg exists" in err
    assert (folder.path / "sample.jpg").stat().st_mtime_ns == before
    code, out, err = folder.run("predict.py", "--image", "sample.jpg")
    assert code == 65
    assert "no trained model" in err
    code, out, err = folder.run("train.py", "--epochs", "1", "--batch-size", "16", "--model", "scratch", *fast())
    assert code == 0, err
    assert out.startswith("from scratch: asked for")
    assert "Top-3 accuracy: " in out
    code, out, err = folder.run("predict.py", "--image", "sample.jpg", "--top-k", "3")
    assert code == 0, err
    (run,) = (folder.path / "runs").iterdir()
    (expected,) = obverse.load(run).predict("sample.jpg")
    assert out.splitlines()[:4] == ["sample.jpg", *(f"  {name}: {p:.2%}" for name, p in expected.top)]
    with Image.open("prediction.png") as drawn:
        assert drawn.width > drawn.height > 100
    (folder.path / "prediction.png").unlink()
    with zipfile.ZipFile("one.zip", "w") as archive:
        archive.write("sample.jpg")
    code, out, err = folder.run("predict.py", "--image", "one.zip")
    assert code == 0, err
    assert out.startswith("one.zip/sample.jpg\n")
    assert not (folder.path / "prediction.png").exists()


def test_the_drawn_picture_is_upright(example, monkeypatch):
    example("folder_classifier")
    from classifier import draw_prediction

    shown = []
    monkeypatch.setattr("matplotlib.axes.Axes.imshow", lambda self, pixels: shown.append(pixels.shape))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (40, 20)).save("lying.jpg", exif=exif)
    prediction = obverse.Prediction("lying.jpg", (("a", 0.9),), (("a", 0.9), ("b", 0.1)))
    draw_prediction("lying.jpg", prediction, "out.png")
    assert shown == [(40, 20, 3)]


@pytest.mark.parametrize(
    ("name", "words"), [("vit-bsae", "did you mean `vit-base`?"), ("resnet18.nonsense", "did you mean `resnet18.")]
)
def test_a_misspelt_model_is_one_sentence(example, name, words):
    folder = example("folder_classifier")
    code, out, err = folder.run("train.py", "--model", name)
    assert code == 2
    assert f"timm has no model `{name}`" in err
    assert words in err
    assert out == ""


def test_without_weights_it_says_so_and_with_a_name_it_fine_tunes(example, monkeypatch):
    folder = example("folder_classifier")
    folder.run("classifier.py", "--generate-data", "--samples", "40", "--size", "32")
    monkeypatch.setattr("obverse.models.why_unavailable", lambda name: "the hub cannot be reached")
    code, out, err = folder.run("train.py", "--epochs", "1", *fast())
    assert code == 0, err
    assert out.startswith("from scratch: the hub cannot be reached; give a weight file with --weights")
    assert "Test accuracy: " in out
    for run in (folder.path / "runs").iterdir():
        run.rename(folder.path / "first")  # the next may begin in the same second
    untested = ("data.split.train=0.8", "data.split.val=0.2", "data.split.test=0")
    code, out, err = folder.run(
        "train.py", "--epochs", "1", "--model", "test_vit", "--weights", "none", *fast(VIT[0], *untested)
    )
    assert code == 0, err
    assert "Val accuracy: " in out
    assert out.startswith("test_vit from scratch: asked for")
    for run in (folder.path / "runs").iterdir():
        run.rename(folder.path / "second")
    code, _, err = folder.run("train.py", "--weights", "absent.safetensors", *fast())
    assert code == 69
    assert "absent.safetensors" in err


def test_classifier_asks_for_what_to_do(example):
    folder = example("folder_classifier")
    code, _, err = folder.run("classifier.py")
    assert code == 2
    assert "--generate-data" in err
    code, _, err = folder.run("train.py", "--data", "nowhere", "--model", "scratch")
    assert code == 65
    assert "nowhere" in err


def test_the_test_script_passes_its_six_checks(example):
    folder = example("folder_classifier")
    before = {path.name for path in folder.path.iterdir()}
    cpus = {random.choice(sorted(os.sched_getaffinity(0)))}
    done = subprocess.run(
        ["./test_classifier.sh"],
        env={**os.environ, "PYTHON": sys.executable},
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = ("data", "model", "two epochs of training", "save and load", "inference", "batch prediction")
    assert done.stdout.splitlines() == [f"ok    {name}" for name in names]
    assert {path.name for path in folder.path.iterdir()} == before


def test_the_test_script_notices_a_fault(example):
    folder = example("folder_classifier")
    (folder.path / "classifier.py").write_text("raise SystemExit('broken here')\n")
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(["./test_classifier.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ok    model" in done.stdout  # the one check that needs no classifier.py
    assert done.stdout.count("FAIL") == 5
    assert done.stdout.count("broken here") == 5


@pytest.mark.parametrize(
    ("name", "file"),
    [("folder_classifier", "requirements.txt"), ("cifar10_encoder", "vision_encoder/requirements.txt")],
)
def test_requirements_name_this_package(name, file):
    """pip reads a relative path from where it is called, which is the example's folder."""
    folder = ROOT / name
    lines = [line for line in (folder / file).read_text().splitlines() if line[:1] != "#"]
    assert lines == ["-e ../.."]
    assert 'name = "obverse"' in (folder / "../../pyproject.toml").read_text()
    assert f"pip install -r {file}" in (folder / "README.md").read_text()
