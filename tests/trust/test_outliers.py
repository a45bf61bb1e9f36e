"""The score of outliers: its distance against the plain formula, its limit, its file in the bundle."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from obverse.bundle import read_bundle, write_bundle
from obverse.decisions import OutlierDetector, generalised_entropy, normalised, outlier_scores
from obverse.errors import DataError
from obverse.inference import load as load_model
from obverse.trust import fit_detector, scaled_on_val


def drawn(num, size, num_classes, seed=0):
    """Embeddings around class means, and the classes."""
    generator = np.random.default_rng(seed)
    means_KD = 5 * np.random.default_rng(99).normal(size=(num_classes, size))
    labels_N = generator.integers(0, num_classes, num)
    return (means_KD[labels_N] + generator.normal(size=(num, size))).astype(np.float32), labels_N


def sure(num, num_classes=3):
    return np.full((num, num_classes), 1 / num_classes, np.float32)


def test_the_distance_is_that_of_the_full_covariance():
    embeddings_ND, labels_N = drawn(400, 6, 3)
    detector = fit_detector(embeddings_ND, labels_N)
    full = detector.directions_RD.astype(np.float64)
    covariance = full.T @ np.diag(detector.variances_R.astype(np.float64) - detector.residual) @ full
    inverse = np.linalg.inv(covariance + detector.residual * np.eye(6))
    apart_NKD = normalised(embeddings_ND)[:, None] - detector.means_KD.astype(np.float64)
    expected_N = np.einsum("nkd,de,nke->nk", apart_NKD, inverse, apart_NKD).min(1)
    np.testing.assert_allclose(detector.squared_distances(embeddings_ND), expected_N, rtol=2e-2)


@pytest.mark.parametrize(("num", "size"), [(400, 6), (40, 300)])
def test_the_covariance_is_that_of_the_samples_but_shrunk(num, size):
    embeddings_ND, labels_N = drawn(num, size, 3)
    detector = fit_detector(embeddings_ND, labels_N)
    points_ND = normalised(embeddings_ND)
    centred = points_ND - np.stack([points_ND[labels_N == k].mean(0) for k in range(3)])[labels_N]
    trace = (centred**2).sum() / (num - 3)
    found = detector.variances_R.sum() + detector.residual * (size - len(detector.variances_R))
    assert found == pytest.approx(trace, rel=1e-3)
    assert (detector.variances_R > 0).all()
    assert detector.residual > 0
    assert detector.means_KD.nbytes + detector.directions_RD.nbytes < 2 * size * (3 + 128) + 1


def test_what_is_far_from_every_class_is_rejected_and_few_of_new_samples_are():
    detector = fit_detector(*drawn(300, 20, 3, seed=1))
    val_ND, test_ND = drawn(200, 20, 3, seed=2)[0], drawn(2000, 20, 3, seed=3)[0]
    spec = scaled_on_val(detector, sure(200), val_ND)
    far_ND = np.random.default_rng(4).normal(size=(100, 20)).astype(np.float32)
    scores = [outlier_scores(spec, detector, sure(len(rows)), rows) > spec.reject_above for rows in (test_ND, far_ND)]
    assert scores[0].mean() < 0.03
    assert scores[1].mean() > 0.95
    assert 0.98 <= spec.share_below <= 1


def test_entropy_is_greatest_where_no_class_stands_out():
    rows = np.array([[1.0, 0.0, 0.0], [0.9, 0.05, 0.05], [0.5, 0.4, 0.1], [1 / 3, 1 / 3, 1 / 3]], np.float32)
    found = generalised_entropy(rows)
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    assert found[3] == pytest.approx(3 * (2 / 9) ** 0.1, rel=1e-5)


def test_label_sets_have_one_gaussian_and_unknown_labels_none():
    embeddings_ND, labels_N = drawn(60, 8, 3)
    assert len(fit_detector(embeddings_ND, np.eye(3, dtype=np.bool_)[labels_N]).means_KD) == 1
    assert len(fit_detector(embeddings_ND, np.where(labels_N == 2, -1, labels_N)).means_KD) == 2
    assert fit_detector(embeddings_ND[:5], labels_N[:5]) is None
    assert fit_detector(np.full((60, 8), np.nan, np.float32), labels_N) is None


def test_the_file_comes_back_and_a_changed_one_is_refused(trained, tmp_path):
    bundle, model = read_bundle(trained.path)
    detector = fit_detector(*drawn(60, 8, 3))
    write_bundle(tmp_path, replace(bundle, detector=detector), model.state_dict())
    again = read_bundle(tmp_path)[0].detector
    assert isinstance(again, OutlierDetector)
    np.testing.assert_array_equal(again.means_KD, detector.means_KD)
    np.testing.assert_array_equal(again.directions_RD, detector.directions_RD)
    assert again.residual == detector.residual
    path = tmp_path / "outliers.safetensors"
    path.write_bytes(save(load(path.read_bytes()) | {"residual": np.array([2.0])}))
    with pytest.raises(DataError, match=r"not the file that model\.json describes"):
        read_bundle(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_bundle(tmp_path)
    write_bundle(tmp_path, replace(bundle, detector=None), model.state_dict())
    assert read_bundle(tmp_path)[0].detector is None
    with pytest.raises(DataError, match="belongs to another model"):
        detector.squared_distances(np.zeros((1, 9), np.float32))


def test_predictions_of_an_older_bundle_have_no_decision(trained, tmp_path):
    bundle, model = read_bundle(trained.path)
    output = bundle.output.changed({"acceptance": None, "outliers": None})
    write_bundle(tmp_path, replace(bundle, output=output, detector=None), model.state_dict())
    assert "outliers_sha256" not in json.loads((tmp_path / "model.json").read_text())
    pictures = np.zeros((1, 24, 30, 3), np.uint8)
    (prediction,) = load_model(tmp_path, device="cpu").predict(dict.fromkeys(bundle.views, pictures[0]))
    assert (prediction.decision, prediction.reason) == (None, "")
    assert prediction.confidence == pytest.approx(prediction.probability)
