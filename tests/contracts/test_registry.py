"""Every line of the registries leads to a file with what its room looks for."""

from typing import get_args

import pytest

from obverse.manifest.sources.source import Source, source_of
from obverse.models.backbones.network import Network, network_of
from obverse.recipe import AutoBackbone, DataSpec, LossSpec
from obverse.recipe.specs.backbone import Backbone
from obverse.registry import EXPORT_FORMATS, LOSSES, SOURCES, load_file

BACKBONES = [kind for kind in get_args(get_args(Backbone)[0]) if kind is not AutoBackbone]


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name):
    prior = {"prior": "train"} if LOSSES[name].adjusts else {}
    spec = LossSpec(kind=name, **prior)
    assert callable(load_file("losses", LOSSES[name].file).build(spec, [3, 2, 1]))
    assert set(LOSSES[name].fields) <= set(LossSpec.model_fields)


@pytest.mark.parametrize("name", SOURCES)
def test_source(name):
    assert isinstance(source_of(name), Source)
    assert DataSpec(layout=name).layout == name


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_export_format(name):
    assert callable(load_file("export", EXPORT_FORMATS[name].file).write)


@pytest.mark.parametrize("kind", BACKBONES)
def test_backbone(kind):
    assert isinstance(network_of(kind), Network)
