"""Whether the code gives the same results as another revision: `python tests/golden/compare_revisions.py REVISION`.

Runs the matrix with both and compares weights, predictions, metrics and report texts bit for bit. Nothing is stored:
floats differ between kinds of processors, and so both are run on this one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from matrix import run_matrix

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Print the files that differ; 1 when there are any."""
    revision = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        tree, folder = Path(temporary) / "tree", Path(temporary) / "runs"
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), revision], cwd=ROOT, check=True)
        try:
            before = run_matrix(tree / "src", folder)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
        after = run_matrix(ROOT / "src", folder)
    differing = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    for path in differing:
        state = "changed" if path in before and path in after else "gone" if path in before else "new"
        print(f"{state}: {path}")
    print(f"{len(before)} results of {revision} compared, {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
