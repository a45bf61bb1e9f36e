"""The folder of a published model.

    README.md                       model card
    bundle/                         the bundle: `obverse.load(FOLDER)`
    config.json model.safetensors   the weights as timm loads them, where they are those of one of its networks

The folder has no pictures, no file list and no path of this machine: a report has thumbnails, a manifest has names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from uuid import uuid4

from obverse.bundle import Bundle, Member, read_bundle, write_bundle
from obverse.errors import OutputError
from obverse.evaluation import Measured, read_measured
from obverse.experiment import read_story
from obverse.recipe import ModelSpec, WithWeights
from obverse.runs import RunFolder

from .card import Origin, write_card
from .front_matter import chosen_licence, weights_words
from .timm_weights import write_timm

SPLIT = "test"


@dataclass(frozen=True)
class Published:
    """A published folder."""

    folder: Path
    weights_licence: str
    """Licence of the weights that the model came from, in words."""

    no_timm: str
    """Why timm cannot load the weights, as a clause; empty where it can."""

    measured: Measured | None
    """The numbers on test; None where there are none."""


def publish(model: Path, out: Path, *, licence: str | None = None) -> Published:
    """Write a run or bundle into the new folder `out`.

    licence: identifier of the model's licence; by default that of the weights that it came from.
    Raises OutputError when `out` is there already or cannot be written, DataError when the model cannot be read, and
    RecipeError for a licence that the weights do not permit.
    """
    require_new(out)
    bundle, classifier = read_bundle(model)
    licence = chosen_licence(bundle, licence)
    run = RunFolder(model)
    origin = Origin(read_story(run).facts, read_measured(run.evaluation(SPLIT)))
    bundle = _without_places(bundle)
    with _new_folder(out) as folder:
        write_bundle(folder / "bundle", bundle, classifier.state_dict())
        no_timm = write_timm(folder, bundle, classifier)
        write_card(folder / "README.md", out.absolute().name, bundle, origin=origin, licence=licence, no_timm=no_timm)
    return Published(out, weights_words(bundle), no_timm, origin.measured)


def require_new(out: Path) -> None:
    """OutputError when there is anything but an empty folder at `out`."""
    if os.path.lexists(out) and not out.is_dir():
        raise OutputError(f"{str(out)!r} is a file; choose a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{str(out)!r} is not empty, and nothing is overwritten; choose a new folder")


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes the name `out` when the block ends; an error leaves nothing."""
    # A folder that is there stays: a program may work in it, or it is the mount point of a volume.
    is_there = out.is_dir()
    aside = (out if is_there else out.parent) / f".{uuid4().hex[:8]}.tmp"
    try:
        aside.mkdir(parents=True)
        yield aside
        if not is_there:
            aside.rename(out)
        else:
            for path in sorted(aside.iterdir(), reverse=True):  # the card, README.md, comes after what it describes
                path.rename(out / path.name)
    except OSError as error:
        raise OutputError(f"{str(out)!r} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _without_places(bundle: Bundle) -> Bundle:
    """The bundle without the folders in which its pretrained weights lay on this machine."""
    members = tuple(
        Member(_without_place(m.model), m.output, m.mean, m.std) for m in bundle.members
    )  # fmt: skip
    return replace(bundle, model=_without_place(bundle.model), members=members)


def _without_place(model: ModelSpec) -> ModelSpec:
    backbone = model.backbone
    if not isinstance(backbone, WithWeights) or backbone.pretrained in ("hub", "none"):
        return model
    return model.changed({"backbone": backbone.changed({"pretrained": PurePath(backbone.pretrained).name})})
