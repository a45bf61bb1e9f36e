"""A label that is the XOR of two views: which fusions can learn it, and that none seems to without both views.

Each picture shows stripes that run across or down; the label says whether the two views differ.
"""

from __future__ import annotations

import math

import pytest
import torch

from obverse.models import build_classifier, parameter_groups
from obverse.recipe import ModelSpec

SIDE, BATCH = 16, 64
ABLE = [
    ({"kind": "auto"}, []),
    ({"kind": "concat"}, [16]),
    ({"kind": "mean"}, [16]),
    ({"kind": "max"}, []),
    ({"kind": "attention", "width": 32}, []),
    ({"kind": "gated", "width": 32}, []),
    ({"kind": "multiplicative", "width": 32}, []),
    ({"kind": "cross-view", "width": 32, "depth": 1}, []),
]
# A linear head adds up what the views show, each weighed alone; and no sum of two numbers is their XOR.
UNABLE = [({"kind": "concat"}, []), ({"kind": "mean"}, [])]


def pairs(num, *, seed):
    """Pictures (num, 2, 3, SIDE, SIDE) and labels."""
    generator = torch.Generator().manual_seed(seed)
    down_N2 = torch.randint(0, 2, (num, 2), generator=generator)
    phase_N21 = 2 * math.pi * torch.rand(num, 2, 1, generator=generator)
    wave = torch.sin(math.pi / 2 * torch.arange(SIDE) + phase_N21).unsqueeze(-1).expand(num, 2, SIDE, SIDE)
    stripes = torch.where(down_N2[..., None, None] == 1, wave.mT, wave).unsqueeze(2)
    return stripes + torch.randn(num, 2, 3, SIDE, SIDE, generator=generator) / 2, down_N2.sum(1) % 2


def learned(fusion, hidden, *, num_pairs, epochs, num_views=2):
    """Accuracy on 1,000 new pairs after training."""
    torch.manual_seed(0)
    spec = ModelSpec.model_validate(
        {"backbone": {"kind": "convnet", "widths": (8, 16)}, "fusion": fusion, "head": {"hidden": tuple(hidden)}}
    )
    model = build_classifier(spec, num_views=num_views, num_classes=2, height=SIDE, width=SIDE)
    (images, labels), (new_images, new_labels) = pairs(num_pairs, seed=1), pairs(1000, seed=2)
    present = torch.ones(1000, num_views, dtype=torch.bool)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05), lr=5e-3)
    steps = epochs * math.ceil(num_pairs / BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(num_pairs).split(BATCH):
            logits = model(images[rows, :num_views], present[: len(rows)])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels[rows]).backward()
            optimizer.step()
            rate.step()
    with torch.no_grad():
        answers = model.eval()(new_images[:, :num_views], present).argmax(1)
    return (answers == new_labels).float().mean().item()


def named(cases):
    return [pytest.param(*case, id=f"{case[0]['kind']}-{'hidden' if case[1] else 'linear'}") for case in cases]


@pytest.mark.parametrize(("fusion", "hidden"), named([ABLE[0], ABLE[4]]))
def test_a_fusion_with_a_linear_head_learns_it(fusion, hidden):
    assert learned(fusion, hidden, num_pairs=500, epochs=6) > 0.9


@pytest.mark.full
@pytest.mark.parametrize(("fusion", "hidden"), named(ABLE))
def test_4000_pictures_are_enough_for_98_percent(fusion, hidden):
    assert learned(fusion, hidden, num_pairs=2000, epochs=8) >= 0.98


@pytest.mark.full
@pytest.mark.parametrize(("fusion", "hidden"), named(UNABLE))
def test_sums_of_views_cannot(fusion, hidden):
    assert learned(fusion, hidden, num_pairs=2000, epochs=8) <= 0.6


@pytest.mark.full
def test_one_view_stays_at_chance():
    assert learned({"kind": "concat"}, [16], num_pairs=2000, epochs=8, num_views=1) <= 0.55
