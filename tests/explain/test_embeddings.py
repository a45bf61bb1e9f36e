"""Nearest neighbours against all pairs."""

import numpy as np

from obverse.explain import embeddings, nearest


def test_the_nearest_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr(embeddings, "BLOCK", 7)
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(30, 5)).astype(np.float32)
    gallery[11] = 3 * gallery[2]  # the same direction: of equals the earlier row
    rows, cosines = nearest(queries, gallery, 6)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
    whole = queries @ gallery.T / lengths
    assert np.sort(rows, axis=1).tolist() == np.sort(np.argsort(-whole, axis=1)[:, :6], axis=1).tolist()
    np.testing.assert_allclose(cosines, -np.sort(-whole, axis=1)[:, :6], rtol=1e-5)
    (found,), _ = nearest(gallery[2:3], gallery, 3)
    assert set(found[:2].tolist()) == {2, 11}


def test_a_gallery_smaller_than_k_and_a_zero_row():
    rows, cosines = nearest(np.ones((1, 3), np.float32), np.zeros((2, 3), np.float32), 5)
    assert rows.tolist() == [[0, 1]]
    assert cosines.tolist() == [[0.0, 0.0]]
