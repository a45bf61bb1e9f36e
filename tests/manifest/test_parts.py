"""Halves and tiles of one picture as samples of their own stay in one split."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.imaging import content_digest
from obverse.manifest import Manifest, build_index
from obverse.manifest.check.check import check_data
from obverse.recipe import DataSpec, SplitSpec

Tree = Callable[[Iterable[str]], Path]
NUM = 40
HALVES = ("half=left", "half=right")


def table(root: Path, *rows: str, header: str = "label,image") -> Path:
    (root / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return root / "t.csv"


def halves(root: Path, num: int = NUM, steps: Iterable[str] = HALVES) -> list[str]:
    return [f"{'ab'[n % 2]},{n}.png::{step}" for n in range(num) for step in steps]


def splits_of(manifest: Manifest) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = defaultdict(set)
    for sample in manifest.samples:
        found[sample.id.partition("::")[0]].add(sample.split)
    return found


@pytest.mark.parametrize("strategy", ["stratified", "digest"])
@pytest.mark.parametrize("group_duplicates", [True, False])
def test_parts_of_a_picture_share_its_split(tree: Tree, strategy: str, group_duplicates: bool) -> None:
    root = tree(f"{n}.png" for n in range(NUM))
    split = SplitSpec.model_validate({"strategy": strategy, "group_duplicates": group_duplicates})
    index = build_index(table(root, *halves(root), "a,0.png"), DataSpec(split=split))
    splits = splits_of(index.manifest)
    assert {len(found) for found in splits.values()} == {1}
    assert {*map(min, splits.values())} == {"train", "val", "test"}
    assert "parts-of-one-picture" in {finding.code for finding in index.findings}
    assert index.manifest.samples[0].group == content_digest((root / "0.png").read_bytes())


def test_a_further_part_or_copy_moves_nothing(tree: Tree) -> None:
    root = tree(f"{n}.png" for n in range(NUM))
    spec = DataSpec(split=SplitSpec(strategy="digest"))
    left = build_index(table(root, *halves(root, steps=HALVES[:1])), spec).manifest
    both = build_index(table(root, *halves(root)), spec).manifest
    shutil.copy(root / "3.png", root / "copy.png")
    copied = build_index(table(root, *halves(root), "b,copy.png::half=right"), spec).manifest
    before = {sample.id: sample.split for sample in left.samples}
    for after in (both, copied):
        assert {s.id: s.split for s in after.samples if s.id in before} == before
    assert splits_of(copied)["copy.png"] == splits_of(copied)["3.png"]


def test_check_says_it_and_warns_where_given_splits_part_them(tree: Tree) -> None:
    root = tree(f"{n}.png" for n in range(6))
    codes = {f.code: f.severity for f in check_data(table(root, *halves(root, 6)), DataSpec(), advisory=False).findings}
    assert codes.get("parts-of-one-picture") == "note"
    rows = [f"{row},{'train' if 'left' in row else 'val'}" for row in halves(root, 6)]
    path = table(root, *rows, header="label,image,split")
    codes = {f.code: f.severity for f in check_data(path, DataSpec(), advisory=False).findings}
    assert codes.get("parts-across-splits") == "warning"
    assert "parts-of-one-picture" not in codes


def test_a_picture_whose_parts_are_its_views_stays_as_it_was(tree: Tree) -> None:
    root = tree([f"{c}/{n}.png" for c in "ab" for n in range(5)])
    index = build_index(root, DataSpec(layout="split-horizontal"))
    assert set(index.manifest.samples.groups) == {None}
    assert not {f.code for f in index.findings} & {"parts-of-one-picture", "parts-across-splits"}
