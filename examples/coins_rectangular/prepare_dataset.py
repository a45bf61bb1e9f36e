"""Divide images/<grade>/6000x3000/ into train, val and test: `python prepare_dataset.py` writes dataset.csv.

No picture is copied. The file names every picture with its grade and split; look at it, edit it, train on it. It is
replaced with --force only; with STORED = "dataset.csv" its splits are kept, and new photographs divided around them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from obverse.errors import ObverseError, OutputError
from obverse.manifest import SPLITS, build_index, require_free, write_prepared
from obverse.recipe import load_recipe

SOURCE = "images"
DATASET = "dataset.csv"
TRAIN, VAL, TEST = 0.7, 0.15, 0.15
STORED = ""  # an older manifest or a run: what it divided stays where it is


def main() -> None:
    """Read, verify, divide, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help=f"replace {DATASET}, and what was changed in it")
    arguments = parser.parse_args()
    if Path(DATASET).exists() and not arguments.force:
        raise OutputError(f"{DATASET} exists, perhaps with changes of yours; --force replaces it, and keeps its splits "
                          f"where this script says STORED = {DATASET!r} (data.split.stored)")  # fmt: skip
    require_free(Path(DATASET), force=True)
    settings = [f"data.split.train={TRAIN}", f"data.split.val={VAL}", f"data.split.test={TEST}"]
    settings += [f"data.split.stored={STORED}"] if STORED else []
    index = build_index(Path(SOURCE), load_recipe("coins-rectangular", settings).data)
    print(index.summary)
    for finding in index.findings:
        print(f"{finding.severity.capitalize()}: {finding.message} {', '.join(finding.paths[:3])}")
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
