"""Groups by column, pattern and content: never parted, and a further copy of a picture moves nothing."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.errors import DataError
from obverse.manifest import Sample, Samples, build_index
from obverse.manifest.split.divide import divide
from obverse.manifest.split.grouping import group_duplicates, group_together
from obverse.recipe import DataSpec, SplitSpec

Tree = Callable[[Iterable[str]], Path]
few = settings(max_examples=80, derandomize=True, deadline=None)

# A sample is (first picture, second picture or None): equal numbers are equal pictures.
pictures = st.tuples(st.integers(0, 15), st.none() | st.integers(0, 15))


def samples_of(rows: Iterable[tuple[int, int | None]], start: int = 0) -> tuple[Samples, dict[str, str]]:
    samples, digest_of = [], {}
    for n, row in enumerate(rows, start):
        views = {f"view{v}": f"{n}/{v}.png" for v, content in enumerate(row) if content is not None}
        digest_of |= {path: f"d{row[int(view[-1])]}" for view, path in views.items()}
        joint = "+".join(digest_of[path] for path in views.values())
        samples.append(Sample(f"s{n}", f"c{n % 3}", views, digest=joint))
    return Samples.of(samples), digest_of


def split_of(samples: Iterable[Sample]) -> dict[str, str | None]:
    return {s.id: s.split for s in samples}


def spec_of(**fields: Any) -> SplitSpec:
    return SplitSpec.model_validate(fields)


@few
@given(st.lists(pictures, min_size=4, max_size=30), st.sampled_from(["stratified", "digest"]))
def test_samples_that_share_a_picture_share_a_split(rows: list[tuple[int, int | None]], strategy: str) -> None:
    samples, digest_of = samples_of(rows)
    done, _ = divide(samples, spec_of(strategy=strategy), digest_of)
    splits = defaultdict(set)
    for s in done:
        for path in s.views.values():
            splits[digest_of[path]].add(s.split)
    assert all(len(found) == 1 for found in splits.values())


@few
@given(rows=st.lists(pictures, min_size=1, max_size=20), data=st.data())
def test_a_copy_of_a_sample_moves_nothing(rows: list[tuple[int, int | None]], data: st.DataObject) -> None:
    """Whatever the copies are called: before or after the first, in its class or another."""
    copies = data.draw(st.lists(st.sampled_from(rows), max_size=10))
    spec = spec_of(strategy="digest", train=0.4, val=0.3, test=0.3)
    alone, digest_of = samples_of(rows)
    before = split_of(divide(alone, spec, digest_of)[0])
    more, more_digests = samples_of(copies, start=-len(copies))
    both = Samples.of([*more, *alone])
    assert before.items() <= split_of(divide(both, spec, digest_of | more_digests)[0]).items()


def test_a_copy_with_a_smaller_name_moves_no_file(tree: Tree) -> None:
    """The whole way from a folder: the name of a duplicate group was once its least id."""
    spec = DataSpec(split=SplitSpec(strategy="digest"))
    root = tree([f"{label}/{i}.png" for label in "ab" for i in range(40)])
    before = split_of(build_index(root, spec).manifest.samples)
    for n in range(0, 40, 2):
        shutil.copy(root / f"b/{n}.png", root / f"a/0-copy-{n}.png")
    after = split_of(build_index(root, spec).manifest.samples)
    assert len(after) == 100
    assert before.items() <= after.items()
    assert all(after[f"a/0-copy-{n}.png"] == before[f"b/{n}.png"] for n in range(0, 40, 2))


def test_chains_take_the_least_digest_and_names_come_first() -> None:
    samples, digest_of = samples_of([(1, 2), (2, 3), (3, None), (9, None)])
    grouped = group_duplicates(samples, digest_of)
    assert grouped.groups == ("d1+d2", "d1+d2", "d1+d2", None)
    named = samples.with_columns(groups=[None, None, "coin 7", "coin 8"])
    assert group_duplicates(named, digest_of).groups == ("coin 7", "coin 7", "coin 7", "coin 8")


@few
@given(ties=st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=25))
def test_grouping_is_the_connected_components(ties: list[list[int]]) -> None:
    samples = Samples.of(Sample(f"s{n}", "a", {"image": "x"}) for n in range(len(ties)))
    groups = group_together(samples, [[str(key) for key in keys] for keys in ties]).groups
    reached = {n: {n} for n in range(len(ties))}
    for _ in ties:
        for n, keys in enumerate(ties):
            near = {m for m in range(len(ties)) if set(ties[m]) & set(keys)}
            reached[n] |= near.union(*(reached[m] for m in near)) if near else set()
    for n in range(len(ties)):
        for m in range(n):
            assert (groups[n] is not None and groups[n] == groups[m]) == (m in reached[n])


COINS = [f"{grade}/coin{coin}_{shot}.png" for grade in ("au50", "ms65") for coin in range(12) for shot in range(3)]


@pytest.mark.parametrize("more", [{}, {"folds": 3, "fold": 1}, {"strategy": "digest"}])
def test_a_pattern_keeps_the_shots_of_a_coin_together(tree: Tree, more: dict[str, Any]) -> None:
    spec = DataSpec.model_validate({"split": {"group_by": {"pattern": r"^(.*)_\d+$"}, **more}})
    index = build_index(tree(COINS), spec)
    splits = defaultdict(set)
    for s in index.manifest.samples:
        assert s.group == s.id.rsplit("_", 1)[0]
        splits[s.group].add(s.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {"train", "val"} <= set().union(*splits.values())
    assert "data.split.group_by.pattern: 72 samples in 24 groups" in [f.message for f in index.findings]


def test_without_the_pattern_they_are_parted(tree: Tree) -> None:
    splits = defaultdict(set)
    for s in build_index(tree(COINS), DataSpec()).manifest.samples:
        splits[s.id.rsplit("_", 1)[0]].add(s.split)
    assert any(len(found) > 1 for found in splits.values())


def table(root: Path, header: str, rows: Iterable[str]) -> Path:
    (root / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return root / "t.csv"


def test_a_column_keeps_its_samples_together_beside_copies_and_given_groups(tree: Tree) -> None:
    names = [f"{n}.png" for n in range(40)]
    root = tree(names)
    shutil.copy(root / "0.png", root / "39.png")
    rows = [f"{name},{'ab'[n % 2]},coin{n // 4},{'x' if n in (1, 20) else ''}" for n, name in enumerate(names)]
    spec = DataSpec.model_validate({"split": {"group_by": {"column": "coin"}}})
    index = build_index(table(root, "image,label,coin,group", rows), spec)
    split = [s.split for s in index.manifest.samples]
    assert all(len(set(split[n : n + 4])) == 1 for n in range(0, 40, 4))
    assert split[39] == split[0] == split[20]  # the same picture; the same given group
    assert len(set(split)) == 3


def test_a_column_that_is_not_there_is_named(tree: Tree) -> None:
    root = tree(["1.png", "2.png"])
    spec = DataSpec.model_validate({"split": {"group_by": {"column": "con"}}})
    with pytest.raises(DataError, match=r"no column 'con' \(did you mean `coin`\?\); the further columns are coin"):
        build_index(table(root, "image,label,coin", ["1.png,a,1", "2.png,b,2"]), spec)
    (root / "t.csv").unlink()
    with pytest.raises(DataError, match="the data has no further columns"):
        build_index(tree(["a/1.png", "b/1.png"]), spec)


def test_a_pattern_that_fits_nothing_is_refused(tree: Tree) -> None:
    spec = DataSpec.model_validate({"split": {"group_by": {"pattern": r"^shot(\d+)"}}})
    with pytest.raises(DataError, match=r"group_by.pattern: no sample gets a group, for example 'a/1.png'"):
        build_index(tree(["a/1.png", "b/1.png"]), spec)


def test_a_group_that_given_splits_part_is_reported(tree: Tree) -> None:
    names = [f"{split}/{label}/{n}_{split}.png" for split in ("train", "test") for label in "ab" for n in range(9)]
    spec = DataSpec.model_validate({"split": {"group_by": {"pattern": r"/(\w/\d)_"}}})
    found = [f for f in build_index(tree(names), spec).findings if f.code == "group-across-splits"]
    assert len(found) == 1
    assert found[0].message.startswith("18 group(s) are in several given splits: a/0, a/1")
