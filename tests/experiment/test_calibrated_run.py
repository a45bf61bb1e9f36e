"""A run's calibration: fitted on val and shipped; the same in evaluation, prediction, export and ensembles."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from obverse import load
from obverse.bundle import read_bundle, read_description, write_bundle
from obverse.bundle.schema import DIGEST, digest_of
from obverse.decisions import blocks
from obverse.experiment import evaluate_run, run_manifest, run_recipe, start_run
from obverse.experiment.story import calibration_words
from obverse.export import read_pth, write_pth
from obverse.manifest import Samples
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble

SPLIT = {"split": {"train": 0.3, "val": 0.5, "test": 0.2}}


@pytest.fixture(scope="module")
def data(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("data"), classes=("a", "b", "c"), per_class=20)


@pytest.fixture(scope="module")
def runs(data, make_recipe, tmp_path_factory):
    folders = [RunFolder(tmp_path_factory.mktemp("runs") / f"run{seed}") for seed in range(2)]
    for seed, folder in enumerate(folders):
        training = {"seed": seed, "epochs": 2}
        start_run(data, make_recipe(data=SPLIT, training=training, loss={"label_smoothing": 0.4}), folder)
    return folders


def measured(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_the_report_has_the_scores_before_and_after(runs):
    run = runs[0]
    spec = read_description(run.path)[0].output.calibration
    assert (spec.kind, spec.num_samples) == ("temperature", 30)
    folder = run.evaluation("test")
    labels_N, after_NK, before_NK = (
        np.load(folder / f"{name}.npy") for name in ("true_labels", "probabilities", "uncalibrated")
    )
    np.testing.assert_allclose(softmax(np.log(before_NK) * spec.scale[0], axis=1), after_NK, atol=1e-5)
    assert (before_NK.argmax(1) == after_NK.argmax(1)).all()
    values = measured(folder)
    for rows_NK, found in ((after_NK, values["loss"]), (before_NK, values["uncalibrated"]["loss"])):
        assert found["value"] == pytest.approx(-np.log(rows_NK[np.arange(len(labels_N)), labels_N]).mean(), rel=1e-4)
    assert set(values["uncalibrated"]) == {"loss", "brier", "calibration_error"}
    summary = (folder / "summary.md").read_text()
    assert "Probabilities are calibrated on val" in summary
    assert f"temperature {1 / spec.scale[0]:.3g}, fitted on 30 samples of val" in summary
    assert (folder / "reliability.png").is_file()
    assert "the calibration" in measured(run.evaluation("val"))["seen"]["chosen"]
    assert values["seen"]["chosen"] == []


def test_evaluation_prediction_and_export_give_the_same_probabilities(runs, data, tmp_path):
    run = runs[0]
    stored_NK = np.load(run.evaluation("test") / "probabilities.npy")
    again, _ = evaluate_run(run.path, out=tmp_path / "again", device="cpu")
    np.testing.assert_allclose(np.load(again / "probabilities.npy"), stored_NK, atol=1e-6)
    ids = json.loads((run.evaluation("test") / "ids.json").read_text())
    bundle, model = read_bundle(run.path)
    write_pth(tmp_path / "model.pth", bundle, model)
    flat, network = read_pth(tmp_path / "model.pth")
    write_bundle(tmp_path / "flat", flat, network.state_dict())
    assert flat.output.calibration is None, "folded into the weights, for programs that only know a softmax"
    for predictor in (load(run.path, device="cpu"), load(tmp_path / "flat", device="cpu")):
        answers = {prediction.id: prediction.probabilities for prediction in predictor.predict(data, top_k=3)}
        for name, row_K in zip(ids, stored_NK, strict=True):
            (found,) = [answer for key, answer in answers.items() if f"/{name}" in key]
            assert [found[k] for k in "abc"] == pytest.approx(row_K, abs=1e-5)


def test_blocks_of_rows_change_no_probability(runs, tmp_path, monkeypatch):
    """12 test samples of 3 classes, in blocks of two."""
    monkeypatch.setattr(blocks, "MOST_VALUES", 6)
    folder, _ = evaluate_run(runs[0].path, out=tmp_path / "again", device="cpu")
    for name in ("uncalibrated", "probabilities"):
        whole_NK = np.load(runs[0].evaluation("test") / f"{name}.npy")
        assert whole_NK.shape == (12, 3)
        np.testing.assert_allclose(np.load(folder / f"{name}.npy"), whole_NK, atol=1e-6)


def test_a_bundle_of_an_earlier_version_is_evaluated_without_one(runs, tmp_path):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(runs[0].path, run.path)
    file = run.bundle / "model.json"
    values = json.loads(file.read_text())
    del values["output"]["calibration"], values[DIGEST]
    values["calibration"] = None
    file.write_text(json.dumps(values | {DIGEST: digest_of(values)}))
    before_NK = np.load(run.evaluation("test") / "uncalibrated.npy")
    folder, metrics = evaluate_run(run.path, device="cpu")
    np.testing.assert_allclose(np.load(folder / "probabilities.npy"), before_NK, atol=1e-6)
    assert metrics["uncalibrated"] is None
    assert not (folder / "uncalibrated.npy").exists()
    assert "Probabilities are not calibrated" in (folder / "summary.md").read_text()


def test_an_ensemble_and_a_soup_get_their_own(runs, tmp_path):
    own = [read_description(run.path)[0].output.calibration for run in runs]
    make_ensemble([run.path for run in runs], tmp_path / "both", device="cpu")
    joined, _ = read_description(tmp_path / "both")
    assert joined.output.calibration is not None
    assert [member.output.calibration for member in joined.members] == own
    make_ensemble([run.path for run in runs], tmp_path / "soup", soup=True, device="cpu")
    assert read_description(tmp_path / "soup")[0].output.calibration is not None
    for folder in (tmp_path / "both", tmp_path / "soup"):
        assert measured(folder / "evaluation/test")["uncalibrated"] is not None


def test_thresholds_of_label_sets_are_of_calibrated_probabilities(draw_label_sets, make_recipe, tmp_path):
    data, run = draw_label_sets(tmp_path / "data", num=160), RunFolder(tmp_path / "run")
    start_run(data, make_recipe(data={**SPLIT, "labels": "multi"}, training={"epochs": 2}), run)
    output = read_description(run.path)[0].output
    assert output.calibration is not None
    folder = run.evaluation("val")
    probabilities_NK, answers_NK = (np.load(folder / f"{name}.npy") for name in ("probabilities", "predictions"))
    assert (answers_NK == (probabilities_NK >= np.array(output.thresholds))).all()
    assert measured(folder)["macro_f1"]["value"] >= 0.5


def test_why_there_is_no_calibration(runs):
    bundle = read_description(runs[0].path)[0]
    manifest = run_manifest(runs[0], run_recipe(runs[0]), bundle)
    without = bundle.output.changed({"calibration": None})
    assert calibration_words(without, manifest) == "none: it would make the answers on val worse"
    few = replace(manifest, samples=Samples.of(manifest.split("val")[:5]))
    assert calibration_words(without, few) == "none: val has too few samples (5 independent ones; 8 are needed)"


def test_val_that_is_too_small_leaves_the_probabilities_as_they_are(trained):
    assert read_description(trained.path)[0].output.calibration is None
    assert measured(trained.evaluation("test"))["uncalibrated"] is None
    assert "calibration | none: val has too few samples" in (trained.evaluation("test") / "summary.md").read_text()
