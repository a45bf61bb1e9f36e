"""The wheel: it holds every file of the package, and trains where only it is installed, outside the checkout.

The environment is new and sees the dependencies of this one through a `.pth` file, so that gigabytes are not installed
again; the package itself comes from the wheel alone. Building, and resolving what extras need, asks the registry of
packages: without a network these tests are skipped.
"""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
NO_NETWORK = ("NewConnectionError", "ConnectTimeoutError", "ProxyError", "Read timed out")

pytestmark = pytest.mark.full


def run(*command, cwd, seconds=300):
    """Without what this process's environment says of Python."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=seconds
    )


def pip(*words, cwd):
    """pip of this environment; skips the test where the registry cannot be reached."""
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", *words, cwd=cwd)
    if done.returncode and any(text in done.stdout + done.stderr for text in NO_NETWORK):
        pytest.skip(f"the registry of packages cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, because building leaves files beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip("wheel", "--no-deps", "--wheel-dir", folder / "dist", folder, cwd=folder)
    (path,) = (folder / "dist").glob("obverse-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The folder of a new environment's commands."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    (packages,) = folder.rglob("site-packages")
    # A `.pth` file in these folders is not read, so an editable install of the checkout stays out of sight.
    seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(seen) + "\n")
    pip("--python", commands / "python", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return commands


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = ROOT / "src" / "obverse"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    names = {path.relative_to(package.parent).as_posix() for path in files}
    assert {"obverse/py.typed", "obverse/recipes/auto.yaml", "obverse/report/page.html"} <= names
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("obverse/")}
    assert inside == names


def test_it_trains_and_predicts_outside_the_checkout(environment, tmp_path):
    place = run(environment / "python", "-c", "import obverse; print(obverse.__file__)", cwd=tmp_path).stdout
    assert Path(place.strip()).is_relative_to(environment.parent)
    command = environment / "obverse"
    small = ("--model", "convnet", "--size", 16, "--epochs", 1, "--device", "cpu")
    for words in (
        ("sample", "shapes", "data", "--samples", 40, "--size", 24),
        ("train", "data", "--run", "run", *small),
        ("predict", "run", "data/sample.jpg"),
        ("recipes",),
    ):
        done = run(command, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "coins-two-view" in done.stdout
    assert (tmp_path / "run/evaluation/test/report.html").is_file()


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"dev"}))
def test_what_an_extra_needs_can_be_had(extra, wheel, environment, tmp_path):
    """Resolved beside the dependencies that are there, not installed."""
    words = ("install", "--dry-run", "--only-binary", ":all:", f"obverse[{extra}] @ {wheel.as_uri()}")
    done = pip("--python", environment / "python", *words, cwd=tmp_path)
    assert "Would install obverse" in done.stdout or "Requirement already satisfied" in done.stdout
