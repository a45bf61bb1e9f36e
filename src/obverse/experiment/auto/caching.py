"""Pixel caches of a run: choosing the kind, finding the folder, opening."""

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

# A raw disk cache pays only when originals have at least this many times the pixels that are needed: decoding a smaller
# original costs little more than reading its cached pixels.
MUCH_LARGER = 4
# Share of the free disk space that `auto` leaves free.
SPARED_DISK = 0.5
# Estimated size of a JPEG cache as a share of the raw pixels.
JPEG_SHARE = 0.2


def cache_root(spec: CacheSpec) -> Path:
    """The folder of all disk caches. Raises RecipeError when the user has no home folder and names no other."""
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
    """The cache spec without `auto`, and a message when the user could choose another cache.

    sizes: (height, width) of each original in train and val. working: (height, width) of cached pictures.
    Raises RecipeError when a kind that the recipe names exceeds its budget.
    """
    gigabytes = 3 * working[0] * working[1] * len(sizes) / 1e9
    # Each process on this machine has a memory cache of its own.
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
    """The pixel cache of some samples (None without one), and a message for the user where a disk cache was opened.

    JPEG caches are approximate, so they are used in training only.
    """
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
    """The spec of one kind, with only the fields that have an effect for that kind."""
    kept = {"memory": {"memory_gigabytes"}, "raw": {"disk_gigabytes", "folder"}}.get(kind, set())
    return CacheSpec.model_validate({"kind": kind, **spec.model_dump(include=kept)})


def _free_gigabytes(folder: Path) -> float:
    """Free space in gigabytes on the disk where `folder` is or would be; 0 where it cannot be read."""
    here = next((place for place in (folder, *folder.parents) if place.is_dir()), Path("/"))
    try:
        return shutil.disk_usage(here).free / 1e9
    except OSError:
        return 0.0
