"""A bundle from a stranger, with digests that fit: whatever its files are, it is refused in one sentence (exit 65)."""

import hashlib
import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from obverse.bundle import Bundle, read_bundle, write_bundle
from obverse.bundle.schema import DIGEST, digest_of
from obverse.data import Geometry
from obverse.decisions import OutlierDetector
from obverse.errors import DataError
from obverse.recipe import ConvNetBackbone, ModelSpec, OutlierSpec, OutputSpec

PLACE = Path(__file__).parents[1] / "models" / "hostile_tensors.py"
SPEC = importlib.util.spec_from_file_location("hostile_tensors", PLACE)
hostile_tensors = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hostile_tensors)
HOSTILE = hostile_tensors.HOSTILE
BUNDLE = Bundle(
    classes=("a", "b"),
    ordered=False,
    views=("image",),
    geometry=Geometry(16, 16, 16, 16),
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    model=ModelSpec(backbone=ConvNetBackbone(widths=(4,))),
    output=OutputSpec(),
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    write_bundle(tmp_path / "bundle", BUNDLE, BUNDLE.build().state_dict())
    return tmp_path / "bundle"


def with_file(folder, name, data):
    """The bundle with another file, whose digest a stranger has written into the description."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(data)
    values = json.loads((folder / "model.json").read_text())
    key = {"model.safetensors": "weights_sha256", "outliers.safetensors": "outliers_sha256"}[name]
    values[key] = hashlib.sha256(data).hexdigest()
    values[DIGEST] = digest_of(values)
    (folder / "model.json").write_text(json.dumps(values))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("file", ["model.safetensors", "outliers.safetensors"])
def test_a_hostile_file_of_tensors(file, name, folder):
    with_file(folder, file, HOSTILE[name])
    with pytest.raises(DataError) as caught:
        read_bundle(folder)
    assert caught.value.exit_code == 65
    assert "\n" not in str(caught.value)


def test_the_same_with_sound_files(folder):
    """What the tests above change is all that is wrong with them."""
    detector = OutlierDetector(
        np.zeros((2, 4), np.float16), np.eye(4, dtype=np.float16)[:2], np.ones(2, np.float32), 1.0
    )
    rule = OutlierSpec(
        gen_centre=0.0, gen_scale=1.0, distance_centre=0.0, distance_scale=1.0, reject_above=3.0, share_below=0.99,
        num_samples=100,
    )  # fmt: skip
    bundle = replace(BUNDLE, output=OutputSpec(outliers=rule), detector=detector)
    write_bundle(folder, bundle, BUNDLE.build().state_dict())
    for name in ("model.safetensors", "outliers.safetensors"):
        with_file(folder, name, (folder / name).read_bytes())
    assert read_bundle(folder)[0].detector is not None


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_link_leads_to_nothing_but_the_bundle_s_own_bytes(name, folder, tmp_path):
    """A cache of the hub is made of links, so that they are followed; what is behind is held to the same checks."""
    blob = tmp_path / "blob"
    (folder / name).rename(blob)
    (folder / name).symlink_to(blob)
    assert read_bundle(folder)[0] == BUNDLE
    (tmp_path / "secret").write_text('{"password": "tulip"}')
    for target in (tmp_path / "secret", "/dev/zero", folder / name, tmp_path, tmp_path / "nowhere"):
        (folder / name).unlink()
        os.symlink(target, folder / name)
        with pytest.raises(DataError) as caught:
            read_bundle(folder)
        assert "tulip" not in str(caught.value)


@pytest.mark.parametrize("key", ["weights", "weights_file", "path"])
def test_no_key_names_another_file(key, folder):
    values = json.loads((folder / "model.json").read_text()) | {key: "../../outside.safetensors"}
    values[DIGEST] = digest_of(values)
    (folder / "model.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=key):
        read_bundle(folder)
