"""The notebook, executed cell by cell on a small stand-in; the weight file it writes; inference.py."""

import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from matplotlib import pyplot as plt
from PIL import Image

import obverse
from obverse.data import Geometry

SETTINGS = [
    *("data.size={height: 32, width: 32}", "model.backbone.name=test_vit", "model.backbone.pretrained=none"),
    *("training.epochs=2", "training.batch_size=8", "training.micro_batch_size=8", "optim.lr=1e-3"),
    *("runtime.precision=fp32", "runtime.channels_last=false", "runtime.matmul=highest", "runtime.num_workers=0"),
]
CLASSES = ("airplane", "cat", "ship")


def stand_in(root: Path) -> Path:
    """{train,test}/<class>/*.png of 32x32, whose classes differ in colour; in train one is rarer than the others."""
    for number, name in enumerate(CLASSES):
        for split, count in (("train", 5 if name == "ship" else 12), ("test", 4)):
            (root / split / name).mkdir(parents=True)
            for picture in range(count):
                rng = np.random.default_rng([number, len(split), picture])
                pixels = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
                pixels[..., number] += 120
                Image.fromarray(pixels).save(root / split / name / f"{picture}.png")
    return root


def execute(notebook: Path, **constants) -> None:
    """Run the code cells in order, with the constants of the first one changed."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    names = {"__name__": "__main__"}
    first = True
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
            if first:
                assert set(constants) <= set(names)
                names |= constants
            first = False


@pytest.fixture
def encoder(example, monkeypatch):
    """The example's folder; the notebook starts where Jupyter starts it."""
    folder = example("cifar10_encoder", "vision_encoder")
    monkeypatch.chdir(folder.path / "notebooks")
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folder


def test_the_notebook_and_the_weight_file(encoder, capsys):
    data = stand_in(encoder.path / "stand_in")
    settings = [*SETTINGS, "loss={kind: logit-adjustment, prior: train}"]
    execute(encoder.path / "notebooks/vit_finetuning.ipynb", DATA=str(data), SETTINGS=settings)
    plt.close("all")
    out = capsys.readouterr().out
    assert "mean (0.5, 0.5, 0.5) std (0.5, 0.5, 0.5)" in out
    assert "test accuracy " in out
    assert "have a nearest neighbour of their own class" in out
    weights = encoder.path / "models/vit_cifar10_finetuned.pth"
    state = torch.load(weights, weights_only=True)
    assert set(state) == set(timm.create_model("test_vit", num_classes=3, img_size=32).state_dict())
    described = json.loads(weights.with_suffix(".json").read_text())
    assert described["classes"] == list(CLASSES)
    assert described["geometry"]["canvas_height"] == 32
    check_inference(encoder, data, weights)


def check_inference(encoder, data, weights):
    """The same answer as the run's; without the JSON the classes are asked for, and never guessed."""
    picture = data / "test/cat/0.png"
    (expected,) = obverse.load(encoder.path / "runs/cifar10").predict(picture)
    code, out, err = encoder.run("inference.py", "--image", str(picture))
    assert code == 0, err
    assert out.splitlines() == [str(picture), f"Class: {expected.label}", f"Confidence: {expected.probability:.2%}"]
    bare = encoder.path / "bare.pth"
    shutil.copyfile(weights, bare)
    code, _, err = encoder.run("inference.py", "--image", str(picture), "--weights", str(bare))
    assert code == 2
    assert "--classes" in err
    encoder.edit("inference.py", MODEL="test_vit", SIZE=32)
    arguments = ("--image", str(picture), "--weights", str(bare), "--classes")
    code, out, err = encoder.run("inference.py", *arguments, "a,b,c")
    assert code == 0, err
    assert f"Class: {'abc'[CLASSES.index(expected.label)]}" in out
    code, _, err = encoder.run("inference.py", *arguments, "a,b")
    assert code == 65
    assert "does not fit test_vit with 2 classes" in err


def test_class_folders_have_no_test_split_and_the_picture_is_framed_as_in_the_run(encoder, capsys):
    """A convolutional network, whose classifier has another name; 30x30 from the middle, on pictures of 2:1."""
    data = stand_in(encoder.path / "stand_in") / "train"
    for path in data.rglob("*.png"):
        wide = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
        wide[:, 16:48] = np.asarray(Image.open(path))
        Image.fromarray(wide).save(path)
    changes = ("model.backbone.name=test_resnet", "data.size={height: 30, width: 30}", "data.fit=crop",
               "data.crop_fraction=0.5", "training.epochs=1", "finetune.head_first=null")  # fmt: skip
    execute(encoder.path / "notebooks/vit_finetuning.ipynb", DATA=str(data), SETTINGS=[*SETTINGS, *changes])
    plt.close("all")
    assert "of val pictures have a nearest neighbour" in capsys.readouterr().out
    picture = data / "cat/0.png"
    (expected,) = obverse.load(encoder.path / "runs/cifar10").predict(picture)
    code, out, err = encoder.run("inference.py", "--image", str(picture))
    assert code == 0, err
    assert out.splitlines()[1:] == [f"Class: {expected.label}", f"Confidence: {expected.probability:.2%}"]
    described = encoder.path / "models/vit_cifar10_finetuned.json"
    described.write_text('{"classes": ["a"]}')
    code, _, err = encoder.run("inference.py", "--image", str(picture))
    assert code == 65
    assert "does not describe the weights" in err


def test_the_documented_line_finds_the_weights_from_the_example_s_folder(encoder, monkeypatch, tmp_path):
    network = timm.create_model("test_vit", num_classes=2, img_size=32)
    (encoder.path / "models").mkdir()
    torch.save(network.state_dict(), encoder.path / "models/vit_cifar10_finetuned.pth")
    told = {"classes": ["a", "b"], "model": "test_vit", "geometry": asdict(Geometry(32, 32, 32, 32, "squash"))}
    (encoder.path / "models/vit_cifar10_finetuned.json").write_text(json.dumps(told))
    root = encoder.path.parent
    Image.new("RGB", (32, 32)).save(root / "cat.png")
    (line,) = re.findall(r"^python (vision_encoder/.*)$", (root / "README.md").read_text(encoding="utf-8"), re.M)
    monkeypatch.chdir(root)
    script, *words = line.split()
    code, out, err = replace(encoder, path=root).run(script, *words)
    assert code == 0, err
    assert out.startswith("cat.png\nClass: ")


def test_what_is_no_bare_timm_model_is_refused_before_training(encoder):
    change = ["model.head.hidden=[8]"]
    data = stand_in(encoder.path / "stand_in")
    with pytest.raises(obverse.errors.DataError, match="linear head"):
        execute(encoder.path / "notebooks/vit_finetuning.ipynb", DATA=str(data), SETTINGS=[*SETTINGS, *change])
    assert not (encoder.path / "runs").exists()


def test_a_misspelt_path_downloads_nothing(encoder, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", lambda **_: pytest.fail("it downloads"))
    with pytest.raises(SystemExit, match=r"'pictuers' does not exist"):
        execute(encoder.path / "notebooks/vit_finetuning.ipynb", DATA="pictuers")


def test_a_missing_download_is_one_sentence(encoder, monkeypatch):
    def refuse(**_):
        raise OSError("no route")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", refuse)
    with pytest.raises(SystemExit, match=r"could not be downloaded .no route.; put a copy at nowhere/cifar-10"):
        execute(encoder.path / "notebooks/vit_finetuning.ipynb", DATA="nowhere/cifar-10-batches-py")


def test_the_notebook_is_a_clean_one(encoder):
    notebook = json.loads((encoder.path / "notebooks/vit_finetuning.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")] == []


def test_a_run_that_is_no_bare_timm_model_is_refused(encoder, trained, tmp_path):
    from inference import write_weights

    with pytest.raises(obverse.errors.DataError, match="linear head"):
        write_weights(trained.path, tmp_path / "x.pth")
