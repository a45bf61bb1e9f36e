"""Stored split of an earlier run or manifest, which is kept when files are added.

Samples are matched by id, else by the digest of their pictures, so a renamed file keeps its split.
"""

from __future__ import annotations

import csv
from pathlib import Path

from obverse.errors import DataError
from obverse.files import regular_status
from obverse.manifest.manifest import require_distinct
from obverse.manifest.sample import SPLITS
from obverse.manifest.samples import Samples

MANIFEST_FILE = "manifest.csv"


def keep_stored(samples: Samples, stored: Path) -> Samples:
    """The samples with the splits in the manifest `stored` (a file, or a run folder)."""
    path = stored / MANIFEST_FILE if stored.is_dir() else stored
    by_id, by_digest = _read(path)
    stored_splits = [
        by_id.get(name) or by_digest.get(digest or "")
        for name, digest in zip(samples.ids, samples.digests, strict=True)
    ]
    if not any(stored_splits):
        raise DataError(f"data.split.stored: {str(path)!r} knows none of the {len(samples)} samples")
    own = set(samples.splits)
    # A split that the data itself lacks was taken out of its train when the stored one was made.
    taken_out = set() if None in own else set(SPLITS) - own
    splits = []
    for name, given, kept in zip(samples.ids, samples.splits, stored_splits, strict=True):
        is_taken_out = given == "train" and kept in taken_out
        if given and kept and given != kept and not is_taken_out:
            raise DataError(f"data.split.stored: {str(path)!r} has {name!r} in {kept}, and the data itself in {given}; "
                            "leave out data.split.stored, or move the file back")  # fmt: skip
        splits.append(kept if is_taken_out else given or kept)
    return samples.with_columns(splits=splits)


def splits_by_digest(manifest: Path) -> dict[str, str]:
    """Content digest -> split in a run's manifest; train where samples with the same content have several splits."""
    try:
        with manifest.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = [(row["digest"], row["split"]) for row in csv.DictReader(file, strict=True)]
    except (OSError, csv.Error, KeyError, TypeError) as error:
        raise DataError(f"{manifest} is not a readable manifest: {error}") from None
    by_split = {split: {digest for digest, its_split in rows if its_split == split and digest} for split in SPLITS}
    return {digest: split for split in reversed(SPLITS) for digest in by_split[split]}


def _read(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The splits in a manifest, by id and by digest."""
    by_id, by_digest = {}, {}
    try:
        regular_status(path)
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file, strict=True)
            require_distinct(rows.fieldnames or (), f"data.split.stored: {str(path)!r}")
            for row in rows:
                if row["split"] not in (*SPLITS, ""):
                    raise KeyError(f"the split `{row['split']}` of `{row['id']}`")
                if row["split"]:
                    by_id[row["id"]] = by_digest[row["digest"]] = row["split"]
    except (OSError, csv.Error, KeyError, TypeError) as error:
        raise DataError(f"data.split.stored: {str(path)!r} is not a readable manifest: {error}") from None
    by_digest.pop("", None)
    return by_id, by_digest
