"""Quantised files of every kind of model give nearly the answers of the exact one, in both formats."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.api.quantising import export_quantised
from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.errors import RecipeError
from obverse.experiment import start_run
from obverse.export import Exact, TrainedModel, exact_and_quantised, onnx, samples
from obverse.export.gate import Gate
from obverse.manifest import Column
from obverse.recipe import ModelSpec, OutputSpec
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble

for package in ("onnxscript", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(package)

CLASSES = ("a", "b", "c", "d")
COLUMNS = (Column("year", "number", mean=1900.0, std=20.0), Column("mint", "category", ("A", "B")))
CONVNET = {"kind": "convnet", "widths": (8, 16)}
VIT = {"kind": "vit", "patch": 16, "width": 48, "depth": 2, "heads": 2}
CASES = {
    "views and columns": (CONVNET, {"views": ("obverse", "reverse"), "columns": COLUMNS}),
    "ordered": (VIT, {"ordered": True, "output": OutputSpec(kind="corn", decode="median")}),
}


@pytest.mark.parametrize(
    ("case", "format"),
    [
        ("views and columns", "onnx"),
        ("ordered", "openvino"),
        pytest.param("views and columns", "openvino", marks=pytest.mark.full),
        pytest.param("ordered", "onnx", marks=pytest.mark.full),
    ],
)
def test_answers_are_nearly_those_of_torch(case, format, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 8)
    backbone, fields = CASES[case]
    model = ModelSpec.model_validate({"backbone": backbone})
    geometry = Geometry.for_multiple(48, 48, multiple=16, fit="pad")
    bundle = replace(
        Bundle(CLASSES, False, ("image",), geometry, (0.5,) * 3, (0.5,) * 3, model, OutputSpec()), **fields
    )  # fmt: skip
    torch.manual_seed(0)
    gate = Gate.of(TrainedModel(bundle, bundle.build().eval()))
    exact = Exact(onnx.exported(gate.graph, gate.names, bundle), gate.names, "")
    before, after = exact_and_quantised(format, exact, bundle, method="int8", calibration=gate.samples.rows)
    assert gate.measure(before.session()).probability < 1e-5
    session = after.session()
    pairs = [(session.run(row)["probabilities"], wanted["probabilities"])
             for row, wanted in zip(gate.samples.rows, gate.expected, strict=True)]  # fmt: skip
    assert 0 < np.mean([np.abs(given - wanted).mean() for given, wanted in pairs]) < 0.02
    assert after.num_bytes < before.num_bytes


@pytest.fixture(scope="module")
def label_sets(draw_label_sets, make_recipe, tmp_path_factory):
    """A run of label sets."""
    folder = tmp_path_factory.mktemp("labels")
    recipe = make_recipe(data={"labels": "multi"}, training={"epochs": 4}, evaluation={"maps": 0})
    start_run(draw_label_sets(folder / "data", num=60), recipe, RunFolder(folder / "run"))
    return folder / "run"


def measured(path, out, format, monkeypatch):
    monkeypatch.setattr(samples, "NUM_SAMPLES", 4)
    results = []
    export_quantised(out, TrainedModel.read(path), "int8", format=format, max_drop=100, notify=results.append)
    return results[0]


def test_label_sets_are_measured_by_complete_sets(label_sets, tmp_path, monkeypatch):
    result = measured(label_sets, tmp_path / "a.onnx", "onnx", monkeypatch)
    before, after = (file.predictions for file in (result.before, result.after))
    assert before.kind.is_set
    np.testing.assert_allclose(after.probabilities_NK, before.probabilities_NK, atol=0.1)
    assert "McNemar" in result.words
    assert (tmp_path / "a.onnx").is_file()


def test_an_ensemble_is_measured_on_the_data_of_its_members(label_sets, tmp_path, monkeypatch):
    joined = make_ensemble([label_sets, label_sets], tmp_path / "joined", device="cpu").folder
    result = measured(joined, tmp_path / "a.xml", "openvino", monkeypatch)
    before, after = (file.predictions for file in (result.before, result.after))
    np.testing.assert_allclose(after.probabilities_NK, before.probabilities_NK, atol=0.1)
    assert before.ids
    model = TrainedModel.read(joined)
    for names in (["runs/gone"], "runs/gone", [7]):
        bundle = replace(model.bundle, trained={"ensemble": names})
        with pytest.raises(RecipeError, match=r"ensemble is measured on its members|without its run"):
            export_quantised(
                tmp_path / "b.onnx", replace(model, bundle=bundle), "int8", max_drop=1, notify=print
            )  # fmt: skip
