"""A multi-label run from a list to a report, a bundle and answers."""

import csv
import io
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from obverse import load
from obverse.bundle import read_bundle
from obverse.cli.main import app
from obverse.errors import DataError, RecipeError
from obverse.evaluation import Predictions
from obverse.experiment import evaluate_run, resume_run, start_run
from obverse.experiment.auto.resolve import resolve
from obverse.experiment.teacher import soft_targets
from obverse.manifest import build_index
from obverse.metrics import best_thresholds
from obverse.recipe import load_recipe
from obverse.runs import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_label_sets, make_recipe):
    folder = tmp_path_factory.mktemp("multi")
    recipe = make_recipe(data={"labels": "multi"}, training={"epochs": 8, "batch_size": 8, "micro_batch_size": 8})
    start_run(draw_label_sets(folder / "data", num=64), recipe, RunFolder(folder / "run"))
    return folder / "run"


def test_the_run_learns_and_its_recipe_says_what_it_did(run):
    recipe = load_recipe(str(run / "recipe.yaml"))
    assert (recipe.data.labels, recipe.loss.kind, recipe.training.select) == ("multi", "binary-cross-entropy", "map")
    values = json.loads((run / "evaluation/test/metrics.json").read_text())
    assert values["map"]["value"] > 0.95
    assert values["macro_f1"]["value"] > 0.8
    assert (run / "manifest.csv").read_text().startswith("id,labels,split,")
    assert "train subset accuracy" in (run / "evaluation/test/summary.md").read_text()


def test_thresholds_are_those_of_val_and_travel_in_the_bundle(run):
    bundle, _ = read_bundle(run)
    assert bundle.multi_label
    val = Predictions.read(run / "evaluation/val")
    assert bundle.output.thresholds == val.kind.thresholds == best_thresholds(val.truth, val.probabilities_NK)
    assert Predictions.read(run / "evaluation/test").kind == val.kind


def test_evaluating_again_gives_the_same(run, tmp_path):
    before = json.loads((run / "evaluation/test/metrics.json").read_text())
    _, found = evaluate_run(run, out=tmp_path / "again", device="cpu")
    assert found == before
    _, other = evaluate_run(run, data=run.parent / "data" / "list.csv", out=tmp_path / "other", device="cpu")
    assert other["num_samples"] == 64
    assert other["map"]["value"] > 0.95


def test_other_data_with_unknown_classes_is_refused(run, tmp_path, draw_label_sets):
    path = draw_label_sets(tmp_path / "data", num=8)
    path.write_text(path.read_text().replace("middle", "centre"))
    with pytest.raises(DataError, match=r"does not know the class.* centre"):
        evaluate_run(run, data=path, out=tmp_path / "out", device="cpu")


def test_a_finished_run_and_its_folder_as_data(run, make_recipe):
    assert resume_run(RunFolder(run)).metrics["labels"] == "multi"
    index = build_index(run, make_recipe().data)
    assert index.manifest.multi_label
    assert index.manifest.classes == ("left", "middle", "right")


def pictures(run, *numbers):
    return [str(run.parent / "data" / f"{n:03}.png") for n in numbers]


def test_python_gives_every_class_above_its_threshold(run):
    nothing, everything = load(run, device="cpu").predict(pictures(run, 0, 7))
    assert nothing.labels == ()
    assert {name for name, _ in everything.labels} == {"left", "middle", "right"}
    assert [p for _, p in everything.labels] == sorted((p for _, p in everything.labels), reverse=True)
    for prediction in (nothing, everything):
        said = {name for name, p in prediction.probabilities.items() if p >= prediction.thresholds[name]}
        assert said == {name for name, _ in prediction.labels}
    with pytest.raises(RecipeError, match="top_k is for models that give one class"):
        load(run, device="cpu").predict(pictures(run, 0), top_k=1)


def test_a_prediction_is_the_same_alone_and_among_others(run):
    predictor, some = load(run, device="cpu"), pictures(run, *range(12))
    together = predictor.predict(some)
    assert predictor.predict(some) == together
    for size in (1, 5):
        for prediction, alike in zip(predictor.predict(some, batch_size=size), together, strict=True):
            assert [name for name, _ in prediction.labels] == [name for name, _ in alike.labels]
            assert prediction.probabilities == pytest.approx(alike.probabilities, abs=1e-6)
            assert list(prediction.probabilities) == list(prediction.thresholds) == list(predictor.classes)


def test_a_label_set_has_no_single_label(run):
    prediction, _ = load(run, device="cpu").predict(pictures(run, 5, 0))
    assert prediction.is_set
    assert [p for _, p in prediction.top] == sorted(prediction.probabilities.values(), reverse=True)
    with pytest.raises(AttributeError, match="use `labels`"):
        prediction.label  # noqa: B018
    page = prediction._repr_html_()
    assert all(name in page for name in ("left", "middle", "right"))
    assert page.count("yes") == len(prediction.labels) == 2


def predict(run, form, *numbers):
    result = CliRunner().invoke(
        app, ["predict", str(run), *pictures(run, *numbers), "--format", form, "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_sets_in_every_form(run):
    table = predict(run, "table", 0, 5)
    assert "no class reaches its threshold; the likeliest is" in table
    assert "softmax" not in table
    rows = list(csv.DictReader(io.StringIO(predict(run, "csv", 0, 5))))
    assert [row["labels"] for row in rows] == ["", "left|right"]
    assert all(0 <= float(rows[0][name]) <= 1 for name in ("left", "middle", "right"))
    values = json.loads(predict(run, "json", 0, 5))
    assert [{entry["label"] for entry in value["labels"]} for value in values] == [set(), {"left", "right"}]
    assert set(values[0]["probabilities"]) == set(values[0]["thresholds"]) == {"left", "middle", "right"}
    np.testing.assert_allclose(float(rows[1]["left"]), values[1]["probabilities"]["left"], atol=1e-6)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"loss": {"kind": "focal"}}, "loss.kind: focal is for one class per sample"),
        ({"loss": {"kind": "logit-adjustment", "prior": "balanced"}}, "logit-adjustment is for one class"),
        ({"loss": {"kind": "sord"}}, "sord is for one class"),
        ({"training": {"sampler": "balanced"}}, "training.sampler: balanced"),
        ({"training": {"select": "balanced_accuracy"}}, "balanced_accuracy is for one class"),
        ({"training": {"select": "mae"}}, "mae is for one class per sample; for multi-label data .* choose map"),
        ({"loss": {"decode": "median"}}, "loss.decode: median is for one class"),
    ],
)
def test_what_is_for_one_class_per_sample_is_refused(sections, message, draw_label_sets, make_recipe, tmp_path):
    recipe = make_recipe(data={"labels": "multi"}, **sections)
    index = build_index(draw_label_sets(tmp_path, num=24), recipe.data)
    with pytest.raises(RecipeError, match=message):
        resolve(recipe, index)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"loss": {"kind": "binary-cross-entropy"}}, "binary-cross-entropy is for multi-label data"),
        ({"training": {"select": "micro_f1"}}, "micro_f1 is for multi-label data"),
    ],
)
def test_what_is_for_label_sets_is_refused_elsewhere(sections, message, draw_classes, make_recipe, tmp_path):
    recipe = make_recipe(**sections)
    index = build_index(draw_classes(tmp_path / "data"), recipe.data)
    with pytest.raises(RecipeError, match=message):
        resolve(recipe, index)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["loss.pos_weight=sqrt"], "pos_weight has no effect without"),
        (["data.labels=multi", "loss.pos_weight=sqrt", "loss.class_weights=sqrt"], "choose one"),
        (["data.labels=multi", "loss.kind=focal", "loss.pos_weight=sqrt"], "pos_weight has no effect without"),
        (["loss.kind=binary-cross-entropy", "loss.pos_weight=sqrt", "loss.class_weights=sqrt"], "choose one"),
        (["loss.kind=binary-cross-entropy", "loss.pos_weight=sqrt", "finetune.head_bias=prior"], "prior is wrong here"),
    ],
)
def test_settings_that_contradict_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("auto", settings)


def test_a_teacher_gives_each_class_its_own_soft_target(run, make_recipe, trained, tmp_path):
    data = run.parent / "data" / "list.csv"
    student = RunFolder(tmp_path / "student")
    given = {"data": {"labels": "multi"}, "training": {"epochs": 1}, "evaluation": {"maps": 0}}
    start_run(data, make_recipe(**given, distill={"teacher": str(run), "share": 0.75}), student)
    recipe = load_recipe(str(student.recipe))
    manifest = build_index(data, recipe.data).manifest
    targets = soft_targets(recipe, manifest)
    predictor = load(run)
    for sample in list(manifest.split("train"))[:4]:
        (prediction,) = predictor.predict(run.parent / "data" / sample.views["image"])
        row = targets.targets_NK[targets.place[sample.id]]
        for k, name in enumerate(manifest.classes):
            wanted = 0.75 * prediction.probabilities[name] + 0.25 * (name in manifest.classes_of(sample))
            assert float(row[k]) == pytest.approx(wanted, abs=1e-5)
    assert 0 <= float(targets.targets_NK.min()) <= float(targets.targets_NK.max()) <= 1
    plain = RunFolder(tmp_path / "plain")
    start_run(data, make_recipe(**given), plain)
    weights = [(folder.bundle / "model.safetensors").read_bytes() for folder in (student, plain)]
    assert weights[0] != weights[1]
    with pytest.raises(DataError, match="predicts one class, and the data has label sets"):
        start_run(data, make_recipe(**given, distill={"teacher": str(trained.path)}), RunFolder(tmp_path / "no"))


def test_views_heads_grade_one_class(run, make_recipe, tmp_path):
    folder = run.parent / "data"
    rows = [{"labels": ["a"] * (n % 2), "front": f"{n:03}.png", "back": f"{63 - n:03}.png"} for n in range(24)]
    (folder / "two.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = make_recipe(model={"view_heads": {}})
    with pytest.raises(RecipeError, match="view_heads grade one class per view"):
        resolve(recipe, build_index(folder / "two.jsonl", recipe.data))


def test_maps_show_the_likeliest_class(run, tmp_path):
    rows = list(csv.DictReader((run / "evaluation/test/attention_maps/maps.csv").read_text().splitlines()))
    sets = Predictions.read(run / "evaluation/test")
    for row in rows:
        probabilities = sets.probabilities_NK[int(row["row"])]
        assert row["predicted"] == sets.classes[probabilities.argmax()]
        assert float(row["probability"]) == pytest.approx(probabilities.max(), abs=1e-4)
    out = tmp_path / "explained"
    result = CliRunner().invoke(app, ["explain", str(run), *pictures(run, 4), "--out", str(out), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    (prediction,) = load(run, device="cpu").predict(pictures(run, 4))
    name, probability = max(prediction.probabilities.items(), key=lambda pair: pair[1])
    assert f"{name} {probability:.2%}" in result.stdout


def test_multi_label_data_implies_the_loss_of_pos_weight():
    for setting in ("data.labels=multi", "data.label_columns=[a, b]"):
        recipe = load_recipe("auto", [setting, "loss.pos_weight=balanced"])
        assert recipe.loss.kind == "auto"
