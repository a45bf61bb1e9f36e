"""The gate lets a borderline set or decision pass, and no other one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.decisions import OneClass
from obverse.decisions.conformal import scores_of
from obverse.export import TrainedModel, samples
from obverse.export.gate import Gate
from obverse.recipe import ModelSpec, OutputSpec


class Planted:
    """A runtime that gives torch's outputs, but for one change to those of the first sample."""

    name = "Planted"

    def __init__(self, gate, **changed):
        self.rows, self.changed = iter(gate.expected), changed

    def run(self, inputs):
        row, self.changed = {**next(self.rows), **self.changed}, {}
        return row


@pytest.fixture(scope="module")
def model(with_rules):
    """A small network with rules, and four classes."""
    torch.manual_seed(0)
    spec = ModelSpec.model_validate({"backbone": {"kind": "convnet", "widths": (8, 16)}})
    geometry = Geometry(32, 32, 32, 32)
    bundle = Bundle(tuple("abcd"), False, ("image",), geometry, (0.5,) * 3, (0.25,) * 3, spec, OutputSpec())
    classifier = bundle.build().eval()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        classifier.head[-1].weight.mul_(20)
        patch.setattr(samples, "NUM_SAMPLES", 12)
        return with_rules(TrainedModel(bundle, classifier), "lac")


@pytest.fixture
def gate_of(model, monkeypatch):
    """gate_of(changes of the output) -> the gate of the model."""
    monkeypatch.setattr(samples, "NUM_SAMPLES", 12)

    def make(**changes):
        return Gate.of(replace(model, bundle=replace(model.bundle, output=model.bundle.output.changed(changes))))

    return make


def test_torch_s_own_values_pass(gate_of):
    gate = gate_of()
    parity = gate.measure(Planted(gate))
    assert parity.is_equal
    assert parity.num_other_rules == 0
    # A rule that gives every sample the same would prove nothing.
    assert len({row["set"].tobytes() for row in gate.expected}) > 1
    assert {int(row["decision"][0]) for row in gate.expected} == {0, 1, 2}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("set", lambda given: ~given),
        ("decision", lambda given: (given + 1) % 3),
        ("outlier_score", lambda given: given + 0.01 * (1 + abs(given))),
        ("outlier_score", lambda given: given * np.nan),
    ],
)
def test_a_wrong_value_turns_the_gate_red(gate_of, name, change):
    gate = gate_of()
    parity = gate.measure(Planted(gate, **{name: change(gate.expected[0][name])}))
    assert not parity.is_equal
    assert (parity.num_other_rules, parity.num_other_answers, parity.probability) == (1, 0, 0)
    assert parity.worst[0].startswith("picture 0 of ")
    assert "of 1 the set, the decision or the outlier score" in parity.reason


@pytest.mark.parametrize(("apart", "passes"), [(5e-5, True), (-5e-5, True), (5e-4, False), (-5e-4, False)])
def test_a_class_whose_score_is_at_the_limit_may_be_in_or_out(gate_of, model, apart, passes):
    rows_NK = gate_of().expected[0]["probabilities"]
    sets = model.bundle.output.sets
    second = int(rows_NK[0].argsort()[-2])
    score = scores_of(rows_NK, OneClass(), sets)[0, second]
    gate = gate_of(sets=sets.changed({"quantile": (score + apart,)}))
    given = gate.expected[0]["set"].copy()
    assert given[0, second] == (apart > 0)
    given[0, second] ^= True
    assert gate.measure(Planted(gate, set=given)).is_equal == passes


@pytest.mark.parametrize(("apart", "passes"), [(5e-5, True), (-5e-5, True), (5e-4, False), (-5e-4, False)])
def test_a_decision_at_the_limit_of_confidence_may_be_either(gate_of, model, apart, passes):
    confidence = float(gate_of().expected[0]["confidence"][0])
    gate = gate_of(acceptance=model.bundle.output.acceptance.changed({"threshold": confidence + apart}), outliers=None)
    assert gate.expected[0]["decision"][0] == (apart > 0)
    assert gate.measure(Planted(gate, decision=1 - gate.expected[0]["decision"])).is_equal == passes


@pytest.mark.parametrize(("apart", "passes"), [(5e-4, True), (-5e-4, True), (5e-3, False), (-5e-3, False)])
def test_a_decision_at_the_limit_of_the_outlier_score_may_be_either(gate_of, model, apart, passes):
    score = float(gate_of().expected[0]["outlier_score"][0])
    limit = score + apart * (1 + abs(score))
    output = model.bundle.output
    gate = gate_of(
        outliers=output.outliers.changed({"reject_above": limit}),
        acceptance=output.acceptance.changed({"threshold": None}),
    )
    rejected = gate.expected[0]["decision"] == 2
    assert rejected[0] == (apart < 0)
    assert gate.measure(Planted(gate, decision=np.where(rejected, 1, 2))).is_equal == passes
