"""Record of a run's inputs (recipe, manifest, pictures), compared when the run is resumed.

A resumed run whose inputs differ is refused, with a message for each difference. The run folder's lock is in
`runs/rundir.py`; checkpoints have digests of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from obverse.errors import DataError, ObverseError, RecipeError
from obverse.files import read_json_object
from obverse.imaging import joint_digest
from obverse.manifest import Manifest, Sample, verify_pictures
from obverse.recipe import ResolvedRecipe, load_recipe
from obverse.runs import RunFolder

FILE = ".start.json"
# Recipe fields that may differ when a run is resumed, because they do not affect training: paths, reading speed,
# reports. The exception is a change from or to a JPEG cache, whose pixels are approximate (see `_changed_keys`).
FREE = (
    "name", "data.path", "data.cache", "distill.teacher", "parent.run", "training.trackers", "evaluation.",
    "runtime.num_workers", "runtime.distributed",
)  # fmt: skip
MAX_EXAMPLES = 3


def run_recipe(run: RunFolder) -> ResolvedRecipe:
    """The resolved recipe in a run folder. Raises DataError when the file is unreadable or not fully resolved."""
    try:
        recipe = load_recipe(str(run.recipe))
    except RecipeError as error:
        raise DataError(f"{str(run.recipe)!r} cannot be used: {error}") from None
    if recipe.data.path is None or not isinstance(recipe.data.views, tuple):
        raise DataError(f"{str(run.recipe)!r} is not what a run has written: it does not say which data and views; "
                        "put it back, or start a new run")  # fmt: skip
    try:
        return ResolvedRecipe.of(recipe)
    except RecipeError as error:
        raise DataError(f"{str(run.recipe)!r} is not what a run has written: {error}; "
                        "put it back, or start a new run") from None  # fmt: skip


def remember(run: RunFolder, recipe: ResolvedRecipe, manifest: Manifest) -> None:
    """Record recipe, manifest digest and picture stamp in the run folder. The manifest file must exist already."""
    run.write_json(
        FILE,
        {
            "recipe": recipe.model_dump(mode="json"),
            "manifest_sha256": _sha256(run.manifest),
            "pictures": _stamp(manifest),
        },
    )


def differences(run: RunFolder, recipe: ResolvedRecipe, manifest: Manifest) -> Iterator[str]:
    """Yield one sentence for each difference from the recorded inputs. Raises DataError when the record is unusable."""
    try:
        began = read_json_object(run.path / FILE)
        changed = list(_changed_keys(_flat(began["recipe"]), _flat(recipe.model_dump(mode="json"))))
        manifest_sha256, stamp = began["manifest_sha256"], began["pictures"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{str(run.path / FILE)!r} cannot be used: {error}") from None
    if changed:
        yield f"the run's recipe.yaml has changed since it began: {'; '.join(changed)}. Put it back, start a new run"
    if manifest_sha256 != _sha256(run.manifest):
        yield f"{str(run.manifest)!r} has changed since the run began. Put it back, start a new run"
    if stamp != _stamp(manifest):
        yield from _changed_pictures(manifest)


def require_unchanged(run: RunFolder, manifest: Manifest, split: str) -> None:
    """Raise DataError when pictures of a split have changed since the run began: metrics would be of other pictures."""
    try:
        is_as_it_was = read_json_object(run.path / FILE)["pictures"] == _stamp(manifest)
    except (OSError, ValueError, KeyError, TypeError, ObverseError):
        is_as_it_was = False
    if is_as_it_was:
        return
    for sentence in _changed_pictures(replace(manifest, samples=manifest.split(split))):
        raise DataError(f"{sentence}, or evaluate on them as they are with --data")


def as_they_are(manifest: Manifest) -> Manifest:
    """The manifest with the pictures' current digests, for a run that is resumed with `--force` on changed pictures."""
    facts = verify_pictures(manifest.store, list(manifest.samples.paths()))
    digests = [_digest(sample, facts.digest_of) or sample.digest for sample in manifest.samples]
    return replace(manifest, samples=manifest.samples.with_columns(digests=digests))


def _changed_keys(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        is_free = key.startswith(FREE) and not (key == "data.cache.kind" and "jpeg" in (before.get(key), now.get(key)))
        if before.get(key) != now.get(key) and not is_free:
            yield f"{key} was {json.dumps(before.get(key))} and is {json.dumps(now.get(key))}"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def _changed_pictures(manifest: Manifest) -> Iterator[str]:
    """Yield sentences about pictures that are unreadable or whose content differs from the recorded digest.

    Reads every picture, so callers compare stamps first. A copy with new file times has equal digests: no difference.
    """
    facts = verify_pictures(manifest.store, list(manifest.samples.paths()))
    gone = [repr(f.paths[0]) for f in facts.findings]
    other = [repr(s.id) for s in manifest.samples if _digest(s, facts.digest_of) not in (None, s.digest)]
    if gone:
        yield f"{len(gone)} picture(s) can no longer be read: {_listed(gone)}. Put them back, start a new run"
    if other:
        yield f"{len(other)} sample(s) have other pictures than when the run began: {_listed(other)}. " \
              "Put them back, start a new run"  # fmt: skip


def _digest(sample: Sample, digest_of: Mapping[str, str]) -> str | None:
    """The sample's current digest; None when one of its pictures could not be read."""
    if not all(path in digest_of for path in sample.views.values()):
        return None
    return joint_digest(digest_of[path] for path in sample.views.values())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_EXAMPLES]) + (" ..." if len(names) > MAX_EXAMPLES else "")


def _stamp(manifest: Manifest) -> str:
    """One digest of the sizes and modification times of all picture files."""
    stamp = hashlib.blake2b(digest_size=16)
    for path in manifest.samples.paths():
        stamp.update(f"{manifest.store.stamp(path)}\n".encode())
    return stamp.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
