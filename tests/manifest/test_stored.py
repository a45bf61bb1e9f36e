"""What is decided stays decided: a stored split, excluded classes, and what is said about a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from obverse.errors import DataError
from obverse.manifest import Index, build_index, write_prepared
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]


def index_of(root: Path, **split: Any) -> Index:
    return build_index(root, DataSpec.model_validate({"split": split}))


def split_of(index: Index) -> dict[str, str | None]:
    return {s.id: s.split for s in index.manifest.samples}


def grid(count: int, first: int = 0) -> list[str]:
    return [f"{label}/{n}.png" for label in "ab" for n in range(first, count)]


@pytest.mark.parametrize("strategy", ["stratified", "digest"])
def test_later_files_are_fitted_around_a_stored_split(tree: Tree, tmp_path: Path, strategy: str) -> None:
    root = tree(grid(20))
    before = index_of(root, strategy=strategy, seed=4)
    before.manifest.write(tmp_path / "kept.csv")
    after = index_of(tree(grid(40, first=20)), strategy=strategy, stored=str(tmp_path / "kept.csv"))
    assert split_of(before).items() <= split_of(after).items()
    assert len(split_of(after)) == 80
    assert set(split_of(after).values()) == {"train", "val", "test"}
    if strategy == "stratified":
        assert after.manifest.split_counts() == {"train": 56, "val": 12, "test": 12}
    assert split_of(index_of(root, strategy=strategy)).items() != split_of(after).items()


def test_a_renamed_file_keeps_its_split(tree: Tree, tmp_path: Path) -> None:
    root = tree(grid(20))
    before = index_of(root)
    before.manifest.write(tmp_path / "kept.csv")
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(f"renamed-{path.name}"))
    after = split_of(index_of(root, stored=str(tmp_path / "kept.csv")))
    assert after == {name.replace("/", "/renamed-"): split for name, split in split_of(before).items()}


def test_a_stored_split_without_test_gets_none(tree: Tree, tmp_path: Path) -> None:
    root = tree(grid(20))
    before = index_of(root, train=0.8, val=0.2, test=0.0)
    before.manifest.write(tmp_path / "kept.csv")
    assert split_of(index_of(root, stored=str(tmp_path / "kept.csv"))) == split_of(before)


def test_stored_splits_that_cannot_be_kept_are_refused(tree: Tree, tmp_path: Path) -> None:
    root = tree(grid(20))
    with pytest.raises(DataError, match=r"stored: .*nothing.csv' is not a readable manifest"):
        index_of(root, stored=str(tmp_path / "nothing.csv"))
    index_of(root).manifest.write(tmp_path / "kept.csv")
    with pytest.raises(DataError, match="folds makes its own val"):
        index_of(root, stored=str(tmp_path / "kept.csv"), folds=3)
    text = (tmp_path / "kept.csv").read_text()
    (tmp_path / "kept.csv").write_text(text.replace("train", "Train", 1))
    with pytest.raises(DataError, match="the split `Train`"):
        index_of(root, stored=str(tmp_path / "kept.csv"))
    lines = text.splitlines()
    (tmp_path / "kept.csv").write_text(f"{lines[0]}\nc/1.png,c,train,,,c/1.png\n")
    with pytest.raises(DataError, match="knows none of the 40 samples"):
        index_of(root, stored=str(tmp_path / "kept.csv"))


def test_a_stored_split_that_the_folders_contradict_is_refused(tree: Tree, tmp_path: Path) -> None:
    root = tree([f"{split}/{label}/{n}.png" for split in ("train", "val") for label in "ab" for n in range(4)])
    index_of(root, test=0.0, train=0.8, val=0.2).manifest.write(tmp_path / "kept.csv")
    text = (tmp_path / "kept.csv").read_text()
    (tmp_path / "kept.csv").write_text(text.replace("a/1.png,a,train", "a/1.png,a,val"))
    with pytest.raises(DataError, match=r"has 'train/a/1.png' in val, and the data itself in train"):
        index_of(root, stored=str(tmp_path / "kept.csv"))


@pytest.mark.parametrize(("given", "carved"), [(("train", "test"), "val"), (("train", "val"), "test")])
def test_a_split_taken_out_of_a_given_train_is_kept(
    tree: Tree, tmp_path: Path, given: tuple[str, ...], carved: str
) -> None:
    root = tree([f"{split}/{name}" for split in given for name in grid(20)])
    before = index_of(root)
    assert before.manifest.split_counts()[carved] > 0
    before.manifest.write(tmp_path / "kept.csv")
    after = index_of(root, stored=str(tmp_path / "kept.csv"), seed=7)
    assert split_of(after) == split_of(before)


GRADES = ["xf40", "au50", "ms65", "xf details"]


def test_without_the_details_class_grades_are_ordered(tree: Tree) -> None:
    root = tree([f"{grade}/{n}.png" for grade in GRADES for n in range(6)])
    assert not build_index(root, DataSpec()).manifest.ordered
    index = build_index(root, DataSpec(exclude_classes=("xf details",)))
    assert index.manifest.ordered
    assert index.manifest.classes == ("xf40", "au50", "ms65")
    assert len(index.manifest.samples) == len(index.facts.size_of) == 18
    assert "left out by data.exclude_classes: xf details (6)" in [f.message for f in index.findings]


def test_an_unknown_class_is_not_left_out_silently(tree: Tree) -> None:
    root = tree([f"{grade}/1.png" for grade in GRADES])
    with pytest.raises(DataError, match=r"names 'xf detail', and the data .*did you mean `xf details`"):
        build_index(root, DataSpec(exclude_classes=("xf detail",)))
    with pytest.raises(ValueError, match="same class"):
        DataSpec(order=("a", "b"), exclude_classes=("a",))


def messages(index: Index, code: str) -> list[str]:
    return [f.message for f in index.findings if f.code == code]


def test_a_digest_split_says_what_it_came_to(tree: Tree) -> None:
    index = index_of(tree(grid(30)), strategy="digest")
    counts = index.manifest.split_counts()
    told = ", ".join(
        f"{name} {100 * counts[name] / 60:.1f} % (wanted {wanted})"
        for name, wanted in (("train", "70.0 %"), ("val", "15.0 %"), ("test", "15.0 %"))
    )
    assert messages(index, "split-fractions") == [f"digest split: {told}; each group decides by its own digest"]


def test_a_val_carved_from_a_given_train_says_what_it_came_to(tree: Tree) -> None:
    root = tree([f"{split}/{name}" for split, count in (("train", 40), ("test", 10)) for name in grid(count)])
    index = index_of(root, strategy="digest")
    counts = index.manifest.split_counts()
    assert counts["test"] == 20
    (told,) = messages(index, "split-fractions")
    assert told.startswith(f"digest split of the given train: train {100 * counts['train'] / 80:.1f} % (wanted 82.4 %)")
    assert messages(index_of(root, strategy="stratified"), "split-fractions") == []


def test_a_split_that_train_gave_is_said(tree: Tree) -> None:
    root = tree([f"{split}/{name}" for split, count in (("train", 40), ("val", 10)) for name in grid(count)])
    index = index_of(root)
    num = index.manifest.split_counts()["test"]
    assert messages(index, "split-from-train") == [
        f"the data has no test: {num} of the 80 samples of its train are test; data.split.test=0 with "
        "data.split.train=0.85 keeps them in train"
    ]
    kept = index_of(root, test=0.0, train=0.85)
    assert kept.manifest.split_counts() == {"train": 80, "val": 20, "test": 0}
    assert messages(kept, "split-from-train") == []


def test_a_val_that_train_gave_is_said(tree: Tree) -> None:
    index = index_of(
        tree([f"{split}/{name}" for split, count in (("train", 40), ("test", 10)) for name in grid(count)])
    )
    num = index.manifest.split_counts()["val"]
    assert messages(index, "split-from-train") == [f"the data has no val: {num} of the 80 samples of its train are val"]


def test_a_stratified_split_says_only_what_groups_made_of_it(tree: Tree) -> None:
    root = tree(grid(30))
    assert messages(index_of(root), "split-fractions") == []
    index = index_of(root, group_by={"pattern": "^(a)"})
    assert len(messages(index, "split-fractions")) == 1
    assert messages(index, "split-fractions")[0].startswith("stratified split: train")


def test_classes_that_large_groups_keep_out_of_a_split_are_named(tree: Tree) -> None:
    index = index_of(tree(grid(30)), group_by={"pattern": "^(a)"})
    assert any("1 class(es) have no sample in val: a" in text for text in messages(index, "class-not-in-split"))


@pytest.mark.parametrize("changes", [{"views": ("obverse",)}, {"views": ("reverse", "obverse")}])
def test_a_prepared_manifest_may_be_trained_on_with_other_views(tree: Tree, tmp_path: Path, changes: Any) -> None:
    root = tree([f"{grade}/{side}/{n}.jpg" for grade in "ab" for side in ("obverse", "reverse") for n in range(10)])
    before = build_index(root, DataSpec())
    write_prepared(before.manifest, tmp_path / "coins.csv")
    after = build_index(tmp_path / "coins.csv", DataSpec(**changes))
    assert after.manifest.views == changes["views"]
    assert split_of(after) == split_of(before)
