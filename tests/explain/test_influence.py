"""Influence of views: Shapley values against all orders, and the answer of the model itself for fewer views."""

import csv
import re
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import nn

from obverse.data import Batch
from obverse.engines import Forward, Needs, TorchEngine
from obverse.explain import explain, view_influence
from obverse.explain.influence import influence_sentences
from obverse.models import Classifier, build_classifier
from obverse.recipe import ConvNetBackbone, ModelSpec, OutputSpec

VIEWS = ("obverse", "reverse", "edge")


def engine_of(model, num_views, **output):
    forward = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"), output=OutputSpec(**output))
    return TorchEngine(model.eval(), forward, Needs(num_views, 32, 32))


def small_model(num_views):
    torch.manual_seed(0)
    spec = ModelSpec(backbone=ConvNetBackbone(widths=(8, 8)))
    return build_classifier(spec, num_views=num_views, num_classes=4, height=32, width=32)


def batch_of(num_views, *, missing=()):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, num_views, 3, 32, 32), dtype=torch.uint8, generator=generator)
    present = torch.tensor([[view not in missing for view in range(num_views)]])
    return Batch(images, present, torch.tensor([-1]), torch.ones(1, dtype=torch.bool), ("s",))


def probability(engine, batch, views, target):
    """Of the class when only these views are present, by the plain forward pass."""
    present = torch.tensor([[view in views for view in range(batch.present_BV.shape[1])]])
    with torch.no_grad():
        logits = engine.forward.logits(engine.model, replace(batch, present_BV=present))
    return float(engine.forward.kind.probabilities(engine.forward.class_logits(logits))[0, target])


@pytest.mark.parametrize("output", [{}, {"kind": "binary"}], ids=["one class", "label set"])
@pytest.mark.parametrize("num_views", [2, 3])
def test_shares_are_the_mean_over_all_orders(num_views, output):
    engine, batch, target = engine_of(small_model(num_views), num_views, **output), batch_of(num_views), 2
    found = view_influence(engine, batch, VIEWS, target)
    base = 0.5 if output else 1 / 4
    gains = dict.fromkeys(range(num_views), 0.0)
    orders = list(permutations(range(num_views)))
    for order in orders:
        before = base
        for place, view in enumerate(order):
            after = probability(engine, batch, order[: place + 1], target)
            gains[view] += (after - before) / len(orders)
            before = after
    assert found.base == base
    assert found.probability == pytest.approx(probability(engine, batch, range(num_views), target), abs=1e-6)
    assert sum(view.share for view in found.views.values()) == pytest.approx(found.probability - base, abs=1e-6)
    for view, gain in gains.items():
        one = found.views[VIEWS[view]]
        assert one.share == pytest.approx(gain, abs=1e-6)
        assert one.alone == pytest.approx(probability(engine, batch, [view], target), abs=1e-6)
        rest = [other for other in range(num_views) if other != view]
        assert one.without == pytest.approx(probability(engine, batch, rest, target), abs=1e-6)


class Brightness(nn.Module):
    num_features = 1

    def forward(self, images):
        return images.mean((1, 2, 3))[:, None]


class Weighted(nn.Module):
    """Sum of the views' features; the second view counts ten times."""

    def forward(self, features_BVD, present_BV):
        return (features_BVD * torch.tensor([1.0, 10.0]).view(1, 2, 1) * present_BV[..., None]).sum(1)


def test_the_view_that_decides_has_the_larger_share():
    model = Classifier([Brightness()], Weighted(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.3], [0.0]]))
    batch = batch_of(2)
    batch.images_BVCHW[:] = 250
    (found,) = explain(engine_of(model, 2), batch, VIEWS[:2])
    first, second = found.influence.views.values()
    assert second.share > 4 * first.share > 0
    assert first.without > 0.9 > second.without
    assert found.influence.words == f"obverse {100 * first.share:+.0f}, reverse {100 * second.share:+.0f} points"
    mean, what = influence_sentences([found.influence, found.influence])
    assert f"over these 2 samples: {found.influence.words}. reverse moved it most in 2 of them" in mean
    assert "Shapley" in what
    assert list(influence_sentences([])) == []


def test_one_view_that_is_there_has_no_influence_to_share():
    engine = engine_of(small_model(3), 3)
    assert view_influence(engine, batch_of(3, missing=(0, 2)), VIEWS, 0) is None
    assert list(view_influence(engine, batch_of(3, missing=(1,)), VIEWS, 0).views) == ["obverse", "edge"]


def test_many_views_have_the_answer_without_each_but_no_shares():
    views = tuple(f"part {number}" for number in range(9))
    found = view_influence(engine_of(small_model(9), 9), batch_of(9), views, 1)
    assert [view.share for view in found.views.values()] == [None] * 9
    assert all(0 < view.without < 1 for view in found.views.values())
    assert found.gains["part 3"] == pytest.approx(found.probability - found.views["part 3"].without)
    assert "loses without the view" in [*influence_sentences([found])][1]


def test_the_report_of_views_says_how_much_each_moved(trained):
    summary = (trained.evaluation("test") / "summary.md").read_text()
    maps = summary.split("## Where the model looks")[1].split("\n## ")[0]
    with (trained.evaluation("test") / "attention_maps/maps.csv").open(newline="") as file:
        drawn = list(csv.DictReader(file))
    assert all(re.fullmatch(r"obverse (0|[+-]\d+), reverse (0|[+-]\d+) points", row["influence"]) for row in drawn)
    assert all(row["influence"] in maps for row in drawn)
    assert f"on average over these {len(drawn)} samples: obverse " in maps
