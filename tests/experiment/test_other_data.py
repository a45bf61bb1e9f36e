"""A run evaluated on other data: the view it knows, the split that is asked for, and nothing left out silently."""

import csv
import json
import shutil
import unicodedata
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from obverse.errors import DataError, RecipeError
from obverse.experiment import evaluate_run, start_run
from obverse.experiment.other_data import _as_known
from obverse.manifest import Sample, Samples, build_index, write_prepared
from obverse.recipe import DataSpec, load_recipe
from obverse.runs import RunFolder


def draw(path, brightness, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).normal(brightness, 15, (16, 16, 3)).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Coins whose reverse tells the class, and whose obverse tells the other one."""
    root = tmp_path_factory.mktemp("two") / "coins"
    for k, label in enumerate("ab"):
        for n in range(12):
            draw(root / label / "obverse" / f"{n}.png", 200 - 150 * k, 100 * k + n)
            draw(root / label / "reverse" / f"{n}.png", 50 + 150 * k, 1000 + 100 * k + n)
    return root


@pytest.fixture(scope="module")
def run_of(data, make_recipe, tmp_path_factory):
    """run_of(views): a run that was trained on them, made once."""
    known = {}

    def make(*views):
        if views not in known:
            known[views] = RunFolder(tmp_path_factory.mktemp("run") / "run")
            recipe = make_recipe(data={"views": list(views)}, training={"epochs": 6}, evaluation={"maps": 0})
            start_run(data, recipe, known[views])
        return known[views].path

    return make


def accuracy(metrics):
    return metrics["accuracy"]["value"]


def test_a_model_of_one_view_sees_that_view(run_of, data, tmp_path):
    assert accuracy(evaluate_run(run_of("reverse"), data=data, out=tmp_path / "out", device="cpu")[1]) > 0.9


def test_a_model_of_one_view_sees_single_pictures(run_of, data, tmp_path):
    for label in "ab":
        shutil.copytree(data / label / "reverse", tmp_path / "set" / label)
    found = evaluate_run(run_of("reverse"), data=tmp_path / "set", out=tmp_path / "out", device="cpu")
    assert accuracy(found[1]) > 0.9


def test_a_view_that_is_not_there_is_said(run_of, data, tmp_path):
    rows = "\n".join(f"{label},{label}/obverse/{n}.png,{label}/reverse/{n}.png" for label in "ab" for n in range(12))
    (tmp_path / "t.csv").write_text("label,front,back\n" + rows.replace("a/", f"{data}/a/").replace("b/", f"{data}/b/"))
    with pytest.raises(DataError, match="has the views front, back, the model reverse"):
        evaluate_run(run_of("reverse"), data=tmp_path / "t.csv", out=tmp_path / "out", device="cpu")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_of_other_data_is_that_split(run_of, data, tmp_path, split):
    index = build_index(data, DataSpec())
    write_prepared(index.manifest, tmp_path / "coins.csv")
    run = run_of("obverse", "reverse")
    folder, metrics = evaluate_run(run, data=tmp_path / "coins.csv", split=split, out=tmp_path / "out", device="cpu")
    assert set(json.loads((folder / "ids.json").read_text())) == {s.id for s in index.manifest.split(split)}
    assert metrics["num_samples"] == len(index.manifest.split(split)) < 24
    assert f"coins.csv, its split {split}" in (folder / "summary.md").read_text()
    with pytest.raises(DataError, match=f"has no samples in a split `{split}`"):
        evaluate_run(run, data=data, split=split, out=tmp_path / "none", device="cpu")


def test_unpaired_pictures_are_left_out_as_in_training_and_told(run_of, data, tmp_path):
    shutil.copytree(data, tmp_path / "set")
    (tmp_path / "set" / "a" / "reverse" / "3.png").unlink()
    run = run_of("obverse", "reverse")
    folder, metrics = evaluate_run(run, data=tmp_path / "set", out=tmp_path / "out", device="cpu")
    assert metrics["num_samples"] == 23
    assert "No matching reverse for 3.png" in (folder / "summary.md").read_text()


def test_what_training_would_refuse_is_refused(run_of, data, tmp_path):
    shutil.copytree(data, tmp_path / "set")
    shutil.copy(tmp_path / "set/a/obverse/3.png", tmp_path / "set/a/obverse/3.jpg")
    with pytest.raises(DataError, match=r"1 unusable picture\(s\), the first is .*3\.jpg.*: .* Mend or remove them$"):
        evaluate_run(run_of("obverse", "reverse"), data=tmp_path / "set", out=tmp_path / "out", device="cpu")


def test_data_of_one_name_in_two_places_has_two_reports(run_of, data, tmp_path):
    run = run_of("obverse", "reverse")
    for place in ("x", "y"):
        shutil.copytree(data, tmp_path / place / "coins-v1.0")
    first, second = (evaluate_run(run, data=tmp_path / place / "coins-v1.0", device="cpu")[0] for place in ("x", "y"))
    assert first != second
    assert first.parent == second.parent == run / "evaluation"
    assert evaluate_run(run, data=tmp_path / "x" / "coins-v1.0", device="cpu")[0] == first


def test_layout_is_for_other_data(run_of, data, tmp_path):
    run = run_of("obverse", "reverse")
    with pytest.raises(RecipeError, match="--layout belongs to --data"):
        evaluate_run(run, layout="class-folders")
    with pytest.raises(RecipeError, match="no layout `folders`"):
        evaluate_run(run, data=data, layout="folders", out=tmp_path / "out", device="cpu")
    _, metrics = evaluate_run(run, data=data, layout="view-folders", out=tmp_path / "out", device="cpu")
    assert metrics["num_samples"] == 24
    with pytest.raises(DataError, match="are called obverse and reverse"):
        evaluate_run(run, data=data, layout="class-folders", out=tmp_path / "out", device="cpu")


def test_changed_pictures_of_a_run_are_not_measured_as_its_own(data, make_recipe, tmp_path):
    own, run = tmp_path / "own", RunFolder(tmp_path / "run")
    shutil.copytree(data, own)
    start_run(own, make_recipe(training={"epochs": 1}, evaluation={"maps": 0}), run)
    recipe = load_recipe(str(run.recipe))
    changed = next(s for s in build_index(own, recipe.data).manifest.split("test"))
    draw(own / changed.views["obverse"], 128, 5)
    with pytest.raises(
        DataError, match=r"1 sample\(s\) have other pictures .* evaluate on them as they are with --data"
    ):
        evaluate_run(run.path, device="cpu")
    assert evaluate_run(run.path, split="val", out=tmp_path / "val", device="cpu")[1]["num_samples"]
    shutil.rmtree(own)
    shutil.copytree(data, own)  # other times of change, the same content
    assert evaluate_run(run.path, out=tmp_path / "test", device="cpu")[1]["num_samples"]


def test_pictures_that_were_trained_on_are_counted(run_of, data, tmp_path):
    """By content: the files have other names, and one of them is there twice."""
    run = run_of("reverse")
    with (run / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    splits = Counter(row["split"] for row in rows)
    for n, row in enumerate(rows):
        target = tmp_path / "set" / row["label"] / f"renamed {n}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / row["reverse"], target)
    for n in range(4):
        draw(tmp_path / "set" / "a" / f"new {n}.png", 200, 7000 + n)
    copied = next(n for n, row in enumerate(rows) if row["split"] == "train")
    shutil.copyfile(tmp_path / f"set/{rows[copied]['label']}/renamed {copied}.png", tmp_path / "set/a/copy.png")
    label = rows[copied]["label"]
    (tmp_path / "set/a/copy.png").rename(tmp_path / "set" / label / "copy.png")
    folder, metrics = evaluate_run(run, data=tmp_path / "set", out=tmp_path / "out", device="cpu")
    assert metrics["seen"]["num_trained"] == splits["train"] + 1
    assert metrics["seen"]["num_chosen"] == splits["val"]
    assert f"{splits['train'] + 1} of {len(rows) + 5} were trained on" in (folder / "summary.md").read_text()
    assert metrics["num_groups"] == len(rows) + 4
    groups = json.loads((folder / "groups.json").read_text())
    assert sorted(Counter(groups).values()) == [2, len(rows) + 3]
    assert "trained on" in (folder / "report.html").read_text()


def test_new_pictures_are_new_and_a_bundle_alone_cannot_know(run_of, tmp_path):
    for label, brightness in zip("ab", (50, 200), strict=True):
        for n in range(4):
            draw(tmp_path / "set" / label / f"{n}.png", brightness, 8000 + 100 * brightness + n)
    run = run_of("reverse")
    for model, is_unknown in ((run, False), (run / "bundle", True)):
        out = tmp_path / f"out-{is_unknown}"
        folder, metrics = evaluate_run(model, data=tmp_path / "set", out=out, device="cpu")
        seen = {"chosen": [], "num_trained": 0, "num_chosen": 0, "is_unknown": is_unknown, "findings": []}
        assert metrics["seen"] == seen
        assert ("does not know what it was trained on" in (folder / "summary.md").read_text()) is is_unknown


def test_a_run_says_which_split_chose_its_epoch_and_which_it_learned(run_of, tmp_path):
    run = run_of("reverse")
    chosen = json.loads((run / "evaluation/val/metrics.json").read_text())["seen"]["chosen"]
    assert chosen == ["the best epoch"]
    assert "This split chose the best epoch" in (run / "evaluation/val/summary.md").read_text()
    assert json.loads((run / "evaluation/test/metrics.json").read_text())["seen"]["chosen"] == []
    _, metrics = evaluate_run(run, split="train", out=tmp_path / "train", device="cpu")
    assert metrics["seen"]["num_trained"] == metrics["num_samples"]


def test_groups_of_the_run_reach_its_evaluation(data, make_recipe, tmp_path):
    run = RunFolder(tmp_path / "run")
    split = {"train": 0.5, "val": 0.25, "test": 0.25, "group_by": {"pattern": r"(\w/\d)"}}
    recipe = make_recipe(data={"views": ["reverse"], "split": split}, training={"epochs": 1}, evaluation={"maps": 0})
    metrics = start_run(data, recipe, run).metrics
    groups, ids = (json.loads((run.evaluation("test") / f"{name}.json").read_text()) for name in ("groups", "ids"))
    assert groups == [name[:3] for name in ids]
    assert metrics["num_groups"] == (len(set(groups)) if len(set(groups)) < len(ids) else None)


def test_a_class_that_an_older_model_has_decomposed_is_known():
    nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    samples = Samples.of([Sample("1", nfc, {"image": "1.png"}), Sample("2", "tea", {"image": "2.png"})])
    bundle = SimpleNamespace(classes=(nfd, "tea"), multi_label=False)
    assert _as_known(samples, bundle).labels == (nfd, "tea")
