"""Every fusion with view heads and columns: it is planned, goes into a bundle and comes back the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from obverse.bundle import read_bundle, write_bundle
from obverse.experiment.auto.resolve import resolve
from obverse.experiment.setup import describe
from obverse.imaging import grid
from obverse.manifest import Column
from obverse.planning.imagined import imagined_index
from obverse.planning.memory import plan_memory

KINDS = ("attention", "average", "concat", "cross-view", "gated", "max", "mean", "multiplicative")
COLUMNS = (Column("mint", "category", ("D", "Ω")), Column("year", "number", mean=1900.5, std=12.0))


@pytest.fixture(params=KINDS)
def planned(request, make_recipe):
    """(resolved recipe, bundle)."""
    recipe = make_recipe(
        data={"views": ["left", "right"], "columns": {"mint": "category", "year": "number"}},
        model={"fusion": {"kind": request.param}, "view_heads": None if request.param == "average" else {}},
    )
    index = imagined_index(recipe, num_classes=3, num_samples=40)
    resolved = resolve(recipe, index).recipe
    bundle = describe(resolved, replace(index.manifest, columns=COLUMNS))
    return resolved, replace(bundle, parts=grid(1, 2))


def test_its_memory_is_planned_with_all_its_parameters(planned):
    recipe, bundle = planned
    memory = plan_memory(recipe, bundle, device="cpu", micro_batch_size=4)
    model = bundle.build()
    assert memory.gradients == 4 * model.num_parameters()
    assert memory.peak > memory.before_activations


def test_its_bundle_comes_back_the_same(planned, tmp_path):
    _, bundle = planned
    model = bundle.build().eval()
    write_bundle(tmp_path / "bundle", bundle, model.state_dict())
    again, loaded = read_bundle(tmp_path / "bundle")
    assert replace(again, model=bundle.model) == bundle
    assert again.model.model_dump() == bundle.model.model_dump()
    images, present = torch.randn(2, 2, 3, 16, 16), torch.tensor([[True, True], [False, True]])
    columns = torch.tensor([[1.0, 0.5], [0.0, float("nan")]])
    for given in (columns, None):
        each_view = model.grades_views
        expected = model(images, present, given, each_view=each_view)
        assert expected.shape == ((2, 3, 3) if each_view else (2, 2, 4))
        torch.testing.assert_close(loaded(images, present, given, each_view=each_view), expected)
    known, unknown = model(images[:1], present[:1], columns[:1]), model(images[:1], present[:1])
    assert not torch.equal(known, unknown)
