"""The walks of the architecture page: their files exist, and each returns to a room at most once."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
WALKS = dict(re.findall(r"\*\*(A .+?)\*\*\n\n((?:\d+\. .+\n)+)", PAGE))


def test_the_page_has_the_three_walks() -> None:
    assert list(WALKS) == ["A picture, from the command to the loss", "A prediction", "A metric"]


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_is_short(walk: str) -> None:
    files = re.findall(r"`(\S+\.py)`", WALKS[walk])
    assert len(files) >= 6
    assert [name for name in files if not (ROOT / "src" / "obverse" / name).is_file()] == []
    rooms = [room for room, _ in groupby(name.partition("/")[0] for name in files)]
    assert len(rooms) - len(set(rooms)) <= 1
