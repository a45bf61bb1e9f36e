"""Known faults of real sets are among the findings of a check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obverse.manifest.check.check import check_data
from obverse.recipe import DataSpec

Unpack = Callable[[str], Path]


def test_trashnet_duplicates_under_two_labels_and_nothing_else(unpacked: Unpack) -> None:
    check = check_data(unpacked("trashnet"), DataSpec())
    found = {frozenset(Path(p).stem for p in f.paths) for f in check.findings if f.severity == "warning"}
    assert found == {frozenset({"metal91", "glass115"}), frozenset({"plastic332", "glass389"})}
    assert check.counts["error"] == 0


def test_the_turned_photographs_of_euro_coins_large(unpacked: Unpack) -> None:
    check = check_data(unpacked("euro_coins_large"), DataSpec())
    turned = next(f for f in check.findings if f.code == "exif-rotation")
    assert turned.message.startswith("7 picture(s)")
    assert len(turned.paths) == 7


def test_drawn_characters_look_alike_and_are_no_duplicates(unpacked: Unpack) -> None:
    codes = {f.code for f in check_data(unpacked("omniglot_small"), DataSpec()).findings}
    assert not {code for code in codes if "duplicate" in code}
