"""`--tta`: the mean over mirror images where training mirrored pictures, refused elsewhere, measured by evaluate."""

import csv
import io
import re

import numpy as np
import pytest

import obverse as package
from obverse.bundle import read_bundle


@pytest.fixture(scope="module")
def mirrored_run(obverse_once, shapes, tmp_path_factory, tiny):
    """A run that mirrored its training pictures, with a network that does not answer for both by itself."""
    path = tmp_path_factory.mktemp("mirrored") / "run"
    backbone = ("--set", "model.backbone={kind: convnet, widths: [4, 8], mirrored: false}")
    result = obverse_once("train", shapes, "--run", path, *tiny, *backbone, "--set", "augment={mirror: 0.5}")
    assert result.code == 0, result.err
    return path


def probabilities(model, pictures, **options):
    answers = package.load(model, device="cpu", **options).predict(pictures, top_k=20)
    return np.array([[answer.probabilities[name] for name in sorted(answer.probabilities)] for answer in answers])


def test_a_picture_and_its_mirror_image_get_one_answer(obverse, mirrored_run, shapes):
    from PIL import Image, ImageOps

    assert read_bundle(mirrored_run)[0].trained["mirror"] == 0.5
    pictures = [Image.open(path).convert("RGB") for path in sorted(shapes.glob("*/*.png"))[:6]]
    others = [ImageOps.mirror(picture) for picture in pictures]
    plain = [probabilities(mirrored_run, each) for each in (pictures, others)]
    augmented = [probabilities(mirrored_run, each, tta=True) for each in (pictures, others)]
    assert np.abs(plain[0] - plain[1]).max() > 1e-4
    np.testing.assert_allclose(augmented[0], augmented[1], atol=1e-6)
    # Calibrated logits are averaged, and the mean of logits gives the geometric mean of probabilities.
    mean = np.sqrt(plain[0] * plain[1])
    np.testing.assert_allclose(augmented[0], mean / mean.sum(1, keepdims=True), atol=1e-5)
    path = next(shapes.glob("*/*.png"))
    printed = obverse("predict", mirrored_run, path, "--tta")
    assert "(percentages are calibrated on val, without the test-time augmentation)" in printed.out
    row = next(csv.DictReader(io.StringIO(obverse("predict", mirrored_run, path, "--tta", "--format", "csv").out)))
    (answer,) = package.load(mirrored_run, tta=True).predict(path)
    assert (row["class_1"], float(row["probability_1"])) == (answer.label, pytest.approx(answer.probability, abs=1e-6))


def test_other_models_are_refused(refused, shapes, shapes_run, coins, coins_run):
    picture = next(shapes.glob("*/*.png"))
    refused(2, "answers for both mirror images by itself", "predict", shapes_run, picture, "--tta")
    refused(2, "was not trained with them", "predict", coins_run, coins, "--tta")
    refused(2, "was not trained with them", "evaluate", coins_run, "--tta")
    refused(2, "leave out --data", "evaluate", coins_run, "--tta", "--data", coins)


def test_evaluate_says_what_it_gains_and_costs(obverse, mirrored_run, tree):
    before = tree(mirrored_run)
    result = obverse("evaluate", mirrored_run, "--tta")
    assert result.code == 0, result.err
    assert tree(mirrored_run) == before
    first, right, *metrics, cost, calibration = result.out.splitlines()
    num = int(first.split()[0])
    plain, augmented, gained, lost = re.fullmatch(
        r"right answers (0\.\d{4}|1\.0000) and (0\.\d{4}|1\.0000): (\d+) gained, (\d+) lost", right
    ).groups()
    assert float(augmented) - float(plain) == pytest.approx((int(gained) - int(lost)) / num, abs=1e-4)
    evaluated = obverse("evaluate", mirrored_run, "--out", mirrored_run.parent / "out").out
    assert f"accuracy {plain} " in evaluated
    assert any(line.startswith("log loss ") and "95 % interval" in line for line in metrics)
    assert re.fullmatch(r"\d+\.\d\d and \d+\.\d\d ms per sample, \d+\.\d\d times, decoding left out", cost)
    assert calibration.startswith("the calibration was fitted on val without augmentation")
