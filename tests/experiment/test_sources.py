"""A run does not depend on what its pictures are packed in: folder, zip, tar, Parquet, prepared manifest, halves."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from obverse.experiment import evaluate_run, start_run
from obverse.manifest import build_index, write_prepared
from obverse.recipe import DataSpec, load_recipe
from obverse.runs import RunFolder

ONE_EPOCH = {"training": {"epochs": 1}, "augment": {"policy": "generic"}}


def packed(folder: Path, form: str, target: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    if form == "zip":
        with zipfile.ZipFile(target.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in zip(files, names, strict=True):
                archive.write(path, name)
        return target.with_suffix(".zip")
    if form == "tar.gz":
        with tarfile.open(target.with_suffix(".tar.gz"), "w:gz") as archive:
            for path, name in zip(files, names, strict=True):
                archive.add(path, name)
        return target.with_suffix(".tar.gz")
    if form == "remote zip":
        fsspec.filesystem("memory").pipe(f"/{target.name}.zip", packed(folder, "zip", target).read_bytes())
        return Path(f"memory://{target.name}.zip")
    if form == "manifest":
        write_prepared(build_index(folder, DataSpec()).manifest, target.with_suffix(".csv"))
        return target.with_suffix(".csv")
    rows = [{"image": {"bytes": path.read_bytes(), "path": name}, "label": name.split("/")[0]}
            for path, name in zip(files, names, strict=True)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), target.with_suffix(".parquet"), row_group_size=4)
    return target.with_suffix(".parquet")


def probabilities(run: RunFolder) -> np.ndarray:
    return np.load(run.evaluation("test") / "probabilities.npy")


@pytest.fixture(scope="module")
def folder(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("set") / "pets", per_class=10)


@pytest.fixture(scope="module")
def folder_run(folder, make_recipe, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("run") / "folder")
    start_run(folder, make_recipe(**ONE_EPOCH), run)
    return run


@pytest.mark.parametrize(
    ("form", "num_workers"), [("zip", 2), ("tar.gz", 2), ("parquet", 2), ("manifest", 0), ("remote zip", 2)]
)
def test_training_is_the_same_bit_for_bit(folder, folder_run, make_recipe, tmp_path, form, num_workers):
    run, data = RunFolder(tmp_path / "run"), packed(folder, form, tmp_path / "pets")
    start_run(data, make_recipe(**ONE_EPOCH, runtime={"num_workers": num_workers}), run)
    assert np.array_equal(probabilities(run), probabilities(folder_run))
    saved = load_recipe(str(run.recipe)).data
    assert saved.path == (str(data) if form != "remote zip" else "memory://pets.zip")
    again, metrics = evaluate_run(run.path, split="test", out=tmp_path / "again")
    assert np.array_equal(np.load(again / "probabilities.npy"), probabilities(run))
    assert evaluate_run(folder_run.path, data=data, out=tmp_path / "other")[1]["num_samples"] == 20
    third = RunFolder(tmp_path / "third")
    start_run(data, load_recipe(str(run.recipe)), third)
    assert third.manifest.read_bytes() == run.manifest.read_bytes()
    assert metrics["num_samples"] == len(probabilities(run))


def test_halves_are_trained_on_and_evaluated_as_two_views(make_recipe, tmp_path):
    rng = np.random.default_rng(0)
    for k, label in enumerate("ab"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(10):
            frame = rng.normal(60 + 120 * k, 20, (16, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(frame).save(tmp_path / "data" / label / f"{n}.png")
    run = RunFolder(tmp_path / "run")
    start_run(tmp_path / "data", make_recipe(**ONE_EPOCH, data={"layout": "split-horizontal"}), run)
    saved = load_recipe(str(run.recipe)).data
    assert (saved.layout, saved.views) == ("split-horizontal", ("left", "right"))
    folder, metrics = evaluate_run(run.path, data=tmp_path / "data", out=tmp_path / "other")
    assert metrics["num_samples"] == 20
    assert (folder / "report.html").is_file()
