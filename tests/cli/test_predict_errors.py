"""Models and pictures that prediction cannot use."""

import json
import shutil

import pytest

from obverse.bundle.schema import DIGEST, digest_of


@pytest.fixture
def copied(shapes_run, tmp_path):
    """A bundle to damage."""
    return shutil.copytree(shapes_run / "bundle", tmp_path / "bundle")


def _change(bundle, **values):
    path = bundle / "model.json"
    described = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(described | {DIGEST: digest_of(described)}), encoding="utf-8")


def test_no_model(refused, shapes, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    refused(65, "does not exist", "predict", tmp_path / "absent", shapes / "sample.jpg")
    refused(65, "neither a finished run nor a bundle", "predict", tmp_path / "empty", shapes / "sample.jpg")
    refused(65, "neither a finished run nor a bundle", "predict", tmp_path / "file", shapes / "sample.jpg")
    refused(65, "neither a finished run nor a bundle", "evaluate", tmp_path / "empty", untouched=tmp_path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "other"}, "was not written by Obverse"),
        ({"format_version": 99}, "format version 99"),
        ({"weights_sha256": "0"}, "damaged or belongs to another model"),
        ({"classes": ["a", "b"]}, "do not fit the model"),
        ({"geometry": {"height": 16}}, "incomplete or changed"),
        ({"model": {"backbone": {"kind": "nonsense"}}}, "incomplete or changed"),
        ({"classes": 3}, "incomplete or changed"),
    ],
)
def test_a_foreign_or_changed_description(refused, copied, shapes, values, words):
    _change(copied, **values)
    refused(65, words, "predict", copied, shapes / "sample.jpg", untouched=copied)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_description_that_is_no_json_object(refused, copied, shapes, content):
    (copied / "model.json").write_bytes(content)
    refused(65, "model.json", "predict", copied, shapes / "sample.jpg")


def test_damaged_and_missing_weights(refused, copied, shapes):
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused(65, "damaged", "predict", copied, shapes / "sample.jpg")
    weights.unlink()
    refused(65, "cannot be read", "predict", copied, shapes / "sample.jpg")


def test_pictures_that_are_none(refused, shapes, shapes_run, tmp_path):
    (tmp_path / "text.jpg").write_text("hello", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    good = shapes / "sample.jpg"
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    refused(65, "is a link that leads nowhere", "predict", shapes_run, tmp_path / "self.jpg")
    refused(65, "'absent.jpg' does not exist", "predict", shapes_run, good, "absent.jpg")
    refused(65, "text.jpg' is unusable", "predict", shapes_run, good, tmp_path / "text.jpg")
    refused(65, "no pictures below", "predict", shapes_run, tmp_path / "empty")
    refused(65, "cannot be opened", "predict", shapes_run, "n" * 300)
    refused(2, "nothing to predict", "predict", shapes_run)


def test_views_of_a_model_with_one(obverse, refused, shapes, shapes_run):
    picture = shapes / "sample.jpg"
    assert obverse("predict", shapes_run, "--view", f"image={picture}").code == 0
    refused(65, "no view 'front'", "predict", shapes_run, "--view", f"front={picture}")
    refused(2, "write it as NAME=FILE", "predict", shapes_run, "--view", str(picture))
    refused(2, "given twice", "predict", shapes_run, "--view", f"image={picture}", "--view", f"image={picture}")
    refused(65, "'absent.jpg' cannot be read", "predict", shapes_run, "--view", "image=absent.jpg")


def test_pictures_without_a_view_of_a_model_with_two(refused, coins, coins_run, tmp_path, pictures):
    picture = next(coins.glob("*/obverse/*"))
    result = refused(65, "say which view each picture is", "predict", coins_run, picture)
    assert "--view obverse=FILE" in result.err
    refused(65, "no view 'edge'", "predict", coins_run, "--view", f"edge={picture}")
    pictures(tmp_path / "loose")
    refused(65, "lies in no folder called obverse or reverse", "predict", coins_run, tmp_path / "loose")


def test_more_places_than_classes_gives_all_classes(obverse, shapes, shapes_run):
    result = obverse("predict", shapes_run, shapes / "sample.jpg", "--top-k", 99, "--format", "json")
    (row,) = json.loads(result.out)
    assert len({top["label"] for top in row["top"]}) == 10
    assert sum(top["probability"] for top in row["top"]) == pytest.approx(1, abs=1e-5)
