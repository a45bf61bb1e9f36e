"""The command in this process (torch is imported once), two tiny trained runs, and a hash of a whole folder."""

from __future__ import annotations

import hashlib
import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.cli.main import main

TINY = (
    *("--set", "data.size={height: 16, width: 16}"),
    *("--set", "model.backbone={kind: convnet, widths: [4, 8]}"),
    *("--set", "training.epochs=1"),
    *("--set", "training.batch_size=8"),
    *("--set", "evaluation.maps=2"),
    *("--set", "runtime.num_workers=0"),
    *("--set", "runtime.num_threads=1"),
    *("--set", "runtime.precision=fp32"),
    *("--set", "runtime.channels_last=false"),
    *("--set", "runtime.matmul=highest"),
)


@dataclass(frozen=True)
class Result:
    """What the command did."""

    code: int
    out: str
    err: str


def run_obverse(*args: object) -> Result:
    """`obverse ARGS...` in this process, with the streams a terminal would have."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    before, code = sys.argv, 0
    sys.argv = ["obverse", *map(str, args)]
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Result(code, *texts)


def hash_tree(folder: Path) -> dict[str, str]:
    """Relative path -> digest of every file; folders too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def write_pictures(folder: Path, *, count: int = 6, seed: int = 0, brightness: int = 128, size: int = 20) -> list[Path]:
    """Different noisy PNG files in a new folder."""
    rng = np.random.default_rng([seed, brightness])
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"p{number}.png" for number in range(count)]
    for path in paths:
        pixels = np.clip(rng.normal(brightness, 30, (size, size, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


def make_classes(root: Path, names: tuple[str, ...] = ("dark", "light"), *, count: int = 6) -> Path:
    """A class-folder set; the classes differ in brightness."""
    for number, name in enumerate(names):
        write_pictures(root / name, count=count, brightness=60 + 120 * number // max(1, len(names) - 1))
    return root


@pytest.fixture
def obverse():
    return run_obverse


@pytest.fixture(scope="session")
def obverse_once():
    """`obverse`, for fixtures that several tests share."""
    return run_obverse


@dataclass(frozen=True)
class Training:
    """A tiny training that would work: `obverse *arguments`."""

    data: Path
    run: Path
    arguments: tuple[object, ...]


@pytest.fixture
def training(tmp_path):
    data, run = make_classes(tmp_path / "data"), tmp_path / "run"
    return Training(data, run, ("train", data, "--run", run, *TINY))


@pytest.fixture
def refused():
    """Run a command that must fail: exit code, one sentence that holds `words`, and `untouched` stays as it was."""

    def check(code: int, words: str, *args: object, untouched: Path | None = None) -> Result:
        before = hash_tree(untouched) if untouched else {}
        result = run_obverse(*args)
        assert result.code == code, result.err
        last = result.err.splitlines()[-1]
        assert last.startswith("Error: "), result.err
        assert words in last
        assert sum(line.startswith("Error: ") for line in result.err.splitlines()) == 1
        assert "Traceback" not in result.err
        if untouched:
            assert hash_tree(untouched) == before
        return result

    return check


@pytest.fixture
def tree():
    return hash_tree


@pytest.fixture
def classes():
    return make_classes


@pytest.fixture
def pictures():
    return write_pictures


@pytest.fixture(scope="session")
def tiny():
    return TINY


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Default run folders land in the test's own folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A generated class-folder set with `sample.jpg`."""
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    result = run_obverse("sample", "shapes", folder, "--samples", 60, "--size", 24)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="session")
def shapes_run(shapes, tmp_path_factory):
    """A finished run on one view. Tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "shapes"
    result = run_obverse("train", shapes, "--run", path, *TINY)
    assert result.code == 0, result.err
    return path


@pytest.fixture(scope="session")
def coins(tmp_path_factory):
    """A generated set of two views."""
    folder = tmp_path_factory.mktemp("coins") / "coins"
    result = run_obverse("sample", "coins", folder, "--samples", 40, "--size", 24)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="session")
def coins_run(coins, tmp_path_factory):
    """A finished run on two views. Tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "coins"
    with chdir(path.parent):
        result = run_obverse("train", coins, "--run", path, *TINY)
    assert result.code == 0, result.err
    return path


@pytest.fixture(scope="session")
def graded_run(coins, tmp_path_factory):
    """Two views with a head each, and a table that says in which year most coins were struck. Must not be changed."""
    folder = tmp_path_factory.mktemp("graded")
    rows = ["label,obverse,reverse,year"]
    for number, path in enumerate(sorted(coins.glob("*/obverse/*"))):
        reverse = path.parents[1] / "reverse" / path.name
        rows.append(f"{path.parts[-3]},{path},{reverse},{1900 + number if number % 4 else ''}")
    (folder / "coins.csv").write_text("\n".join(rows), encoding="utf-8")
    settings = ("--set", "data.columns.year=number", "--set", "model.view_heads={weight: 0.5}")
    result = run_obverse("train", folder / "coins.csv", "--run", folder / "run", *TINY, *settings)
    assert result.code == 0, result.err
    return folder / "run"


@pytest.fixture(scope="session")
def two_runs(shapes, tmp_path_factory):
    """Two finished runs on one test set, one of which has hardly learned. Tests must not change them."""
    folder = tmp_path_factory.mktemp("pair")
    for name, rate in (("slow", "1e-6"), ("fast", "0.02")):
        more = ("--set", f"optim.lr={rate}", "--set", "training.epochs=4")
        result = run_obverse("train", shapes, "--run", folder / name, *TINY, *more)
        assert result.code == 0, result.err
    return folder / "slow", folder / "fast"
