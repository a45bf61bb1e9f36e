"""The page on extending, as written: its files and lines in a copy of the package, which then trains with them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/extend.md"
BLOCK = re.compile(r'^```(python|diff)(?: above="([^"]+)")? title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def apply(kind, above, file, text):
    """Write a new file, put a class above a line, or add the one line of a diff below its context."""
    if kind == "python" and not above:
        assert not file.exists()
        file.write_text(text, encoding="utf-8")
        return
    old = file.read_text(encoding="utf-8")
    if kind == "python":
        before, new = "", f"{text}\n\n{above}"
        context = above
    else:
        context, plus, added = text.partition("+")
        assert plus
        assert added.count("\n") == 1, "one line, no more"
        context = re.sub(r"^ ", "", context, flags=re.MULTILINE)
        before, new = context, added
    assert old.count(context) == 1, f"{context!r} stands {old.count(context)} times in {file.name}"
    file.write_text(old.replace(context, before + new), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A folder whose `src` is the package with everything that the page adds."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for kind, above, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        apply(kind, above, folder / name, text)
    return folder


def run(extended, *words):
    environment = {**os.environ, "PYTHONPATH": str(extended / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=extended, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(extended):
    """A run that has read the page's source, with its backbone and its loss."""
    (extended / "flat").mkdir()
    for place in range(20):
        for name, shade in (("dark", 40), ("light", 200)):
            Image.new("RGB", (16, 16), (shade + place,) * 3).save(extended / f"flat/{name}_{place}.png")
    settings = ["loss.kind=poly-1", "model.backbone={kind: stem, width: 16}", "data.size=16", "training.epochs=2"]
    settings += ["loss.label_smoothing=0.0", "runtime.num_workers=0", "evaluation.maps=0", "training.batch_size=8"]
    words = [word for setting in settings for word in ("--set", setting)]
    return run(extended, "-m", "obverse", "train", "flat", "--run", "run", "--device", "cpu", *words)


def test_every_kind_has_a_file_and_one_line():
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    files = [name for kind, above, name, _ in blocks if kind == "python" and not above]
    lines = [name for kind, _, name, _ in blocks if kind == "diff"]
    assert [Path(name).parts[2] for name in files] == ["losses", "manifest", "export", "models"]
    assert len(lines) == len(files)


def test_a_run_takes_the_source_the_backbone_and_the_loss(extended, trained):
    recipe = yaml.safe_load((extended / "run/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["data"]["layout"] == "name-prefix"
    assert recipe["model"]["backbone"] == {"kind": "stem", "width": 16, "patch": 8}
    assert recipe["loss"]["kind"] == "poly-1"
    assert (extended / "run/evaluation/test/report.html").is_file()
    rows = (extended / "run/manifest.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 40
    assert all(row.startswith(("dark_", "light_")) for row in rows)


def test_the_export_holds_the_weights_and_the_classes(extended, trained):
    out = run(extended, "-m", "obverse", "export", "run", "--format", "npz")
    assert "numpy.load(...) reads it" in out
    from safetensors.numpy import load_file

    written = np.load(extended / "run/bundle/model.npz")
    assert written["classes"].tolist() == ["dark", "light"]
    weights = load_file(extended / "run/bundle/model.safetensors")
    assert sorted(written.files) == sorted(["classes", *weights])
    for name, values in weights.items():
        np.testing.assert_array_equal(written[name], values)


def test_the_loss_is_the_formula(extended):
    code = (
        "import torch; from obverse.losses import build_objective; from obverse.recipe import LossSpec\n"
        "objective = build_objective(LossSpec(kind='poly-1', decode='mode'), counts=[1, 1])\n"
        "print(float(objective.losses(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]))))"
    )
    p = np.exp(0.0) / (np.exp(0.0) + np.exp(1.0))
    assert float(run(extended, "-c", code)) == pytest.approx(-np.log(p) + 1 - p, rel=1e-6)


def test_what_it_adds_is_typed_and_in_style(extended):
    files = [name for kind, above, name, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if not above]
    added = [name for name in files if not (ROOT / name).exists()]
    assert len(added) == 4
    run(extended, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), *added)
    run(extended, "-m", "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), *added)
