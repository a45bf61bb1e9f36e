"""Splits: exact fractions, groups whole, what is given stays, and nothing depends on the process or the order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.manifest import SPLITS, Sample, assign_splits
from obverse.recipe import SplitSpec

few = settings(max_examples=60, derandomize=True, deadline=None)
STRATEGIES = ("stratified", "digest")
both = pytest.mark.parametrize("strategy", STRATEGIES)


def samples_of(counts: list[int], **fields: Any) -> list[Sample]:
    return [
        Sample(id=f"c{label}/{i}", label=f"c{label}", views={"image": f"c{label}/{i}.png"}, **fields)
        for label, count in enumerate(counts)
        for i in range(count)
    ]


def spec_of(parts: tuple[int, int, int], strategy: str, seed: int = 0) -> SplitSpec:
    train, val, test = (part / sum(parts) for part in parts)
    return SplitSpec.model_validate({"strategy": strategy, "train": train, "val": val, "test": test, "seed": seed})


def split_of(samples: Any) -> dict[str, str | None]:
    return {sample.id: sample.split for sample in samples}


parts = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20))
counts = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@few
@given(counts=counts, parts=parts, seed=st.integers(0, 99))
def test_stratified_is_exact_within_one_sample_per_class(
    counts: list[int], parts: tuple[int, int, int], seed: int
) -> None:
    spec = spec_of(parts, "stratified", seed)
    for label, count in enumerate(counts):
        found = Counter(s.split for s in assign_splits(samples_of(counts), spec) if s.label == f"c{label}")
        assert sum(found.values()) == count
        rounded_up_for_a_small_class = any(0 < getattr(spec, name) * count < 1 for name in SPLITS)
        for name in SPLITS:
            assert abs(found[name] - getattr(spec, name) * count) < (3 if rounded_up_for_a_small_class else 1)


@few
@given(counts=st.lists(st.integers(3, 60), min_size=1, max_size=4), parts=parts)
def test_a_class_of_three_is_in_every_split_that_is_wanted(counts: list[int], parts: tuple[int, int, int]) -> None:
    spec = spec_of(parts, "stratified")
    done = assign_splits(samples_of(counts), spec)
    wanted = {name for name in SPLITS if getattr(spec, name) > 0}
    for label in {s.label for s in done}:
        assert {s.split for s in done if s.label == label} == wanted


def test_ten_samples_at_seventy_fifteen_fifteen() -> None:
    found = Counter(s.split for s in assign_splits(samples_of([10]), spec_of((70, 20, 10), "stratified")))
    assert found == {"train": 7, "val": 2, "test": 1}


@both
@few
@given(groups=st.lists(st.integers(0, 8), min_size=4, max_size=60), parts=parts)
def test_groups_never_straddle(strategy: str, groups: list[int], parts: tuple[int, int, int]) -> None:
    samples = [Sample(f"s{i}", f"c{i % 3}", {"image": f"{i}.png"}, group=f"g{g}") for i, g in enumerate(groups)]
    splits = defaultdict(set)
    for sample in assign_splits(samples, spec_of(parts, strategy)):
        splits[sample.group].add(sample.split)
    assert all(len(found) == 1 and found <= set(SPLITS) for found in splits.values())


@both
@few
@given(order=st.permutations(range(30)), seed=st.integers(0, 9))
def test_the_order_of_listing_does_not_matter(strategy: str, order: list[int], seed: int) -> None:
    samples = samples_of([15, 10, 5])
    spec = spec_of((70, 15, 15), strategy, seed)
    assert split_of(assign_splits([samples[i] for i in order], spec)) == split_of(assign_splits(samples, spec))


@few
@given(counts=counts, more=st.integers(1, 40))
def test_digest_never_moves_a_sample_when_files_are_added(counts: list[int], more: int) -> None:
    spec = spec_of((70, 15, 15), "digest")
    before = split_of(assign_splits(samples_of(counts), spec))
    after = split_of(assign_splits(samples_of([count + more for count in counts]), spec))
    assert before.items() <= after.items()


def test_digest_comes_near_the_fractions() -> None:
    found = Counter(s.split for s in assign_splits(samples_of([20_000]), spec_of((70, 20, 10), "digest")))
    assert abs(found["train"] / 20_000 - 0.7) < 0.02
    assert abs(found["val"] / 20_000 - 0.2) < 0.02
    assert abs(found["test"] / 20_000 - 0.1) < 0.02


@both
def test_another_seed_is_another_split(strategy: str) -> None:
    one, two = (split_of(assign_splits(samples_of([60]), spec_of((70, 15, 15), strategy, seed))) for seed in (0, 1))
    assert one != two


def test_auto_is_stratified_below_twenty_thousand_and_digest_above() -> None:
    for count, strategy in ((300, "stratified"), (20_000, "digest")):
        samples = samples_of([count])
        assert split_of(assign_splits(samples, spec_of((70, 15, 15), "auto"))) == split_of(
            assign_splits(samples, spec_of((70, 15, 15), strategy))
        )


def test_the_split_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "from obverse.manifest import Sample, assign_splits; from obverse.recipe import SplitSpec; "
        "s=[Sample(str(i), 'ab'[i % 2], {'image': str(i)}, group=f'g{i//2}' if i % 5 else None) for i in range(80)]; "
        "print([x.split for k in ('digest', 'stratified') for x in assign_splits(s, SplitSpec(strategy=k))])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "4711")
    }
    assert len(outputs) == 1
    assert b"'val'" in outputs.pop()


PROGRAM = """
import hashlib, sys
from obverse.manifest import Sample, assign_splits
from obverse.recipe import SplitSpec
names = [f"class_{n % 37}/img_{n:06d}.jpg" for n in range(int(sys.argv[1]))]
if sys.argv[2] == "backwards":
    names.reverse()
samples = (Sample(name, name.split("/")[0], {"image": name}, group=f"g{name[-8]}" if name < "class_2" else None)
           for name in names)
split = {s.id: s.split for s in assign_splits(samples, SplitSpec(strategy="digest"))}
first = [split[f"class_{n % 37}/img_{n:06d}.jpg"] for n in range(20_000)]
print(hashlib.sha256("".join(first).encode()).hexdigest(), len(set(first)))
"""


def test_of_twenty_thousand_digests_none_moves() -> None:
    """Over processes, hash seeds, the order of listing and 5,000 later files."""
    settings = [("1", "20000", "forwards"), ("4711", "20000", "backwards"), ("random", "25000", "backwards")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed, *arguments in settings
    ]
    outputs = {process.communicate()[0] for process in running}
    assert len(outputs) == 1
    assert outputs.pop().endswith(b" 3\n")


def test_small_classes_do_not_add_up_to_other_fractions() -> None:
    """Ten samples are 7, 1.5 and 1.5: rounding favours each split in turn."""
    done = assign_splits(samples_of([10] * 40), spec_of((70, 15, 15), "stratified"))
    assert Counter(s.split for s in done) == {"train": 280, "val": 60, "test": 60}


@both
def test_given_splits_are_kept_and_nothing_is_carved_when_all_are_there(strategy: str) -> None:
    samples = [s for name in SPLITS for s in samples_of([4], split=name)]
    assert list(assign_splits(samples, spec_of((70, 15, 15), strategy))) == samples


@both
@few
@given(num_train=st.integers(20, 60), num_test=st.integers(1, 60))
def test_validation_is_carved_from_train_and_never_from_test(strategy: str, num_train: int, num_test: int) -> None:
    train = samples_of([num_train], split="train")
    test = [Sample(f"t{i}", "c0", {"image": f"t{i}.png"}, split="test") for i in range(num_test)]
    done = split_of(assign_splits([*train, *test], spec_of((70, 15, 15), strategy)))
    assert all(done[s.id] == "test" for s in test)
    assert {done[s.id] for s in train} <= {"train", "val"}
    if strategy == "stratified":
        assert abs(sum(done[s.id] == "val" for s in train) - num_train * 15 / 85) < 1


@few
@given(counts=st.lists(st.integers(3, 30), min_size=1, max_size=4), more=st.integers(1, 20))
def test_a_stored_assignment_is_kept_and_later_files_are_fitted_around_it(counts: list[int], more: int) -> None:
    spec = spec_of((70, 15, 15), "stratified")
    stored = {s.id: s for s in assign_splits(samples_of(counts), spec)}
    grown = [stored.get(s.id, s) for s in samples_of([count + more for count in counts])]
    done = assign_splits(grown, spec)
    assert split_of(stored.values()).items() <= split_of(done).items()
    for label, count in enumerate(counts):
        total = count + more
        num_train = sum(s.split == "train" for s in done if s.label == f"c{label}")
        assert abs(num_train - 0.7 * total) < 3


def test_new_samples_join_the_split_of_their_group() -> None:
    old = Sample("old", "a", {"image": "1"}, split="test", group="g")
    new = [Sample(f"n{i}", "a", {"image": str(i)}, group="g") for i in range(9)]
    for strategy in STRATEGIES:
        assert {s.split for s in assign_splits([old, *new], spec_of((90, 5, 5), strategy))} == {"test"}


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_class_of_one_picture_belongs_to_train(multi_label: bool) -> None:
    """Whatever rounding owes to val and test: nobody can be tested on what is never learned."""
    names = [*(f"a{n}" for n in range(40)), *(f"b{n}" for n in range(40)), *(f"rare{n}" for n in range(30))]
    samples = [Sample(name, name if name.startswith("rare") else name[0], {}) for name in names]
    done = assign_splits(samples, SplitSpec(strategy="stratified"), multi_label=multi_label)
    assert {s.split for s in done if s.id.startswith("rare")} == {"train"}
    assert {s.split for s in done} == {"train", "val", "test"}


def test_a_class_of_one_group_belongs_to_train() -> None:
    samples = [Sample(f"a{n}", "a", {}) for n in range(20)] + [Sample(f"b{n}", "b", {}, group="g") for n in range(4)]
    done = assign_splits(samples, SplitSpec(strategy="stratified"))
    assert {s.split for s in done if s.label == "b"} == {"train"}
