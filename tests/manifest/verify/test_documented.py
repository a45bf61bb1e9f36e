"""Every finding of verification stands in the reference."""

from __future__ import annotations

import re
from pathlib import Path

import obverse.manifest.verify

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "findings.md"


def test_every_code_is_in_the_reference():
    folder = Path(obverse.manifest.verify.__file__).parent
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert {"duplicate-view", "tiny-picture", "symlink-loop", "swapped-views", "class-order"} <= codes
    documented = set(re.findall(r"`([a-z-]+)`", REFERENCE.read_text(encoding="utf-8")))
    assert codes - documented == set()
