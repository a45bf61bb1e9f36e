"""What ships comes back as it was, and a bundle that cannot be trusted is refused in one sentence."""

import json
import shutil

import pytest
import torch

from obverse.bundle import Bundle, find_bundle, read_bundle, write_bundle
from obverse.data import Geometry
from obverse.errors import DataError, OutputError
from obverse.recipe import ConvNetBackbone, HeadSpec, MeanFusion, ModelSpec, OutputSpec

BUNDLE = Bundle(
    classes=("AU50", "MS65", "größer"),
    ordered=True,
    views=("obverse", "reverse"),
    geometry=Geometry(20, 30, 32, 32, "crop", 7, crop_fraction=0.875),
    mean=(0.1, 0.2, 0.3),
    std=(0.4, 0.5, 0.6),
    model=ModelSpec(backbone=ConvNetBackbone(widths=(8, 8)), fusion=MeanFusion(), head=HeadSpec(hidden=(5,))),
    output=OutputSpec(kind="coral", decode="median"),
    trained={"epoch": 3, "value": 0.5},
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    write_bundle(tmp_path / "bundle", BUNDLE, BUNDLE.build().state_dict())
    return tmp_path / "bundle"


def change(folder, **values):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def refusal(folder) -> str:
    with pytest.raises(DataError) as caught:
        read_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_comes_back_as_it_was(folder):
    bundle, classifier = read_bundle(folder)
    assert bundle == BUNDLE
    torch.manual_seed(0)
    torch.testing.assert_close(classifier.state_dict(), BUNDLE.build().state_dict(), atol=0, rtol=0)
    assert not classifier.training


def test_a_run_folder_stands_for_its_bundle(folder):
    assert find_bundle(folder.parent) == find_bundle(folder) == folder


def test_channels_last_weights_are_written_as_ordinary_ones(folder):
    torch.manual_seed(0)
    model = BUNDLE.build().to(memory_format=torch.channels_last)
    before = (folder / "model.safetensors").read_bytes()
    write_bundle(folder, BUNDLE, model.state_dict())
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "onnx"}', '"text"'])
def test_foreign_json_is_refused(folder, content):
    (folder / "model.json").write_text(content)
    assert "was not written by Obverse" in refusal(folder)


def test_broken_json_is_refused(folder):
    (folder / "model.json").write_bytes(b"\xff{")
    assert "cannot be read as JSON" in refusal(folder)


def test_a_newer_format_names_the_version_that_wrote_it(folder):
    change(folder, format_version=3, obverse="9.9")
    assert refusal(folder).endswith("has format version 3, and this Obverse reads up to 2; "
                                    "install the version that wrote it (9.9)")  # fmt: skip


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: bytes([d[0] ^ 1]) + d[1:], lambda d: b""])
def test_damaged_weights_are_refused(folder, damage):
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert "damaged or belongs to another model" in refusal(folder)


def test_missing_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    assert "model.safetensors' cannot be read: No such file" in refusal(folder)


@pytest.mark.parametrize(
    "key", ["classes", "ordered", "views", "geometry", "mean", "std", "model", "output", "trained", "weights_sha256"]
)
def test_a_description_that_lacks_something_is_refused(folder, key):
    path = folder / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values[key]
    path.write_text(json.dumps(values), encoding="utf-8")
    assert refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("geometry", {"height": 3}),
        ("model", {"backbone": {"kind": "wings"}}),
        ("output", {"kind": "corn"}),
        ("classes", ["a"]),
    ],
)
def test_a_description_that_was_changed_is_refused(folder, key, value):
    change(folder, **{key: value})
    assert refusal(folder)


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    assert "neither a finished run nor a bundle" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nowhere")


def test_a_place_that_cannot_be_written_is_said(folder):
    shutil.rmtree(folder)
    folder.write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bundle(folder, BUNDLE, {"w": torch.zeros(1)})


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_what_a_killed_process_was_writing_goes_with_the_next_one(folder, name):
    (folder / f".{name}.0123abcd.tmp").write_bytes(b"half")
    (folder / ".mine.0123abcd.tmp").write_bytes(b"mine")
    write_bundle(folder, BUNDLE, BUNDLE.build().state_dict())
    assert sorted(path.name for path in folder.iterdir()) == [".mine.0123abcd.tmp", "model.json", "model.safetensors"]
