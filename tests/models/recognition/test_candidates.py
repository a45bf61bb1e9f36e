"""Pretrained backbones at hand, and the catalogue that they come from."""

import math
import sys

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg

from obverse import models
from obverse.errors import DataError
from obverse.models import build_classifier, candidates, input_needs, pinned
from obverse.models.weights import hub as hub_module
from obverse.recipe import ALIASES, CATALOGUE, ModelSpec, TimmBackbone, within

CANDIDATES = "obverse.models.recognition.candidates"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.alias)
def test_the_catalogue_says_what_timm_says(entry):
    config = get_pretrained_cfg(entry.name)
    assert (config.license, config.input_size[1:]) == (entry.licence, (entry.side, entry.side))
    assert config.has_weights
    assert config.tag == entry.name.partition(".")[2]
    with torch.device("meta"):
        net = timm.create_model(entry.name, num_classes=0)
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6, 1) == entry.millions
    assert TimmBackbone(name=entry.alias).name == entry.name


def test_short_names_are_unique_and_no_names_of_timm():
    assert len(ALIASES) == len(CATALOGUE) == len({entry.name for entry in CATALOGUE})
    assert not ALIASES.keys() & set(timm.list_models())


def test_auto_takes_permissive_licences_only():
    for budget in ("cpu", "gpu"):
        entries = within(budget)
        assert {entry.budget for entry in entries} == {budget}
        assert {entry.licence for entry in entries} <= {"apache-2.0", "bsd-3-clause", "mit"}


LIGHT = [entry for entry in CATALOGUE if entry.budget == "cpu"]
HEAVY = [pytest.param(entry, marks=pytest.mark.full) for entry in CATALOGUE if entry.budget == "gpu"]


@pytest.mark.parametrize("entry", [*LIGHT, *HEAVY], ids=lambda entry: entry.alias)
def test_each_backbone_is_built_and_trained_a_step_with_two_views(entry):
    spec = pinned(ModelSpec(backbone=TimmBackbone(name=entry.alias, pretrained="none")))
    multiple = input_needs(spec).multiple
    side = math.ceil(64 / multiple) * multiple
    model = build_classifier(spec, num_views=2, num_classes=3, height=side, width=side)
    logits = model(torch.randn(2, 2, 3, side, side), torch.ones(2, 2, dtype=torch.bool))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.fixture
def hub(monkeypatch):
    """Names whose weights lie in the hub's cache; the hub does not answer, unless `None` is set as its reason."""
    cache, reason = set(), ["the hub cannot be reached"]
    module = sys.modules[CANDIDATES]
    monkeypatch.setattr(module, "is_cached", lambda name: name in cache)
    monkeypatch.setattr(module, "why_unavailable", lambda name: reason[0])
    return cache, reason


def test_without_files_the_catalogue_s_cached_entries_are_at_hand(hub):
    cache, reason = hub
    assert candidates() == ()
    cache |= {"resnet50.a1_in1k", "vit_small_patch16_dinov3.lvd1689m"}
    first, second = candidates(ask_hub=True)
    assert (first.label, first.backbone.name, first.licence) == ("resnet-50", "resnet50.a1_in1k", "apache-2.0")
    assert (second.label, second.licence) == ("dinov3-small", "dinov3-license")
    assert "licence dinov3-license, because its weights are in the cache" in second.reason
    reason[0] = None
    labels = [candidate.label for candidate in candidates(ask_hub=True)]
    assert labels == ["resnet-50", "dinov3-small", *(entry.alias for entry in within("cpu"))]
    assert [candidate.label for candidate in candidates()] == ["resnet-50", "dinov3-small"]


def test_files_and_folders_of_files(tmp_path):
    (tmp_path / "sub").mkdir()
    for path in ("a.pth", "sub/pytorch_model.bin"):
        torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / path)
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "z.pth")
    reasons = []
    found = candidates([tmp_path], reasons=reasons)
    assert [candidate.label for candidate in found] == ["a.pth", "sub"]
    assert {candidate.licence for candidate in found} == {""}
    assert [reason.startswith("left out: ") for reason in reasons] == [True]
    (one,) = candidates([str(tmp_path / "a.pth")])
    assert one.backbone.pretrained == str(tmp_path / "a.pth")
    with pytest.raises(DataError, match="not recognised"):
        candidates([tmp_path / "z.pth"])


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.alias)
def test_what_is_cached_is_a_file_of_timm_s_repository_in_the_hub_s_cache(entry, monkeypatch, tmp_path):
    config, asked = timm.models.get_pretrained_cfg(entry.name), []
    assert not config.hf_hub_filename
    monkeypatch.setattr(hub_module, "cached", lambda repository, file: asked.append(repository))
    assert not models.is_cached(entry.name)
    assert set(asked) == {config.hf_hub_id}
    monkeypatch.setattr(hub_module, "cached", lambda repository, file: tmp_path)
    assert models.is_cached(entry.name)
