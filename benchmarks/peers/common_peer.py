"""What the peers' scripts share: their arguments, and how they hand in their answers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path


def arguments() -> argparse.Namespace:
    """folder, out, minutes, seed, size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    return parser.parse_args()


def write_predictions(options: argparse.Namespace, paths: Sequence[str | Path], classes: Sequence[str]) -> None:
    """`{class folder/file name: predicted class}` of the test pictures."""
    names = ["/".join(Path(path).parts[-2:]) for path in paths]
    options.out.write_text(json.dumps(dict(zip(names, classes, strict=True))))
