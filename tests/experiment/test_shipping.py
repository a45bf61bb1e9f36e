"""What ships is measured, tuned and reported in the precision in which it ships, whatever it was trained in."""

import json

import numpy as np
import pytest
import torch

from obverse.bundle import read_bundle
from obverse.experiment import start_run
from obverse.experiment.evaluate import evaluate_run
from obverse.inference import load
from obverse.metrics import best_thresholds
from obverse.runs import RunFolder

# bf16 keeps 8 bits, so that its probabilities differ from fp32 in the third digit.
TRAINING = {"precision": "bf16", "channels_last": True, "matmul": "medium"}


def arrays(folder):
    names = ("probabilities", "predictions", "true_labels", "embeddings")
    return {name: np.load(folder / f"{name}.npy") for name in names}


@pytest.fixture(scope="module")
def single(draw_classes, make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    data = draw_classes(folder / "data", per_class=12, views=("obverse", "reverse"))
    recipe = make_recipe(runtime=TRAINING, loss={"kind": "logit-adjustment", "prior": "tuned"})
    start_run(data, recipe, RunFolder(folder / "run"))
    return folder


def test_the_report_of_a_bf16_run_is_what_evaluate_finds(single):
    for split in ("val", "test"):
        folder, metrics = evaluate_run(single / "run", split=split, out=single / split, device="cpu")
        reported = arrays(single / "run/evaluation" / split)
        for name, values in arrays(folder).items():
            np.testing.assert_array_equal(reported[name], values, err_msg=f"{split} {name}")
        assert json.loads((single / "run/evaluation" / split / "metrics.json").read_text())["loss"] == metrics["loss"]


def test_the_report_of_a_bf16_run_is_what_predict_says(single):
    predictor = load(single / "run", device="cpu")
    folder = single / "run/evaluation/test"
    probabilities = np.load(folder / "probabilities.npy")
    for name, row in zip(json.loads((folder / "ids.json").read_text()), probabilities, strict=True):
        label, number = name.split("/")[0], name.split("/")[-1].partition(".")[0]
        pair = {view: single / f"data/{label}/{view}/{number}.png" for view in predictor.views}
        (prediction,) = predictor.predict(pair)
        expected = dict(zip(predictor.classes, row.tolist(), strict=True))
        assert dict(prediction.top) == pytest.approx(expected, abs=1e-6)


def test_the_report_says_which_precision_is_whose(single):
    facts = json.loads((single / "run/training_log.json").read_text())["facts"]
    assert facts["precision"].startswith("bf16 in training, fp32 in this report and in what ships, 1 threads")
    assert facts["best epoch"].endswith(" in bf16")
    assert torch.get_float32_matmul_precision() == "highest"


def test_thresholds_are_tuned_on_what_ships(draw_label_sets, make_recipe, tmp_path):
    data = draw_label_sets(tmp_path / "data", num=40)
    recipe = make_recipe(data={"labels": "multi"}, runtime=TRAINING, training={"epochs": 4})
    start_run(data, recipe, RunFolder(tmp_path / "run"))
    bundle, _ = read_bundle(tmp_path / "run")
    values = [np.load(tmp_path / f"run/evaluation/val/{name}.npy") for name in ("true_labels", "probabilities")]
    assert bundle.output.thresholds == best_thresholds(*values)
