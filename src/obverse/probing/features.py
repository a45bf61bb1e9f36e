"""Features of a frozen backbone for the samples of a data set, computed once and kept on disk.

Pictures take the way of training and prediction: dataset, loader, geometry, forward pass and classifier are the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from obverse.bundle import Bundle
from obverse.data import CacheContent, Loader, PictureDataset
from obverse.engines import Forward
from obverse.errors import DataError
from obverse.manifest import Manifest, Samples
from obverse.models import Classifier, feature_size

from .feature_store import FeatureStore, Vector

SECONDS_PER_FILE = 15.0
"""Seconds of computing after which features are written, which is what a killed run loses at most."""

BATCH_SIZE = 32

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Features:
    """Features of every view of every sample, on the CPU."""

    features_NVD: torch.Tensor
    """Zeros where a view is missing."""

    present_NV: torch.Tensor

    num_parameters: int
    """Parameters of the backbone."""

    num_flops: int
    """Floating-point operations of the backbone per picture, as far as torch can count them."""

    milliseconds: float | None
    """Milliseconds per picture that the backbone takes, without decoding; None where that is not known."""

    num_computed: int
    """Pictures whose features were not in the cache."""

    complaint: str
    """Why features could not be kept; empty where they were."""

    def require_finite(self, name: str) -> None:
        """DataError for features that overflow, which huge but finite weights give. name: the backbone."""
        num_broken = int((~self.features_NVD.isfinite().all(2)).any(1).sum())
        if num_broken:
            raise DataError(f"the features of {num_broken:,} of {len(self.features_NVD):,} samples by {name} are NaN "
                            "or infinite: its weights are too large, or broken")  # fmt: skip


def frozen_features(
    bundle: Bundle,
    manifest: Manifest,
    samples: Samples,
    *,
    device: torch.device,
    root: Path | None,
    num_workers: int = 0,
    progress: Progress = lambda done, total: None,
) -> Features:
    """Features of `samples` by the backbone that `bundle` describes, with its pretrained weights.

    root: the cache folder; None: nothing is kept.
    progress: called with (done, total) samples while features are computed.
    """
    model = bundle.build(load_weights=True).to(device).eval()
    backbone, num_views = model.backbones[0], len(manifest.views)
    content = CacheContent(manifest, samples, bundle.geometry, "raw")
    store = FeatureStore(root, _about(bundle, content, backbone))
    present_NV = torch.tensor([[view in sample.views for view in manifest.views] for sample in samples])
    features_NVD = np.zeros((*present_NV.shape, feature_size(backbone)), np.float32)
    keys = content.keys()
    known = store.read(set(keys.values()), features_NVD.shape[2])
    for slot, key in keys.items():
        if key in known:
            features_NVD[divmod(slot, num_views)] = known[key]
    # A sample is computed as a whole; the few without a digest are never kept.
    is_here_NV = np.array(
        [[keys.get(n * num_views + v) in known for v in range(num_views)] for n in range(len(samples))]
    )
    lacking = np.flatnonzero((present_NV.numpy() & ~is_here_NV).any(1)).tolist()
    milliseconds, done = store.milliseconds, 0
    if lacking:
        dataset = PictureDataset(manifest, samples.take(lacking), bundle.geometry)
        loader, clock = Loader(dataset, BATCH_SIZE, num_workers=num_workers), _Clock()
        for vectors_MVD in _chunks(model, Forward.from_bundle(bundle, device), loader, clock):
            rows = lacking[done : done + len(vectors_MVD)]
            features_NVD[rows] = vectors_MVD * present_NV[rows].numpy()[:, :, None]
            slots = [n * num_views + v for n in rows for v in range(num_views)]
            store.add({keys[slot]: features_NVD[divmod(slot, num_views)] for slot in slots if slot in keys})
            done += len(rows)
            progress(done, len(lacking))
        loader.close()
        milliseconds = clock.milliseconds
        store.note_speed(milliseconds)
    num_parameters = sum(parameter.numel() for parameter in backbone.parameters())
    return Features(
        torch.from_numpy(features_NVD),
        present_NV,
        num_parameters,
        _flops(backbone, bundle, device),
        milliseconds,
        len(lacking),
        store.complaint,
    )


@torch.no_grad()
def _flops(backbone: nn.Module, bundle: Bundle, device: torch.device) -> int:
    """Floating-point operations of a network for one picture, which unlike its time are the same on every machine."""
    from torch.utils.flop_counter import FlopCounterMode  # imports triton, which takes 90 MB

    geometry = bundle.geometry
    with FlopCounterMode(display=False) as counter:
        backbone(torch.zeros(1, 3, geometry.canvas_height, geometry.canvas_width, device=device))
    return int(counter.get_total_flops())


@dataclass
class _Clock:
    """Time that a network takes, without the first batch, which warms up."""

    seconds: list[float] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """Milliseconds per picture."""
        first = 1 if len(self.seconds) > 1 else 0
        return 1000 * sum(self.seconds[first:]) / sum(self.pictures[first:])


@torch.no_grad()
def _chunks(model: Classifier, forward: Forward, loader: Loader, clock: _Clock) -> Iterator[Vector]:
    """Features (M, V, D) of some seconds' batches at a time, in the order of the loader."""
    parts: list[Vector] = []
    began = time.perf_counter()
    with closing(loader.epoch()) as batches:
        for batch in batches:
            start = time.perf_counter()
            features_BVD = model.features(forward.inputs(batch.to(forward.device)))
            vectors_BVD = features_BVD.float().cpu().numpy()  # waits for the device
            clock.seconds.append(time.perf_counter() - start)
            clock.pictures.append(batch.present_BV.numel())
            parts.append(vectors_BVD[batch.valid_B.numpy()])
            if time.perf_counter() - began > SECONDS_PER_FILE:
                yield np.concatenate(parts)
                parts, began = [], time.perf_counter()
    if parts:
        yield np.concatenate(parts)


def _about(bundle: Bundle, content: CacheContent, backbone: nn.Module) -> dict[str, Any]:
    """Everything besides a picture that decides its features."""
    spec = bundle.model.backbone.model_dump(mode="json")
    return {
        "pixels": content.about(),
        "mean": bundle.mean,
        "std": bundle.std,
        # Where the weights were read from does not matter.
        "backbone": {name: value for name, value in spec.items() if name != "pretrained"},
        "weights": _digest(backbone),
        "timm": version("timm"),
    }


def _digest(backbone: nn.Module) -> str:
    """SHA-256 of all tensors of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
