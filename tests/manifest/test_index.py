"""From a folder to a verified, split manifest: bad pictures, duplicates, class order, the user's files untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.imaging import content_digest, joint_digest
from obverse.manifest import build_index
from obverse.recipe import DataSpec, SplitSpec

Tree = Callable[[Iterable[str]], Path]


def grid(*labels: str, count: int = 10) -> list[str]:
    return [f"{label}/{i}.png" for label in labels for i in range(count)]


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in root.rglob("*")}


def test_nothing_of_the_users_is_changed(tree: Tree) -> None:
    root = tree([*grid("a", "b"), "loose.png"])
    (root / "a" / "0.png").write_bytes((root / "b" / "0.png").read_bytes())
    before = state(root)
    build_index(root, DataSpec())
    assert state(root) == before


def test_samples_carry_the_digest_of_their_bytes_and_a_split(tree: Tree) -> None:
    root = tree(grid("a", "b"))
    manifest = build_index(root, DataSpec()).manifest
    sample = next(s for s in manifest.samples if s.id == "a/3.png")
    assert sample.digest == joint_digest([content_digest((root / "a/3.png").read_bytes())])
    assert manifest.split_counts() == {"train": 14, "val": 3, "test": 3}


def test_the_sizes_of_pictures_are_facts(tree: Tree) -> None:
    facts = build_index(tree(grid("a", "b")), DataSpec()).facts
    assert set(facts.size_of.values()) == {(4, 5)}
    assert len(facts.digest_of) == 20


def test_bad_pictures_stop_and_are_named(tree: Tree) -> None:
    root = tree(grid("a", "b"))
    (root / "a" / "4.png").write_text("not a picture")
    (root / "b" / "7.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 unusable picture\(s\)") as caught:
        build_index(root, DataSpec())
    message = str(caught.value)
    assert "'a/4.png' not a picture" in message
    assert "'b/7.png' the file is empty" in message
    assert "on_bad_picture=quarantine" in message


def test_quarantine_excludes_before_the_split_and_lists_the_file(tree: Tree) -> None:
    root = tree(grid("a", "b", count=100))
    for name in ("a/4.png", "b/7.png"):
        (root / name).write_text("not a picture")
    index = build_index(root, DataSpec(on_bad_picture="quarantine"))
    assert len(index.manifest.samples) == 198
    assert not {"a/4.png", "b/7.png"} & {s.id for s in index.manifest.samples}
    assert [(f.code, f.paths, f.message[:13], f.digests) for f in index.findings] == [
        ("not-a-picture", (name,), "not a picture", (content_digest(b"not a picture"),))
        for name in ("a/4.png", "b/7.png")
    ]


def test_quarantine_stops_above_one_percent(tree: Tree) -> None:
    root = tree(grid("a", "b", count=100))
    for name in ("a/4.png", "b/7.png", "b/8.png"):
        (root / name).write_text("not a picture")
    with pytest.raises(DataError, match=r"3 of 200 samples are unusable, more than quarantine allows \(1%\).*a/4\.png"):
        build_index(root, DataSpec(on_bad_picture="quarantine"))


def test_ambiguous_pairs_count_as_excluded(tree: Tree) -> None:
    root = tree(f"{label}/{view}/{i}.png" for label in "ab" for view in ("obverse", "reverse") for i in range(100))
    spec = DataSpec(on_bad_picture="quarantine")
    tree(["a/obverse/4.jpg"])
    index = build_index(root, spec)
    assert len(index.manifest.samples) == 199
    found = next(f for f in index.findings if f.code == "ambiguous-pair")
    assert found.digests == tuple(content_digest((root / path).read_bytes()) for path in found.paths)
    tree(["a/obverse/5.jpg", "b/reverse/6.jpg"])
    with pytest.raises(DataError, match="3 of 200 samples are unusable, more than quarantine allows"):
        build_index(root, spec)


def copy(root: Path, source: str, target: str) -> None:
    (root / target).write_bytes((root / source).read_bytes())


@pytest.mark.parametrize("strategy", ["stratified", "digest"])
def test_exact_duplicates_share_a_split(tree: Tree, strategy: str) -> None:
    root = tree(grid("a", "b", count=40))
    for i in range(10):
        copy(root, f"a/{i}.png", f"a/{39 - i}.png")
    spec = DataSpec(split=SplitSpec.model_validate({"strategy": strategy}))
    split = {s.id: s.split for s in build_index(root, spec).manifest.samples}
    assert all(split[f"a/{i}.png"] == split[f"a/{39 - i}.png"] for i in range(10))


def test_duplicates_can_be_left_ungrouped(tree: Tree) -> None:
    root = tree(grid("a", "b"))
    copy(root, "a/0.png", "a/1.png")
    spec = DataSpec(split=SplitSpec(group_duplicates=False))
    assert all(s.group is None for s in build_index(root, spec).manifest.samples)


def test_duplicates_join_the_groups_that_a_table_gives(tree: Tree) -> None:
    root = tree(grid("a", "b"))
    copy(root, "a/0.png", "a/5.png")
    rows = [f"{name[0]},{name},{'coin7' if name in ('a/0.png', 'a/1.png') else ''}" for name in grid("a", "b")]
    (root / "t.csv").write_text("\n".join(["label,image,group", *rows]))
    groups = {s.id: s.group for s in build_index(root / "t.csv", DataSpec()).manifest.samples}
    assert groups["a/0.png"] == groups["a/1.png"] == groups["a/5.png"] is not None
    assert groups["a/2.png"] is None


def test_a_duplicate_under_two_labels_is_a_finding_and_not_parted(tree: Tree) -> None:
    root = tree(grid("a", "b"))
    copy(root, "a/0.png", "b/3.png")
    index = build_index(root, DataSpec())
    found = [f for f in index.findings if f.code == "duplicate-across-labels"]
    assert [f.paths for f in found] == [("a/0.png", "b/3.png")]
    assert found[0].message == "the same picture carries 2 labels (a, b)"
    split = {s.id: s.split for s in index.manifest.samples}
    assert split["a/0.png"] == split["b/3.png"]


def test_a_duplicate_in_two_given_splits_is_a_finding_and_both_stay(tree: Tree) -> None:
    root = tree([f"{split}/{name}" for split in ("train", "test") for name in grid("a", "b")])
    copy(root, "train/a/0.png", "test/a/0.png")
    index = build_index(root, DataSpec())
    found = [f.message for f in index.findings if f.code == "duplicate-across-splits"]
    assert found == ["the same picture is in test and train: the figures for these will look too good"]
    split = {s.id: s.split for s in index.manifest.samples}
    assert split["test/a/0.png"] == "test"
    assert split["train/a/0.png"] in ("train", "val")


def test_small_classes_are_reported_loudly(tree: Tree) -> None:
    index = build_index(tree([*grid("a", "b"), "rare/1.png", "rare/2.png"]), DataSpec())
    found = [(f.severity, f.code) for f in index.findings if "'rare' has 2 sample(s)" in f.message]
    assert found == [("warning", "small-class")]


@pytest.mark.parametrize(
    ("labels", "order", "classes", "is_ordered"),
    [
        (("au50", "g04", "ms65"), "auto", ("g04", "au50", "ms65"), True),
        (("au50", "g04", "ms65"), "none", ("au50", "g04", "ms65"), False),
        (("MS65", "PR65", "MS60"), "auto", ("MS60", "MS65", "PR65"), False),
        (("MS65", "PR65", "MS60"), ("MS60", "PR65", "MS65"), ("MS60", "PR65", "MS65"), True),
        (("MS65", "MS60", "cleaned"), "auto", ("MS60", "MS65", "cleaned"), False),
        (("1", "10", "2"), "auto", ("1", "10", "2"), False),
        (("1", "10", "2"), ("1", "2", "10"), ("1", "2", "10"), True),
    ],
)
def test_class_order(
    tree: Tree, labels: tuple[str, ...], order: str | tuple[str, ...], classes: tuple[str, ...], is_ordered: bool
) -> None:
    manifest = build_index(tree(grid(*labels, count=4)), DataSpec.model_validate({"order": order})).manifest
    assert manifest.classes == classes
    assert manifest.ordered is is_ordered


@pytest.mark.parametrize(
    ("order", "message"), [(("a",), r"does not name the class\(es\) b"), (("a", "b", "c"), "names c, and the data")]
)
def test_an_order_must_name_exactly_the_classes(tree: Tree, order: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_index(tree(grid("a", "b")), DataSpec(order=order))


def test_too_few_pictures_for_validation_are_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match="leave none for `val`"):
        build_index(tree(["a/1.png", "b/1.png"]), DataSpec())


def test_progress_is_told_for_every_picture(tree: Tree) -> None:
    seen: list[tuple[int, int]] = []
    build_index(tree(grid("a", "b")), DataSpec(), lambda done, total: seen.append((done, total)))
    assert seen == [(i, 20) for i in range(1, 21)]
