"""Two-dimensional map of embeddings: samples that the model's encoder holds alike lie near each other.

Principal components first, then t-SNE (van der Maaten & Hinton 2008) from them, so that equal embeddings give equal
maps. Only neighbourhoods mean something; distances between clusters and the axes do not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
# Samples that t-SNE places itself, in a few seconds; every other one lies between its nearest of these.
MAX_ANCHORS = 1500
# Principal components that t-SNE sees; 30 and 50 are the usual numbers.
NUM_COMPONENTS = 30
# Below this, principal components alone; t-SNE needs neighbours.
MIN_SAMPLES = 10
MAX_PERPLEXITY = 30.0
# Attraction is this much stronger during the first quarter of the steps, which separates clusters.
EXAGGERATION = 12.0
NUM_STEPS = 300
TINY = 1e-12
NUM_NEIGHBOURS = 3
# Rows whose distances to all anchors are in memory at once.
BLOCK = 256


def map_embeddings(embeddings_ND: Float32Array) -> Float32Array:
    """Positions (N, 2) of embeddings on a plane, each axis from -1 to 1; NaN for an embedding that is not finite."""
    positions_N2: Float32Array = np.full((len(embeddings_ND), 2), np.nan, np.float32)
    is_finite_N = np.isfinite(embeddings_ND).all(axis=1)
    if is_finite_N.any():
        positions_N2[is_finite_N] = _to_unit(_positions(_components(embeddings_ND[is_finite_N])))
    return positions_N2


def _positions(components_NC: Float32Array) -> Float32Array:
    num = len(components_NC)
    if num < MIN_SAMPLES or not components_NC.any():
        return components_NC[:, :2]
    anchors_M = np.linspace(0, num - 1, min(num, MAX_ANCHORS)).round().astype(np.int64)
    anchored_M2 = _tsne(components_NC[anchors_M])
    if len(anchors_M) == num:
        return anchored_M2
    parts = [
        _between(components_NC[start : start + BLOCK], components_NC[anchors_M], anchored_M2)
        for start in range(0, num, BLOCK)
    ]
    positions_N2 = np.concatenate(parts)
    positions_N2[anchors_M] = anchored_M2
    return positions_N2


def _components(embeddings_ND: Float32Array) -> Float32Array:
    """Principal components (N, at least 2) of the unit embeddings, whose distances rank as their cosines do."""
    rows_ND = embeddings_ND.astype(np.float64)
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True).clip(np.finfo(np.float64).tiny)
    rows_ND -= rows_ND.mean(axis=0)
    # Eigenvectors of the D x D covariance, because N may be a million.
    _, vectors_DD = np.linalg.eigh(rows_ND.T @ rows_ND)
    axes_DC = vectors_DD[:, ::-1][:, :NUM_COMPONENTS]
    # The sign of an eigenvector is arbitrary; its largest entry is made positive.
    largest_C = np.take_along_axis(axes_DC, np.abs(axes_DC).argmax(axis=0)[None], axis=0)
    components_NC = rows_ND @ (axes_DC * np.where(largest_C < 0, -1, 1))
    missing = max(0, 2 - components_NC.shape[1])
    return np.pad(components_NC, ((0, 0), (0, missing))).astype(np.float32)


def _tsne(rows_NC: Float32Array) -> Float32Array:
    """Exact t-SNE of rows, from their first two columns; the schedule is that of van der Maaten's own program."""
    affinities_NN = _affinities(rows_NC)
    positions_N2 = rows_NC[:, :2] / max(float(rows_NC[:, 0].std()), TINY) * 1e-4
    step_N2, gains_N2 = np.zeros_like(positions_N2), np.ones_like(positions_N2)
    # Belkina et al. 2019: a rate of N / exaggeration converges for any N.
    rate = max(len(rows_NC) / EXAGGERATION, 50.0)
    for number in range(NUM_STEPS):
        is_early = number < NUM_STEPS // 4
        kernel_NN = 1 / (1 + _squares(positions_N2, positions_N2))
        np.fill_diagonal(kernel_NN, 0)
        pull_NN = affinities_NN * (EXAGGERATION if is_early else 1) - kernel_NN / kernel_NN.sum()
        pull_NN *= kernel_NN
        slope_N2 = 4 * (pull_NN.sum(axis=1)[:, None] * positions_N2 - pull_NN @ positions_N2)
        gains_N2 = np.where(slope_N2 * step_N2 > 0, gains_N2 * 0.8, gains_N2 + 0.2).clip(min=0.01)
        step_N2 = (0.5 if is_early else 0.8) * step_N2 - rate * gains_N2 * slope_N2
        positions_N2 = positions_N2 + step_N2
    return positions_N2.astype(np.float32)


def _affinities(rows_NC: Float32Array) -> Float32Array:
    """Symmetric neighbour probabilities (N, N) with sum 1; each row's width gives the wanted perplexity."""
    squares_NN = _squares(rows_NC, rows_NC)
    np.fill_diagonal(squares_NN, np.inf)
    squares_NN -= squares_NN.min(axis=1, keepdims=True)
    wanted = np.log(min(MAX_PERPLEXITY, (len(rows_NC) - 1) / 3))
    finite_NN = np.where(np.isfinite(squares_NN), squares_NN, 0)
    scale = max(float(finite_NN.mean()), TINY)
    weights_NN = np.empty(squares_NN.shape)
    for start in range(0, len(rows_NC), BLOCK):
        rows = slice(start, start + BLOCK)
        weights_NN[rows] = _weights(squares_NN[rows], finite_NN[rows], wanted=wanted, start=-np.log(scale))
    del squares_NN, finite_NN
    joint_NN: Float32Array = ((weights_NN + weights_NN.T) / (2 * len(rows_NC))).astype(np.float32)
    return joint_NN


def _weights(
    squares_RN: Float32Array, finite_RN: Float32Array, *, wanted: float, start: float
) -> npt.NDArray[np.float64]:
    """Neighbour probabilities (R, N) of rows, whose entropy is as wanted. start: logarithm of a usual precision."""
    # Bisection of the logarithm of each row's precision: 30 halvings of a range of e^60.
    low_R1, high_R1 = (np.full((len(squares_RN), 1), end + start) for end in (-30.0, 30.0))
    for _ in range(30):
        middle_R1 = (low_R1 + high_R1) / 2
        weights_RN = np.exp(-squares_RN * np.exp(middle_R1))
        total_R1 = weights_RN.sum(axis=1, keepdims=True)
        entropy_R1 = np.log(total_R1) + np.exp(middle_R1) * (weights_RN * finite_RN).sum(1, keepdims=True) / total_R1
        is_wide_R1 = entropy_R1 > wanted
        low_R1, high_R1 = np.where(is_wide_R1, middle_R1, low_R1), np.where(is_wide_R1, high_R1, middle_R1)
    shares_RN: npt.NDArray[np.float64] = weights_RN / weights_RN.sum(axis=1, keepdims=True)
    return shares_RN


def _squares(rows_NC: Float32Array, others_MC: Float32Array) -> Float32Array:
    """Squared distances (N, M)."""
    squares_NM = (rows_NC**2).sum(1)[:, None] + (others_MC**2).sum(1) - 2 * rows_NC @ others_MC.T
    clipped_NM: Float32Array = squares_NM.clip(min=0)
    return clipped_NM


def _between(rows_NC: Float32Array, anchors_MC: Float32Array, anchored_M2: Float32Array) -> Float32Array:
    """Positions (N, 2) of rows: the mean of their nearest anchors' positions, weighted by inverse distance."""
    squares_NM = _squares(rows_NC, anchors_MC)
    # A partition is ten times as fast as a sort of all anchors.
    nearest_NK = np.sort(np.argpartition(squares_NM, NUM_NEIGHBOURS, axis=1)[:, :NUM_NEIGHBOURS], axis=1)
    distances_NK = np.sqrt(np.take_along_axis(squares_NM, nearest_NK, axis=1))
    weights_NK = 1 / (distances_NK + 1e-6)
    weights_NK /= weights_NK.sum(axis=1, keepdims=True)
    positions_N2: Float32Array = (weights_NK[..., None] * anchored_M2[nearest_NK]).sum(axis=1)
    return positions_N2


def _to_unit(positions_N2: Float32Array) -> Float32Array:
    """The positions with each axis centred and scaled to -1 .. 1."""
    low_2, high_2 = positions_N2.min(axis=0), positions_N2.max(axis=0)
    half_2 = (high_2 - low_2) / 2
    unit_N2: Float32Array = (positions_N2 - (low_2 + high_2) / 2) / np.where(half_2 > 0, half_2, 1)
    return unit_N2
