"""Cross entropy as (sum, weight), against torch's own mean."""

import pytest
import torch
from torch.nn import functional

from obverse.losses import cross_entropy

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
LABELS = torch.tensor([0, 2, 1, 1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_sum_over_weight_is_torch_s_mean(smoothing):
    total, weight = cross_entropy(LOGITS, LABELS, torch.ones(4, dtype=torch.bool), label_smoothing=smoothing)
    torch.testing.assert_close(total / weight, functional.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing))


def test_smoothing_is_cross_entropy_with_a_mixed_target():
    target = 0.9 * functional.one_hot(LABELS, 3) + 0.1 / 3
    total, _ = cross_entropy(LOGITS, LABELS, torch.ones(4, dtype=torch.bool), label_smoothing=0.1)
    torch.testing.assert_close(total, -(target * LOGITS.log_softmax(1)).sum())


def test_samples_that_are_not_valid_count_nothing():
    valid = torch.tensor([True, False, True, False])
    total, weight = cross_entropy(LOGITS, LABELS, valid)
    assert weight == 2
    torch.testing.assert_close(total, functional.cross_entropy(LOGITS[valid], LABELS[valid], reduction="sum"))


def test_a_nan_behind_the_mask_does_not_spread():
    logits = LOGITS.clone()
    logits[1] = torch.nan
    total, _ = cross_entropy(logits, LABELS, torch.tensor([True, False, True, True]))
    assert torch.isfinite(total)


def test_half_precision_logits_are_summed_in_fp32():
    total, _ = cross_entropy(LOGITS.bfloat16(), LABELS, torch.ones(4, dtype=torch.bool))
    assert total.dtype == torch.float32
