"""What differs between one class and a label set, in tensors and in arrays."""

import numpy as np
import pytest
import torch

from obverse.decisions import LabelSet, OneClass, kind_of, to_answers, to_probabilities
from obverse.metrics import LabelSets, OneLabel, Units
from obverse.recipe import OutputSpec

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [-3.0, -2.0, -4.0], [float("nan")] * 3])


def test_the_kind_follows_from_the_output():
    assert kind_of(OutputSpec(decode="median"), ordered=True) == OneClass("median", ordered=True)
    assert kind_of(OutputSpec(kind="corn")) == OneClass()
    assert kind_of(OutputSpec(kind="binary", thresholds=(0.1, 0.2))) == LabelSet((0.1, 0.2))
    assert kind_of(OutputSpec(kind="binary"), ordered=True).ordered is False


@pytest.mark.parametrize(
    ("kind", "expected", "leading"),
    [
        (OneClass(), [0, 1, -1], [0, 1, -1]),
        (LabelSet(), [[True, True, False], [False] * 3, [False] * 3], [0, 1]),
        (LabelSet((0.9, 0.1, 0.01)), [[False, True, True], [False, True, True], [False] * 3], [0, 1]),
    ],
)
def test_tensors_and_arrays_give_the_same_answers(kind, expected, leading):
    of_tensors = kind.decide(kind.probabilities(LOGITS))
    of_arrays = to_answers(to_probabilities(LOGITS.numpy(), kind), kind)
    assert of_tensors.tolist() == of_arrays.tolist() == expected
    assert kind.leading_class(LOGITS[: len(leading)]).tolist() == leading


def test_an_answer_is_right_when_it_is_the_target():
    targets = torch.tensor([[0.9, 0.1], [0.0, 1.0]])
    assert OneClass().is_right(torch.tensor([0, 0]), targets).tolist() == [True, False]
    sets = torch.tensor([[True, False], [True, True]])
    assert LabelSet().is_right(sets, targets).tolist() == [True, False]


def test_the_truth_and_what_is_measured_from_it():
    probabilities, units = np.full((2, 3), 0.4, np.float32), Units.alone(2)
    labels, sets = np.array([1, -1]), np.array([[True, False, True], [False] * 3])
    assert OneClass().known(labels).tolist() == [True, False]
    assert LabelSet().known(sets).tolist() == [True, True]
    assert (OneClass().truth_shape(2, 3), LabelSet().truth_shape(2, 3)) == (labels.shape, sets.shape)
    one = OneClass(ordered=True).outcome(labels, labels, probabilities, units)
    assert isinstance(one, OneLabel)
    assert one.ordered
    assert isinstance(LabelSet().outcome(sets, sets, probabilities, units), LabelSets)


def test_an_export_holds_the_decision():
    class Decided(torch.nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.kind = kind

        def forward(self, logits):
            return self.kind.decide(self.kind.probabilities(logits))

    for kind in (OneClass(), OneClass("median", ordered=True), LabelSet((0.9, 0.1, 0.5))):
        program = torch.export.export(Decided(kind), (LOGITS,)).module()
        assert torch.equal(program(LOGITS), Decided(kind)(LOGITS))
