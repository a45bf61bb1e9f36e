"""Tiny pictures, recipes and trainers that several folders of tests share; each fixture is a function."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.data import Geometry, PictureDataset
from obverse.experiment import start_run
from obverse.experiment.auto.resolve import resolve
from obverse.experiment.setup import set_up
from obverse.manifest import Manifest, Sample, build_index
from obverse.recipe import build_recipe
from obverse.runs import RunFolder
from obverse.training import Trainer, build_optimizer

# Everything that is otherwise measured or chosen by the machine.
FIXED_RUNTIME = {
    "device": "cpu",
    "precision": "fp32",
    "channels_last": False,
    "matmul": "highest",
    "num_threads": 1,
    "num_workers": 0,
    "compile": False,
}


def pytest_configure(config) -> None:
    """One cache folder for the whole session, the workers of pytest-xdist and every process that a test starts.

    What is chosen by measurement is remembered there, so that two runs in one session can be compared.
    """
    if not hasattr(config, "workerinput"):
        config.obverse_cache = os.environ["OBVERSE_CACHE"] = tempfile.mkdtemp(prefix="obverse-tests-")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """One process for all tests of a file, which then sets up their fixtures once, or for all of a group."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.location[0]))


def pytest_unconfigure(config) -> None:
    """The session's cache goes with it."""
    shutil.rmtree(getattr(config, "obverse_cache", ""), ignore_errors=True)


def picture(path: Path, *, size: tuple[int, int] = (20, 20), gray: float = 128.0, seed: int = 0) -> Path:
    """Draw noise around `gray` as a PNG; size is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(gray, 12.0, (*size, 3))
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)
    return path


def class_folder(
    root: Path, *, classes=("dark", "light"), per_class: int = 8, size=(20, 20), views: tuple[str, ...] = ()
) -> Path:
    """root/<class>/[<view>/]N.png; a later class is lighter, so it can be learned."""
    for k, name in enumerate(classes):
        gray = 60 + 140 * k / max(1, len(classes) - 1)
        for number in range(per_class):
            for v, view in enumerate(views or ("",)):
                seed = (k * per_class + number) * 8 + v
                picture(root / name / view / f"{number:02}.png", size=size, gray=gray, seed=seed)
    return root


def label_set_list(root: Path, *, num: int = 24, size: int = 16, separator: str = "|", seed: int = 0) -> Path:
    """A CSV of pictures whose three bands are each light or dark: `left`, `middle`, `right` are the light ones."""
    rng = np.random.default_rng(seed)
    rows = ["labels,image"]
    for n in range(num):
        light = [bool(n >> k & 1) for k in range(3)]
        bands = np.repeat(60 + 140 * np.array(light), -(-size // 3))[:size]
        pixels = rng.normal(bands[None, :, None], 12.0, (size, size, 3)).clip(0, 255).astype(np.uint8)
        root.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / f"{n:03}.png")
        names = [name for name, is_light in zip(("left", "middle", "right"), light, strict=True) if is_light]
        rows.append(f"{separator.join(names)},{n:03}.png")
    (root / "list.csv").write_text("\n".join(rows) + "\n")
    return root / "list.csv"


def recipe_of(**sections):
    """A recipe of a tiny convnet with every `auto` that is measured already decided; sections are merged in."""
    values = {
        "data": {"size": {"height": 16, "width": 16}},
        "augment": {"policy": "none"},
        "model": {"backbone": {"kind": "convnet", "widths": [8, 8]}},
        "optim": {"lr": 0.01},
        "schedule": {"warmup_epochs": 0},
        "training": {"epochs": 2, "batch_size": 4, "micro_batch_size": 4},
        "runtime": FIXED_RUNTIME,
        "evaluation": {"maps": 2},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return build_recipe(json.loads(json.dumps(values)), "test")


def trainer_of(data: Path, recipe, checkpoints: Path, **hooks) -> Trainer:
    """The trainer that `start_run` would build."""
    index = build_index(data, recipe.data)
    plan = set_up(resolve(recipe, index).recipe, index.manifest)
    objective = hooks.pop("objective", None) or plan.objective
    parts = (plan.engine(), plan.recipe, plan.loaders())
    return Trainer(*parts, objective=objective, checkpoints=checkpoints, **hooks)


@pytest.fixture(autouse=True)
def _one_thread_and_default_matmul():
    yield
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")


@pytest.fixture(scope="session")
def draw_picture():
    return picture


@pytest.fixture(scope="session")
def draw_classes():
    return class_folder


@pytest.fixture(scope="session")
def draw_label_sets():
    return label_set_list


@pytest.fixture(scope="session")
def make_recipe():
    return recipe_of


@pytest.fixture(scope="session")
def make_trainer():
    return trainer_of


def stepped_weights(spec, *, fused: bool, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Weights of a linear layer after five steps of an optimizer, by one kernel for all of them or by torch's loop."""
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 8).to(device)
    optimizer = build_optimizer(spec, model, fused=fused)
    assert bool(optimizer.defaults["fused"]) == fused
    for step in range(5):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
        optimizer.step()
    return model.state_dict()


@pytest.fixture
def step_weights():
    return stepped_weights


@pytest.fixture
def make_dataset(tmp_path):
    """A dataset of `num` noise samples; `missing` are (sample number, view) without a file."""

    def make(num=5, *, views=("image",), size=(20, 20), side=16, missing=(), **options) -> PictureDataset:
        samples = []
        for n in range(num):
            here = [view for view in views if (n, view) not in missing]
            paths = {view: picture(tmp_path / view / f"{n}.png", size=size, seed=8 * n + len(view)) for view in here}
            relative = {view: str(path.relative_to(tmp_path)) for view, path in paths.items()}
            samples.append(Sample(id=f"sample/{n}", label="ab"[n % 2], views=relative, split="train"))
        manifest = Manifest(tmp_path, tuple(samples), ("a", "b"), tuple(views))
        return PictureDataset(manifest, manifest.samples, Geometry(side, side, side, side), **options)

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> RunFolder:
    """One finished run of two views, two epochs."""
    data = class_folder(tmp_path_factory.mktemp("two-view"), per_class=10, size=(24, 30), views=("obverse", "reverse"))
    run = RunFolder(tmp_path_factory.mktemp("runs") / "trained")
    start_run(data, recipe_of(augment={"policy": "no-mirror"}), run)
    return run


@pytest.fixture(scope="session")
def checked_coins(trained) -> tuple[bytes, str]:
    """The ONNX graph of `trained` and what was checked, which tests of several formats share."""
    pytest.importorskip("onnxscript")
    from obverse.export import TrainedModel, onnx, samples

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 4)
        return onnx.checked(TrainedModel.read(trained.path))


@pytest.fixture(scope="session")
def one_view(tmp_path_factory, draw_classes, make_recipe):
    """A finished run of one view."""
    data = draw_classes(tmp_path_factory.mktemp("one-view"), classes=("dark", "gray", "light"), per_class=10)
    run = RunFolder(tmp_path_factory.mktemp("runs") / "one")
    start_run(data, make_recipe(), run)
    return run.path


@contextlib.contextmanager
def running(service, access=None, **options):
    """A client of a server that runs in a thread; `client.server` is the server."""
    import httpx

    from obverse.serving import Access
    from obverse.serving.http.server import bind, build_server

    listener = bind("127.0.0.1", 0)
    server = build_server(service, access or Access(), **options)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            client.server, client.service = server, service
            yield client
    finally:
        server.should_exit = True
        thread.join(30)
        service.close()
        listener.close()


@pytest.fixture(scope="session")
def serve():
    """serve(service, access, has_page=...) -> context of a client."""
    return running


@pytest.fixture(scope="session")
def run_server():
    """run_server(models, limits, access) -> context of a client."""

    from obverse.inference import load
    from obverse.serving import Limits, Service

    def run(models, limits=None, access=None, *, decoder=None, **options):
        loaded = {name: load(path) for name, path in models.items()}
        return running(Service(loaded, limits or Limits(), decoder=decoder), access, **options)

    return run


@pytest.fixture(scope="session")
def served(run_server, one_view, trained):
    """A client of a server of two models: `one` of one view, and `coins` of two."""
    with run_server({"one": one_view, "coins": trained.path}, has_page=True) as client:
        client.service.warm_up()
        yield client
