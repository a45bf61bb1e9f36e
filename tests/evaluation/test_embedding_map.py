"""The map of embeddings keeps neighbours together, repeats itself, and takes any number of rows."""

import numpy as np
import pytest

from obverse.evaluation import embedding_map, map_embeddings


def clusters(num, *, num_clusters=4, dims=16):
    rng = np.random.default_rng(0)
    centres = 5 * rng.normal(size=(num_clusters, dims))
    labels = np.arange(num) % num_clusters
    return (centres[labels] + rng.normal(size=(num, dims))).astype(np.float32), labels


@pytest.mark.parametrize("num", [80, 260])
def test_neighbours_stay_neighbours(num, monkeypatch):
    monkeypatch.setattr(embedding_map, "MAX_ANCHORS", 100)
    embeddings, labels = clusters(num)
    places = map_embeddings(embeddings)
    assert places.dtype == np.float32
    assert places.shape == (num, 2)
    assert np.abs(places).max() == pytest.approx(1)
    gaps = np.linalg.norm(places[:, None] - places, axis=-1) + 10 * np.eye(num)
    assert (labels[gaps.argmin(1)] == labels).mean() > 0.95
    np.testing.assert_array_equal(places, map_embeddings(embeddings))


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 4), (12, 1), (12, 4)])
def test_few_rows_and_rows_alike(shape):
    places = map_embeddings(np.ones(shape, np.float32))
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()


def test_a_row_that_is_not_finite_has_no_place():
    embeddings, _ = clusters(20)
    embeddings[3, 2] = np.nan
    assert np.isnan(map_embeddings(embeddings)).any(1).tolist() == [row == 3 for row in range(20)]


def test_neighbourhoods_are_kept_as_well_as_by_scikit_learn():
    manifold = pytest.importorskip("sklearn.manifold")
    embeddings, _ = clusters(150, num_clusters=6)
    theirs = manifold.TSNE(init="pca", perplexity=30, random_state=0).fit_transform(embeddings)
    ours = map_embeddings(embeddings)
    assert manifold.trustworthiness(embeddings, ours) > manifold.trustworthiness(embeddings, theirs) - 0.03
