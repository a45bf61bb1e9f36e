"""Which cache a run uses, where it lies, and opening it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from obverse.data import CacheContent, Geometry, MemoryCache, PixelCache, open_disk_cache
from obverse.errors import RecipeError
from obverse.launch import launched
from obverse.manifest import Manifest, Sample
from obverse.recipe import CacheSpec, ResolvedCache
from obverse.runtime import cache_folder

# Reading an original costs little more than reading its cached pixels until it has several times as many of them.
MUCH_LARGER = 4
# `auto` leaves the disk this share of what is free.
SPARED_DISK = 0.5
JPEG_SHARE = 0.2


def cache_root(spec: CacheSpec) -> Path:
    """The folder of all caches on disk."""
    if spec.folder is not None:
        return Path(spec.folder).expanduser()
    folder = cache_folder()
    if folder is None:
        raise RecipeError("this user has no home folder to keep a cache in; say which with OBVERSE_CACHE or "
                          "data.cache.folder")  # fmt: skip
    return folder


def choose_cache(
    spec: CacheSpec, sizes: Sequence[tuple[int, int]], working: tuple[int, int]
) -> tuple[CacheSpec, str | None]:
    """The kind that takes the place of `auto`, and a sentence when there is something to choose.

    sizes: of the pictures of train and val; working: (height, width) at which they are kept. RecipeError when a kind
    that was asked for does not fit into its budget.
    """
    gigabytes = 3 * working[0] * working[1] * len(sizes) / 1e9
    # Every process of this machine has its own memory.
    in_memory = gigabytes * launched().local_world_size
    if spec.kind != "auto":
        _require_budget(spec, in_memory if spec.kind == "memory" else gigabytes)
        return spec, None
    if in_memory <= spec.memory_gigabytes:
        return _of_kind(spec, "memory"), None
    is_larger = median(h * w for h, w in sizes) >= MUCH_LARGER * working[0] * working[1]
    if is_larger and gigabytes <= min(spec.disk_gigabytes, SPARED_DISK * _free_gigabytes(cache_root(spec))):
        return _of_kind(spec, "raw"), None
    reason = (
        "no cache: the originals are much larger than needed and are decoded in every epoch. Raw pictures take "
        f"{gigabytes:.1f} GB: allow them with data.cache.kind=raw data.cache.disk_gigabytes={math.ceil(gigabytes)}, "
        f"or set data.cache.kind=jpeg (about {JPEG_SHARE * gigabytes:.1f} GB, an approximation)"
    )
    return _of_kind(spec, "none"), reason if is_larger else None


def open_cache(
    spec: ResolvedCache,
    manifest: Manifest,
    samples: Sequence[Sample],
    geometry: Geometry,
    *,
    is_training: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[PixelCache | None, str | None]:
    """The resolved cache of some samples, and a line for the user; what is measured is never approximated."""
    num_slots = len(samples) * len(manifest.views)
    if num_slots == 0 or spec.kind == "none" or (spec.kind == "jpeg" and not is_training):
        return None, None
    if spec.kind == "memory":
        return MemoryCache(num_slots, geometry.shape), None
    return open_disk_cache(cache_root(spec), CacheContent(manifest, samples, geometry, spec.kind), progress)


def _require_budget(spec: CacheSpec, gigabytes: float) -> None:
    needed = JPEG_SHARE * gigabytes if spec.kind == "jpeg" else gigabytes
    name = "memory_gigabytes" if spec.kind == "memory" else "disk_gigabytes"
    budget = getattr(spec, name)
    if spec.kind != "none" and needed > budget:
        other = f"; or data.cache.kind=jpeg takes about {JPEG_SHARE * gigabytes:.1f} GB" if spec.kind == "raw" else ""
        raise RecipeError(f"data.cache.kind: {spec.kind} needs {needed:.1f} GB and data.cache.{name} is {budget:g}; "
                          f"set data.cache.{name}={math.ceil(needed)}{other}")  # fmt: skip


def _of_kind(spec: CacheSpec, kind: str) -> CacheSpec:
    """With the fields that have an effect there."""
    kept = {"memory": {"memory_gigabytes"}, "raw": {"disk_gigabytes", "folder"}}.get(kind, set())
    return CacheSpec.model_validate({"kind": kind, **spec.model_dump(include=kept)})


def _free_gigabytes(folder: Path) -> float:
    """On the disk where `folder` is or would be."""
    here = next((place for place in (folder, *folder.parents) if place.is_dir()), Path("/"))
    try:
        return shutil.disk_usage(here).free / 1e9
    except OSError:
        return 0.0
