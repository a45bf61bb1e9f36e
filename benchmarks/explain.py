"""Faithfulness of explanation maps where the place that decides is known: pointing game, deletion and insertion.

Pictures are noise with two plain discs that say nothing and one marker, whose pattern is the class. Small networks,
three of each family from other seeds, learn the classes; then every method explains test pictures that are answered
right, other ones for each network. Defaults were chosen on further networks and pictures, which are none of these.
    python benchmarks/explain.py MINUTES_PER_NETWORK [NETWORK...]
Minutes are processor time on one thread; rows of networks that are not named stay.
Pointing: the map's maximum lies on the marker or at most 4 pixels, half a patch, beside it; strict: on it. Deletion:
area under the class's probability while the strongest blocks are covered first, and the same for random orders, whose
area should be larger. Insertion: the strongest blocks are uncovered first on the covered picture; the area of random
orders should be smaller.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import finished, save
from torch.nn import functional

from obverse.data import Batch
from obverse.engines import Forward, Needs, TorchEngine
from obverse.explain import ALL, explain
from obverse.metrics import wilson_interval
from obverse.models import Classifier, build_classifier
from obverse.recipe import CCTBackbone, ConvNetBackbone, ModelSpec, TimmBackbone, ViTBackbone

SIDE, MARKER, NUM_CLASSES, BLOCK, STEPS = 96, 24, 4, 8, 9
# Half a patch of the transformers: a patch that lies half on the marker shows its class.
TOLERANCE = 4
NUM_NETWORKS = 3
# Pictures of each network.
NUM_TRAIN, NUM_POINTING, NUM_CURVES, NUM_RANDOM = 3000, 40, 10, 2
FORWARD = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))
NETWORKS: dict[str, Any] = {
    "convnet": ConvNetBackbone(widths=(24, 48, 96)),
    "resnet": TimmBackbone(name="resnet10t", pretrained="none", options={"output_stride": 16}),
    "vit": ViTBackbone(patch=8, width=96, depth=4, heads=4),
    "cct": CCTBackbone(depth=4, width=96, heads=4, num_convs=3),
}


@dataclass(frozen=True)
class Pictures:
    """Generated pictures with the place of their evidence."""

    images_NCHW: torch.Tensor
    labels_N: torch.Tensor

    corners_N2: npt.NDArray[np.int64]
    """Top and left of the marker that decides."""


def pattern(number: int) -> npt.NDArray[np.bool_]:
    """The marker of a class: stripes across, stripes down, a ring, a cross."""
    y, x = np.mgrid[:MARKER, :MARKER]
    centre = (MARKER - 1) / 2
    radius = np.hypot(y - centre, x - centre)
    return [
        (y // 4) % 2 == 0,
        (x // 4) % 2 == 0,
        (radius > 6) & (radius < 11),
        (np.abs(y - centre) < 4) | (np.abs(x - centre) < 4),
    ][number]


def pictures(num: int, seed: int) -> Pictures:
    """Noise, two plain discs that say nothing, and one marker."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 140, (num, SIDE, SIDE, 3))
    labels, corners = np.arange(num) % NUM_CLASSES, rng.integers(0, SIDE - MARKER + 1, (num, 2))
    y, x = np.mgrid[:SIDE, :SIDE]
    for row in range(num):
        for _ in range(2):
            centre, radius = rng.integers(8, SIDE - 8, 2), rng.integers(6, 12)
            images[row][np.hypot(y - centre[0], x - centre[1]) < radius] = rng.integers(0, 256, 3)
        top, left = corners[row]
        place = images[row, top : top + MARKER, left : left + MARKER]
        dark, light = rng.integers(0, 60, 3), rng.integers(190, 256, 3)
        place[:] = np.where(pattern(labels[row])[..., None], light, dark)
    tensor = torch.from_numpy(images.astype(np.uint8)).permute(0, 3, 1, 2).contiguous()
    return Pictures(tensor, torch.from_numpy(labels), corners)


def batch_of(images_NCHW: torch.Tensor, labels_N: torch.Tensor) -> Batch:
    ones = torch.ones(len(labels_N), dtype=torch.bool)
    return Batch(images_NCHW[:, None], ones[:, None], labels_N, ones, tuple(map(str, range(len(labels_N)))))


def trained(name: str, data: Pictures, minutes: float, *, seed: int) -> Classifier:
    """A network that has trained for some minutes of processor time."""
    torch.manual_seed(seed)
    spec = ModelSpec(backbone=NETWORKS[name])
    model = build_classifier(spec, num_views=1, num_classes=NUM_CLASSES, height=SIDE, width=SIDE).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.02)
    used = 0.0
    while used < minutes * 60:
        start = time.process_time()
        rows = torch.randint(len(data.labels_N), (32,))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1, used / 5 + 0.05) * (1 - used / (minutes * 60)) + 1e-5
        part = batch_of(data.images_NCHW[rows], data.labels_N[rows])
        loss = functional.cross_entropy(FORWARD.logits(model, part), part.labels_B)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        used += time.process_time() - start
    return model.eval()


@torch.no_grad()
def probabilities(model: Classifier, images_NCHW: torch.Tensor, label: int) -> npt.NDArray[np.float32]:
    """Probability of one class for each picture."""
    labels_N = torch.zeros(len(images_NCHW), dtype=torch.long)
    parts = [FORWARD.logits(model, part).softmax(1)[:, label] for part in batch_of(images_NCHW, labels_N).split(64)]
    return torch.cat(parts).numpy()


def curves(model: Classifier, image_CHW: torch.Tensor, label: int, order: npt.NDArray[Any]) -> tuple[float, float]:
    """Areas under the deletion and the insertion curve, from 0 to 1. order: block numbers, the strongest first."""
    mean_CHW = image_CHW.float().mean((1, 2), keepdim=True).round().to(torch.uint8).expand_as(image_CHW)
    across = SIDE // BLOCK
    deleted, inserted = [], []
    for count in np.linspace(0, len(order), STEPS).round().astype(int):
        chosen = torch.zeros(across * across, dtype=torch.bool)
        chosen[torch.from_numpy(order[:count].copy())] = True
        mask_HW = chosen.view(across, across).repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        deleted.append(torch.where(mask_HW, mean_CHW, image_CHW))
        inserted.append(torch.where(mask_HW, image_CHW, mean_CHW))
    both = probabilities(model, torch.stack([*deleted, *inserted]), label)
    return tuple(float(np.trapezoid(part, dx=1 / (STEPS - 1))) for part in np.split(both, 2))


def order_of(heat_HW: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    across = SIDE // BLOCK
    blocks = heat_HW.reshape(across, BLOCK, across, BLOCK).mean((1, 3)).ravel()
    return np.argsort(-blocks, kind="stable")


def interval(values: list[float]) -> list[float]:
    """Mean and 95 % interval (normal) of paired differences over pictures."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return [round(number, 4) for number in (mean, mean - 1.96 * error, mean + 1.96 * error)]


def share(hits: list[bool]) -> list[float]:
    """A share and its 95 % interval."""
    found = wilson_interval(sum(hits), len(hits))
    return [round(float(number), 3) for number in (np.mean(hits), found.low, found.high)]


def distance_of(heat_HW: npt.NDArray[np.float32], corner: tuple[int, int]) -> float:
    """Pixels from the map's maximum, the centre of all equal ones, to the marker; 0 on it."""
    places = [axis.mean() for axis in np.nonzero(heat_HW == heat_HW.max())]
    return max(max(start - place, place - (start + MARKER - 1), 0) for start, place in zip(corner, places, strict=True))


@dataclass(frozen=True)
class Measured:
    """Measurements of one network."""

    accuracy: float

    distances: dict[str, list[float]]
    """Method -> of each picture, pixels from the map's maximum to the marker."""

    gains: dict[str, list[tuple[float, float]]]
    """Method -> of some pictures, what its order gains over random ones by deletion and by insertion."""


def measured(model: Classifier, data: Pictures) -> Measured:
    """Measurements of every method that the network has."""
    engine = TorchEngine(model, FORWARD, Needs(1, SIDE, SIDE))
    batch = batch_of(data.images_NCHW, data.labels_N)
    with torch.no_grad():
        right_N = torch.cat([FORWARD.logits(model, part).argmax(1) for part in batch.split(64)]) == data.labels_N
    rows = right_N.nonzero()[:, 0][:NUM_POINTING].tolist()
    distances: dict[str, list[float]] = {}
    gains: dict[str, list[tuple[float, float]]] = {}
    for place, row in enumerate(rows):
        single = batch_of(data.images_NCHW[row : row + 1], data.labels_N[row : row + 1])
        (explanation,) = explain(engine, single, ("image",), methods=[ALL])
        (top, left), rng = data.corners_N2[row], np.random.default_rng(row)
        label, image_CHW = int(data.labels_N[row]), data.images_NCHW[row]
        random = np.zeros(2)
        if place < NUM_CURVES:
            orders = [rng.permutation((SIDE // BLOCK) ** 2) for _ in range(NUM_RANDOM)]
            random = np.mean([curves(model, image_CHW, label, order) for order in orders], axis=0)
        for method, heat_HW in explanation.maps["image"].items():
            distances.setdefault(method, []).append(distance_of(heat_HW, (top, left)))
            if place < NUM_CURVES:
                deletion, insertion = curves(model, image_CHW, label, order_of(heat_HW))
                gains.setdefault(method, []).append((random[0] - deletion, insertion - random[1]))
    return Measured(float(right_N.float().mean()), distances, gains)


def rows_of(name: str, networks: list[Measured], *, minutes: float) -> list[dict[str, Any]]:
    """One row per method, over the pictures of all networks of a family."""
    methods = networks[0].distances
    distances = {method: [value for one in networks for value in one.distances[method]] for method in methods}
    gains = {method: [value for one in networks for value in one.gains[method]] for method in methods}
    return [
        {
            "network": name,
            "method": method,
            "minutes": minutes,
            "test_accuracy": [round(one.accuracy, 3) for one in networks],
            "pictures": len(distances[method]),
            "pointing": share([distance <= TOLERANCE for distance in distances[method]]),
            "pointing_strict": share([distance <= 0 for distance in distances[method]]),
            "pointing_strict_of_each_network": [
                round(float(np.mean([distance <= 0 for distance in one.distances[method]])), 3) for one in networks
            ],
            "deletion_gain": interval([deletion for deletion, _ in gains[method]]),
            "insertion_gain": interval([insertion for _, insertion in gains[method]]),
        }
        for method in methods
    ]


def main() -> None:
    minutes, names = float(sys.argv[1]), sys.argv[2:] or list(NETWORKS)
    torch.set_num_threads(1)
    train = pictures(NUM_TRAIN, 0)
    tests = [pictures(2 * NUM_POINTING, 1 + seed) for seed in range(NUM_NETWORKS)]
    rows = [row for row in finished("explain", "network") if row["network"] not in names]
    for name in names:
        networks = [measured(trained(name, train, minutes, seed=seed), test) for seed, test in enumerate(tests)]
        new = rows_of(name, networks, minutes=minutes)
        print(*new, sep="\n", flush=True)
        rows += new
        chances = [((MARKER + 2 * beside) / SIDE) ** 2 for beside in (TOLERANCE, 0)]
        save(
            "explain",
            rows,
            command="python benchmarks/explain.py MINUTES_PER_NETWORK [NETWORK...]",
            notes=f"Pointing at random: {chances[0]:.3f}, strict {chances[1]:.3f}. Gains: area of random orders minus "
            "that of the map's order for deletion, the reverse for insertion; mean and 95 % interval over pictures.",
        )


if __name__ == "__main__":
    main()
