"""The objective against torch's and timm's own losses, on hard and soft targets, with weights and smoothing."""

import pytest
import timm.loss
import torch
from torch.nn import functional

from obverse.decisions import hard_targets
from obverse.losses import build_objective, class_weights
from obverse.recipe import LossSpec

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
LABELS = torch.tensor([0, 2, 1, 1])
HARD = hard_targets(LABELS, 3)
SOFT = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0]])
COUNTS = [100, 10, 1]
WEIGHTS = ["inverse", "sqrt", "effective"]


def mean(objective, targets, logits=LOGITS):
    return objective.losses(logits, targets).sum() / objective.weights(targets).sum()


def plain(smoothing=0.0):
    return build_objective(LossSpec(kind="cross-entropy", label_smoothing=smoothing, decode="mode"), counts=COUNTS)


def weighted(kind, smoothing=0.0):
    return build_objective(
        LossSpec(kind="cross-entropy", class_weights=kind, label_smoothing=smoothing, decode="mode"), counts=COUNTS
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_plain_cross_entropy_is_torch_s_and_timm_s(smoothing):
    found = mean(plain(smoothing), HARD)
    torch.testing.assert_close(found, functional.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing))
    torch.testing.assert_close(found, timm.loss.LabelSmoothingCrossEntropy(smoothing)(LOGITS, LABELS))


def test_soft_targets_are_torch_s_and_timm_s():
    torch.testing.assert_close(mean(plain(), SOFT), functional.cross_entropy(LOGITS, SOFT))
    torch.testing.assert_close(mean(plain(), SOFT), timm.loss.SoftTargetCrossEntropy()(LOGITS, SOFT))


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weighted_cross_entropy_is_torch_s(kind):
    weights = torch.tensor(class_weights(COUNTS, kind, beta=0.999))
    expected = functional.cross_entropy(LOGITS, LABELS, weight=weights)
    torch.testing.assert_close(mean(weighted(kind), HARD), expected)
    # torch divides soft targets by their number; the sums agree.
    total = functional.cross_entropy(LOGITS, SOFT, weight=weights, reduction="sum")
    torch.testing.assert_close(weighted(kind).losses(LOGITS, SOFT).sum(), total)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["none", *WEIGHTS])
def test_a_mixed_target_costs_the_mixture_of_its_labels(kind, smoothing):
    """Mixup's definition: share x weighted loss of one label + the rest x weighted loss of the other."""
    objective, share = weighted(kind, smoothing), 0.3
    other = hard_targets(LABELS.roll(1), 3)
    mixed = share * HARD + (1 - share) * other
    for whole in (objective.weights, lambda t: objective.losses(LOGITS, t)):
        torch.testing.assert_close(whole(mixed), share * whole(HARD) + (1 - share) * whole(other))


def test_smoothing_weighs_a_sample_by_its_label():
    smoothed = 0.8 * HARD + 0.2 / 3
    own = torch.tensor(class_weights(COUNTS, "inverse", beta=0.0))[LABELS]
    expected = own * -(smoothed * LOGITS.log_softmax(1)).sum(1)
    torch.testing.assert_close(weighted("inverse", 0.2).losses(LOGITS, HARD), expected)


def test_an_unknown_label_costs_and_weighs_nothing():
    targets = hard_targets(torch.tensor([-1, 2]), 3)
    assert plain(0.1).weights(targets).tolist() == [0, 1]
    assert plain(0.1).losses(LOGITS[:2], targets)[0] == 0


def test_half_precision_logits_are_summed_in_fp32():
    assert plain().losses(LOGITS.bfloat16(), HARD).dtype == torch.float32


@pytest.mark.parametrize("kind", ["none", *WEIGHTS])
def test_a_training_sample_weighs_one_on_average(kind):
    weights = class_weights([5960, 700, 40, 1], kind, beta=0.99)
    mean_weight = sum(w * n for w, n in zip(weights, [5960, 700, 40, 1], strict=True)) / 6701
    assert mean_weight == pytest.approx(1)
    assert weights == sorted(weights)


def test_weights_by_hand():
    assert class_weights([4, 1], "inverse", beta=0.0) == pytest.approx([0.625, 2.5])
    assert class_weights([4, 1], "sqrt", beta=0.0) == pytest.approx([5 / 6, 5 / 3])
    # E = (1 - b^n) / (1 - b): 1.9375 and 1 with b = 0.5; weights 1 / E, scaled by 5 / (4 / 1.875 + 1).
    assert class_weights([4, 1], "effective", beta=0.5) == pytest.approx([0.8510638, 1.5957447])
    assert class_weights([4, 1], "effective", beta=0.0) == [1, 1]


def test_effective_numbers_go_from_none_to_inverse_with_beta():
    none, inverse = (class_weights(COUNTS, kind, beta=0.0) for kind in ("none", "inverse"))
    assert class_weights(COUNTS, "effective", beta=1e-9) == pytest.approx(none)
    assert class_weights(COUNTS, "effective", beta=1 - 1e-9) == pytest.approx(inverse, rel=1e-4)


def test_the_documented_saturation_of_effective_numbers():
    a, b, _ = class_weights([6000, 10_000, 10], "effective", beta=0.999)
    assert a == pytest.approx(b, rel=0.01)


def test_a_class_without_training_samples_weighs_nothing():
    for kind in WEIGHTS:
        assert class_weights([4, 0, 4], kind, beta=0.9) == pytest.approx([1, 0, 1])
