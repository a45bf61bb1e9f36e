"""Every finding stands in the reference."""

from __future__ import annotations

import re
from pathlib import Path

import obverse.manifest

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "findings.md"


def test_every_code_is_in_the_reference():
    manifest = Path(obverse.manifest.__file__).parent
    verify = "\n".join(path.read_text(encoding="utf-8") for path in sorted((manifest / "verify").glob("*.py")))
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', verify))
    everywhere = "\n".join(path.read_text(encoding="utf-8") for path in sorted(manifest.rglob("*.py")))
    codes |= set(re.findall(r'Finding\(\s*"[a-z]+",\s*"([a-z-]+)"', everywhere))
    assert {"duplicate-view", "tiny-picture", "symlink-loop", "swapped-views", "class-order"} <= codes
    assert {"missing-file", "archive-member", "split-fractions", "groups"} <= codes
    documented = set(re.findall(r"`([a-z-]+)`", REFERENCE.read_text(encoding="utf-8")))
    assert codes - documented == set()
