"""The last layer is the one that the loss asks for."""

import pytest
import torch

from obverse.models.head import build_head
from obverse.recipe import COSINE_SCALE, HeadSpec, OutputSpec


@pytest.mark.parametrize(("kind", "num"), [("classes", 5), ("cosine", 5), ("corn", 4), ("coral", 4)])
@pytest.mark.parametrize("hidden", [(), (7,)])
def test_the_number_of_outputs_is_the_loss_s(kind, num, hidden):
    head = build_head(HeadSpec(hidden=hidden), 3, 5, OutputSpec(kind=kind))
    assert head(torch.randn(2, 3)).shape == (2, num)


def test_coral_s_thresholds_shift_one_common_score():
    head = build_head(HeadSpec(), 3, 5, OutputSpec(kind="coral"))
    logits = head(torch.randn(6, 3))
    steps = logits.diff(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(6, 3))
    assert (steps < 0).all()


def test_a_cosine_head_sees_directions_only():
    head = build_head(HeadSpec(), 3, 5, OutputSpec(kind="cosine"))
    features = torch.randn(6, 3)
    torch.testing.assert_close(head(features), head(10 * features))
    assert head(features).abs().max() <= COSINE_SCALE * (1 + 1e-6)
    own = head(head[0].weight.detach())
    torch.testing.assert_close(own.diagonal(), torch.full((5,), COSINE_SCALE))
