"""Pictures and columns of the samples of a comparison, through the manifest of one of its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from obverse.bundle import Bundle, read_description
from obverse.data import PictureDataset
from obverse.errors import ObverseError
from obverse.experiment import run_manifest, run_recipe
from obverse.explain import thumbnails_of
from obverse.manifest import Manifest, read_manifest
from obverse.report import Picture
from obverse.runs import RunFolder
from obverse.studies.compare import Contender

from .parts import Cells, columns_of


def no_pictures(sample: str) -> tuple[Picture, ...]:
    """No picture of any sample."""
    return ()


@dataclass(frozen=True)
class Source:
    """Where a comparison has pictures and columns from."""

    manifest: Manifest | None = None

    pictures: Callable[[str], tuple[Picture, ...]] = no_pictures
    """The views of a sample, by its id; none where they cannot be read any more."""

    missing: str = ""
    """Why there are no pictures."""

    def columns(self, ids: Sequence[str]) -> dict[str, Cells]:
        """Columns by which the samples can be sliced."""
        return {} if self.manifest is None else columns_of(self.manifest, ids)


def source_of(contenders: Sequence[Contender]) -> Source:
    """The source of the first run that has a manifest with these samples, with pictures where its data still exists."""
    ids = set(contenders[0].runs[0].ids)
    for path in (path for contender in contenders for path in contender.paths):
        run = RunFolder(_run_of(path))
        if not run.manifest.is_file():
            continue
        with suppress(ObverseError):
            bundle, _ = read_description(run.path)
            manifest = _without_pictures(run, bundle)
            if ids <= set(manifest.samples.ids):
                return _with_pictures(run, bundle, manifest, ids)
    return Source(missing="No pictures and slices: no run has a manifest with these samples.")


def _without_pictures(run: RunFolder, bundle: Bundle) -> Manifest:
    return read_manifest(
        run.manifest,
        root=Path(),
        classes=bundle.classes,
        views=bundle.views,
        ordered=bundle.ordered,
        multi_label=bundle.multi_label,
    )


def _with_pictures(run: RunFolder, bundle: Bundle, manifest: Manifest, ids: set[str]) -> Source:
    try:
        samples = manifest.samples.where(name in ids for name in manifest.samples.ids)
        dataset = PictureDataset(run_manifest(run, run_recipe(run), bundle), samples, bundle.geometry)
        read = thumbnails_of(dataset, {})
    except ObverseError as error:
        return Source(manifest, missing=f"No pictures: {error}.")
    row_of = {name: row for row, name in enumerate(samples.ids)}
    return Source(manifest, lambda sample: read(row_of[sample]))


def _run_of(path: Path) -> Path:
    """The run folder of a run or of one of its evaluations."""
    return path.parent.parent if (path / "names.json").is_file() else path
