"""Pretrained backbones at hand: local files, and the catalogue's entries in the hub's cache or on the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import DataError
from obverse.models.backbones.network import network_of
from obverse.models.weights.hub import is_cached, why_unavailable
from obverse.models.weights.weight_files import CONFIG, IN_FOLDERS, SUFFIXES
from obverse.recipe import CATALOGUE, Budget, Pretrained, TimmBackbone, budget_of, within

from .hints import Channels
from .recognise import Known, recognise


@dataclass(frozen=True)
class Candidate:
    """A pretrained backbone that can be loaded now."""

    label: str
    """Short name for a table: the catalogue's alias, or the name of the file or folder."""

    backbone: Known
    """Its spec, complete: weights, mean and std. `pinned(ModelSpec(backbone=...))` and `input_needs` take it."""

    licence: str
    """Licence of the weights; empty where nothing says it, as for a file."""

    reason: str
    """Clause for the user: what the backbone is, and why it is a candidate."""


def candidates(
    weights: Sequence[str | Path] = (),
    *,
    device: str = "cpu",
    ask_hub: bool = False,
    reasons: list[str] | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> tuple[Candidate, ...]:
    """Pretrained backbones to compare.

    weights: files and folders. One candidate for each weight file; a folder that holds several, or further folders, is
    searched one level deep. Empty: the catalogue's entries that lie in the hub's cache.
    device: kind of device, as in `Machine.kind`; only for `ask_hub`.
    ask_hub: also those of the device's budget that the hub would give now. Nothing is downloaded here.
    reasons: receives a sentence for each file in a folder that is not recognised. A file that is named and not
    recognised raises DataError.
    mean, std: of the files, as the user says them.
    """
    if not weights:
        return tuple(_catalogued(budget_of(device), ask_hub))
    recognised: list[Candidate] = []
    for given in map(str, weights):
        inner = _inside(Path(given).expanduser())
        if not inner:
            recognised.append(_local(given, mean, std))
        for path in inner:
            try:
                recognised.append(_local(str(path), mean, std))
            except DataError as error:
                if reasons is not None:
                    reasons.append(f"left out: {error}")
    return tuple(recognised)


def _catalogued(budget: Budget, ask_hub: bool) -> Iterator[Candidate]:
    here = [entry for entry in CATALOGUE if is_cached(entry.name)]
    yield from (_entry(entry, "its weights are in the cache") for entry in here)
    others = [entry for entry in within(budget) if entry not in here]
    if ask_hub and others and why_unavailable(others[0].name) is None:
        yield from (_entry(entry, "the hub answers") for entry in others)


def _entry(entry: Pretrained, reason: str) -> Candidate:
    what = f"{entry.name} (timm), licence {entry.licence}, because {reason}"
    return Candidate(entry.alias, TimmBackbone(name=entry.name), entry.licence, what)


def _local(given: str, mean: Channels | None, std: Channels | None) -> Candidate:
    recognised = recognise(given, mean=mean, std=std)
    backbone = recognised.backbone
    return Candidate(Path(given).name, backbone, network_of(backbone).licence(backbone), recognised.reason)


def _inside(folder: Path) -> list[Path]:
    """Weight files and folders of models in a folder that is not itself the folder of one model; empty for a file."""
    if not folder.is_dir() or (folder / CONFIG).is_file() or any((folder / name).is_file() for name in IN_FOLDERS):
        return []
    files = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES and path.is_file()]
    models = [path for path in sorted(folder.iterdir()) if any((path / name).is_file() for name in IN_FOLDERS)]
    return [*files, *models]
