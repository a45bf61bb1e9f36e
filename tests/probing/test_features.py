"""Frozen features: those of training and prediction, computed once, also when an earlier attempt was killed."""

import pytest
import torch

from obverse.data import Loader, PictureDataset
from obverse.engines import Forward
from obverse.experiment import describe, resolve
from obverse.manifest import build_index
from obverse.probing import features as room
from obverse.probing.features import frozen_features
from obverse.recipe import build_recipe

CPU = torch.device("cpu")


def described_of(data, weights):
    """(bundle, manifest, samples of train and val) of a folder of two views."""
    backbone = {"kind": "timm", "name": "test_vit", "pretrained": str(weights)}
    sections = {"model": {"backbone": backbone}, "data": {"size": 32, "missing_view": "keep"}}
    recipe = build_recipe({**sections, "runtime": {"device": "cpu"}}, "test")
    index = build_index(data, recipe.data)
    manifest = index.manifest
    bundle = describe(resolve(recipe, index).recipe, manifest)
    return bundle, manifest, manifest.samples.where(name != "test" for name in manifest.samples.splits)


@pytest.fixture
def described(tmp_path, vit_weights, draw_classes):
    return described_of(draw_classes(tmp_path / "data", views=("front", "back")), vit_weights)


def test_features_are_those_of_the_forward_pass_and_come_from_the_cache_next_time(described, tmp_path):
    bundle, manifest, samples = described
    first = frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache")
    model, forward = bundle.build(load_weights=True).eval(), Forward.from_bundle(bundle, CPU)
    (batch,) = Loader(PictureDataset(manifest, samples, bundle.geometry), 100).epoch()
    with torch.no_grad():
        torch.testing.assert_close(first.features_NVD, model.features(forward.inputs(batch)), rtol=1e-5, atol=1e-5)
    again = frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache")
    assert (first.num_computed, again.num_computed) == (len(samples), 0)
    assert torch.equal(first.features_NVD, again.features_NVD)
    assert again.milliseconds == first.milliseconds > 0
    assert first.num_parameters == sum(p.numel() for p in model.backbones[0].parameters())


def test_a_killed_run_goes_on_where_it_was(described, tmp_path, monkeypatch):
    bundle, manifest, samples = described
    monkeypatch.setattr(room, "BATCH_SIZE", 4)
    monkeypatch.setattr(room, "SECONDS_PER_FILE", 0.0)

    def stop(done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache", progress=stop)
    rest = frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache")
    whole = frozen_features(bundle, manifest, samples, device=CPU, root=None)
    assert rest.num_computed == len(samples) - 8
    torch.testing.assert_close(rest.features_NVD, whole.features_NVD, rtol=1e-5, atol=1e-5)


def test_features_of_a_missing_view_are_zero(tmp_path, vit_weights, draw_classes):
    data = draw_classes(tmp_path / "data", views=("front", "back"))
    for path in (data / "dark" / "front").glob("*.png"):
        path.unlink()
    bundle, manifest, samples = described_of(data, vit_weights)
    result = frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache")
    again = frozen_features(bundle, manifest, samples, device=CPU, root=tmp_path / "cache")
    is_dark = torch.tensor([label == "dark" for label in samples.labels])
    front = manifest.views.index("front")
    assert torch.equal(result.present_NV[:, front], ~is_dark)
    assert result.features_NVD[is_dark, front].abs().max() == 0 < result.features_NVD[~is_dark, front].abs().min()
    assert torch.equal(again.features_NVD, result.features_NVD)
    assert again.num_computed == 0
