"""Folds: every sample is val once, test stays apart, groups stay whole, and what makes no sense is refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.errors import DataError
from obverse.manifest import Sample, Samples, assign_splits
from obverse.recipe import SplitSpec

few = settings(max_examples=40, derandomize=True, deadline=None)
both = pytest.mark.parametrize("strategy", ["stratified", "digest"])


def spec_of(**fields: Any) -> SplitSpec:
    return SplitSpec.model_validate(fields)


def each_fold(samples: list[Sample], folds: int, **fields: Any) -> list[dict[str, str | None]]:
    specs = [spec_of(folds=folds, fold=fold, **fields) for fold in range(folds)]
    return [{s.id: s.split for s in assign_splits(samples, spec)} for spec in specs]


def sample(number: int, label: str, group: int | None = None, split: str | None = None) -> Sample:
    return Sample(f"s{number}", label, {"image": f"{number}.png"}, split, None if group is None else f"g{group}")


rows = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 12)), min_size=30, max_size=90)


@both
@few
@given(rows=rows, folds=st.integers(2, 6), test=st.sampled_from([0.0, 0.15, 0.4]), seed=st.integers(0, 3))
def test_each_sample_is_val_once_or_test_always(
    strategy: str, rows: list[tuple[int, int | None]], folds: int, test: float, seed: int
) -> None:
    samples = [sample(n, f"c{label}", group) for n, (label, group) in enumerate(rows)]
    samples += [sample(1000 + n, "c0") for n in range(3 * folds)]  # a digest may put few groups aside of test
    found = each_fold(samples, folds, strategy=strategy, test=test, seed=seed)
    for s in samples:
        seen = Counter(splits[s.id] for splits in found)
        assert seen in ({"test": folds}, {"val": 1, "train": folds - 1})
        assert test > 0 or seen["test"] == 0
    for splits in found:
        of_group = defaultdict(set)
        for s in samples:
            of_group[s.group or s.id].add(splits[s.id])
        assert all(len(held) == 1 for held in of_group.values())


@few
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=8), folds=st.integers(2, 6))
def test_stratified_folds_are_even_in_each_class_and_over_all(counts: list[int], folds: int) -> None:
    samples = [sample(100 * k + n, f"c{k}") for k, count in enumerate(counts) for n in range(count)]
    if len(samples) < folds:
        return
    found = each_fold(samples, folds, strategy="stratified", test=0.0)
    label_of = {s.id: s.label for s in samples}
    sizes = [Counter(label_of[name] for name, split in splits.items() if split == "val") for splits in found]
    for k, count in enumerate(counts):
        assert {size[f"c{k}"] for size in sizes} <= {count // folds, -(-count // folds)}
    totals = [size.total() for size in sizes]
    assert max(totals) - min(totals) <= 2


@both
def test_the_test_split_is_kept_where_the_data_gives_it(strategy: str) -> None:
    samples = [sample(n, f"c{n % 2}", split="test" if n < 10 else "train") for n in range(60)]
    for splits in each_fold(samples, 5, strategy=strategy):
        assert {name for name, split in splits.items() if split == "test"} == {f"s{n}" for n in range(10)}


@both
def test_where_the_data_gives_only_train_a_test_split_is_taken_first(strategy: str) -> None:
    samples = [sample(n, f"c{n % 2}", split="train") for n in range(60)]
    found = each_fold(samples, 3, strategy=strategy, test=0.25)
    tests = {frozenset(name for name, split in splits.items() if split == "test") for splits in found}
    assert len(tests) == 1
    assert 5 <= len(tests.pop()) <= 25


@few
@given(more=st.integers(1, 40))
def test_digest_folds_never_move_when_files_are_added(more: int) -> None:
    spec = spec_of(folds=4, fold=2, strategy="digest")
    before, after = (
        {s.id: s.split for s in assign_splits([sample(n, "a") for n in range(count)], spec)}
        for count in (50, 50 + more)
    )
    assert before.items() <= after.items()


def test_folds_and_a_given_val_are_refused() -> None:
    samples = [sample(n, "a", split=["train", "val"][n % 2]) for n in range(20)]
    with pytest.raises(DataError, match=r"folds makes its own val.*leave out folds"):
        assign_splits(samples, spec_of(folds=3))


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="folds is 5, and there are only 3 groups"):
        assign_splits(Samples.of(sample(n, "a", group=n % 3) for n in range(30)), spec_of(folds=5, test=0.0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fold": 1}, "fold needs folds"),
        ({"folds": 3, "fold": 3}, "fold counts from 0 to 2"),
        ({"folds": 5, "train": 0.7, "val": 0.15}, r"folds: 5 and test 0.15 make val 0.17, not 0.15; leave out"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"folds": True}, "int"),
        ({"group_by": {}}, "either column or pattern"),
        ({"group_by": {"column": "a", "pattern": "(b)"}}, "either column or pattern"),
        ({"group_by": {"pattern": "("}}, "no regular expression"),
        ({"group_by": {"pattern": "a"}}, "one capture, the group's name, and has 0"),
        ({"group_by": {"pattern": "(a)(b)"}}, "one capture, the group's name, and has 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec_of(**fields)


def test_folds_decide_train_and_val_and_survive_being_saved() -> None:
    spec = spec_of(folds=5, test=0.2)
    assert (spec.train, spec.val) == pytest.approx((0.64, 0.16))
    assert SplitSpec.model_validate(spec.model_dump()) == spec
