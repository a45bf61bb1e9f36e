"""The split of a run is used again: as DATA, as a stored split under new files, and by folds."""

import csv

import pytest

from obverse.errors import DataError
from obverse.experiment import evaluate_run, start_run
from obverse.manifest import read_source
from obverse.recipe import DataSpec, load_recipe
from obverse.runs import RunFolder

ONE_EPOCH = {"training": {"epochs": 1}, "augment": {"policy": "none"}}


def rows(run):
    with run.manifest.open(newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


def test_a_run_as_data_has_its_samples_and_split_and_can_be_evaluated(trained, make_recipe, tmp_path):
    source = load_recipe(str(trained.recipe)).data
    run = RunFolder(tmp_path / "again")
    start_run(trained.path, make_recipe(**ONE_EPOCH, data={"split": {"seed": 7, "strategy": "digest"}}), run)
    assert run.manifest.read_bytes() == trained.manifest.read_bytes()
    saved = load_recipe(str(run.recipe)).data
    assert (saved.path, saved.layout, saved.views) == (source.path, source.layout, source.views)
    assert saved.split.stored == str(trained.manifest.resolve())
    evaluate_run(run.path, split="val", out=tmp_path / "val")
    third = RunFolder(tmp_path / "third")
    start_run(trained.manifest, load_recipe(str(run.recipe)), third)
    assert third.recipe.read_bytes() == run.recipe.read_bytes()
    assert third.manifest.read_bytes() == run.manifest.read_bytes()


def test_a_run_as_data_is_not_read_by_another_layout(trained):
    with pytest.raises(
        DataError, match=r"is a run folder, whose data is read as view-folders, and data.layout is cifar"
    ):
        read_source(trained.path, DataSpec(layout="cifar"))
    assert read_source(trained.path, DataSpec(layout="view-folders")).stored == trained.manifest


def test_new_files_are_fitted_around_an_earlier_run(draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=10)
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    start_run(data, make_recipe(**ONE_EPOCH), first)
    draw_classes(data, per_class=20)
    start_run(data, make_recipe(**ONE_EPOCH, data={"split": {"stored": str(first.path)}}), second)
    assert len(rows(second)) == 40
    assert rows(first).items() <= rows(second).items()


def test_folds_share_their_test_split(draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=9)
    runs = [RunFolder(tmp_path / str(fold)) for fold in range(2)]
    for fold, run in enumerate(runs):
        start_run(data, make_recipe(**ONE_EPOCH, data={"split": {"folds": 2, "fold": fold, "test": 0.2}}), run)
    one, two = map(rows, runs)
    assert {name for name in one if one[name] == "test"} == {name for name in two if two[name] == "test"} != set()
    assert all({one[name], two[name]} in ({"train", "val"}, {"test"}) for name in one)


def test_classes_that_a_run_left_out_are_left_out_of_its_data_again(draw_classes, make_recipe, tmp_path):
    data = draw_classes(tmp_path / "data", classes=("dark", "grey", "light"), per_class=8)
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(**ONE_EPOCH, data={"exclude_classes": ["grey"]}), run)
    assert len(rows(run)) == 16
    _, metrics = evaluate_run(run.path, data=data, out=tmp_path / "all")
    assert metrics["num_samples"] == 16
    assert "without the class(es) grey" in (tmp_path / "all" / "summary.md").read_text()
