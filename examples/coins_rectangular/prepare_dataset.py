"""Divide images/<grade>/6000x3000/ into train, val and test: `python prepare_dataset.py` writes dataset.csv.

No picture is copied. The file names every picture with its grade and split; look at it, edit it, train on it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from obverse.errors import ObverseError
from obverse.manifest import SPLITS, build_index, require_free, write_prepared
from obverse.recipe import load_recipe

SOURCE = "images"
DATASET = "dataset.csv"
TRAIN, VAL, TEST = 0.7, 0.15, 0.15


def main() -> None:
    """Read, verify, divide, write."""
    fractions = [f"data.split.train={TRAIN}", f"data.split.val={VAL}", f"data.split.test={TEST}"]
    require_free(Path(DATASET), force=True)
    index = build_index(Path(SOURCE), load_recipe("coins-rectangular", fractions).data)
    print(index.said)
    for finding in index.findings:
        print(f"{finding.severity}: {finding.message} {', '.join(finding.paths[:3])}")
    counts = {split: index.manifest.counts(split) for split in SPLITS}
    for grade in index.manifest.classes:
        print(f"{grade:12}" + "".join(f"  {split} {counts[split][grade]}" for split in SPLITS))
    write_prepared(index.manifest, Path(DATASET))
    print(f"wrote {DATASET}: {len(index.manifest.samples)} pictures")


if __name__ == "__main__":
    try:
        main()
    except ObverseError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
