"""Multi-label lists: how sets are said, that nothing is guessed, and that a manifest holds them and gives them back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obverse.errors import DataError, RecipeError
from obverse.manifest import build_index, read_manifest, read_source, write_prepared
from obverse.manifest.check.check import check_data
from obverse.manifest.check.check_report import check_json
from obverse.manifest.sample import SPLITS, Sample
from obverse.manifest.split.split import assign_splits
from obverse.recipe import DataSpec, SplitSpec, load_recipe

MULTI = DataSpec(labels="multi")
SETS = [["red", "round"], [], ["round"], ["blue"]]
TEXTS = ["red|round", "", "round", "blue"]


def labels_of(path: Path, spec: DataSpec) -> list[str]:
    listing = read_source(path, spec)
    assert listing.multi_label
    assert "any number of them per sample" in listing.summary
    return [sample.label for sample in listing.samples]


def csv_of(folder: Path, cells: list[str], *, column: str = "labels") -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join([f"{column},image", *(f"{cell},{n}.png" for n, cell in enumerate(cells))]) + "\n")
    return path


@pytest.mark.parametrize("separator", ["|", ";", " / "])
def test_a_cell_holds_a_set_where_it_is_said_so(tmp_path: Path, separator: str) -> None:
    path = csv_of(tmp_path, [separator.join(reversed(names)) for names in SETS], column="label")
    assert labels_of(path, DataSpec(labels="multi", label_separator=separator)) == TEXTS


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_lists_are_sets_without_being_told(tmp_path: Path, form: str) -> None:
    path, rows = tmp_path / f"t.{form}", [{"labels": names, "image": f"{n}.png"} for n, names in enumerate(SETS)]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) if form == "jsonl" else json.dumps(rows))
    assert labels_of(path, DataSpec()) == TEXTS
    assert labels_of(path, MULTI) == TEXTS
    with pytest.raises(DataError, match="holds lists"):
        read_source(path, DataSpec(labels="single", views=("image",)))


def test_a_column_of_0_and_1_per_class(tmp_path: Path) -> None:
    rows = ["red,round,blue,image,year", "1,1,0,0.png,1900", "0,0,0,1.png,1901", "0,1,0,2.png,1902", "0,0,1,3.png,1"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    spec = DataSpec(label_columns=("red", "round", "blue"))
    assert labels_of(tmp_path / "list.csv", spec) == TEXTS
    assert read_source(tmp_path / "list.csv", spec).samples[0].extra == {"year": "1900"}
    (tmp_path / "list.csv").write_text("red,round,blue,image\n1,maybe,0,0.png\n")
    with pytest.raises(DataError, match="row 2, column `round`: expected 0 or 1, found 'maybe'"):
        read_source(tmp_path / "list.csv", spec)
    with pytest.raises(DataError, match=r"no such column \(did you mean `blue`"):
        read_source(tmp_path / "list.csv", DataSpec(label_columns=("red", "blu")))


def picture_rows(picture: Any, labels: list[Any]) -> pa.Table:
    pictures = [{"bytes": picture(f"{n}.png"), "path": f"{n}.png"} for n in range(len(labels))]
    return pa.Table.from_pylist([{"image": p, "labels": names} for p, names in zip(pictures, labels, strict=True)])


def test_lists_of_integers_take_their_names_from_the_schema(tmp_path: Path, picture: Any) -> None:
    table = picture_rows(picture, [[2, 1], [], [1], [0]])
    each = {"names": ["blue", "round", "red"], "_type": "ClassLabel"}
    features = {"info": {"features": {"labels": {"feature": each, "_type": "Sequence"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "t.parquet")
    assert labels_of(tmp_path, DataSpec()) == TEXTS


@pytest.mark.parametrize(
    ("cells", "spec", "message"),
    [
        (["red||round", "red"], MULTI, "row 2: one of several classes is empty"),
        (["a|b;c", "c"], DataSpec(labels="multi", label_separator=";"), "'a|b' contains `|`"),
        (["", ""], MULTI, "every label set is empty"),
    ],
)
def test_sets_that_cannot_be_read_are_named(tmp_path: Path, tree: Any, cells: Any, spec: Any, message: str) -> None:
    tree(f"{n}.png" for n in range(len(cells)))
    with pytest.raises(DataError, match=message.replace("|", r"\|")):
        build_index(csv_of(tmp_path / "data", cells), spec)


def test_a_null_among_lists_is_no_empty_set(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"labels": ["a"], "image": "0.png"}\n{"labels": null, "image": "1.png"}\n')
    with pytest.raises(DataError, match=r"row 2: `labels` is a list in other rows.*write \[\]"):
        read_source(tmp_path / "t.jsonl", DataSpec())


def test_text_that_looks_like_several_is_one_class_and_said(tmp_path: Path) -> None:
    listing = read_source(csv_of(tmp_path, ["red;round", "round", "red", "red;round"], column="label"), DataSpec())
    assert not listing.multi_label
    assert {sample.label for sample in listing.samples} == {"red;round", "round", "red"}
    (note,) = (finding for finding in listing.findings if finding.code == "several-labels")
    assert note.severity == "note"
    assert "2 label(s) contain `;`" in note.message
    assert "data.labels=multi data.label_separator=';'" in note.message
    quiet = read_source(csv_of(tmp_path, ["old; worn", "new", "good"], column="label"), DataSpec())
    assert [finding.code for finding in quiet.findings] == []


def test_a_plural_column_of_text_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column `label`.*if `labels` holds several classes per row"):
        read_source(csv_of(tmp_path, ["a", "b"]), DataSpec())


def test_what_holds_one_class_per_sample_is_refused_as_multi(tree: Any) -> None:
    with pytest.raises(DataError, match=r"data.labels is multi, and .* is read as class-folders"):
        read_source(tree(["a/1.png", "b/2.png"]), MULTI)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.label_separator=;"], "no effect without `labels: multi`"),
        (["data.labels=single", "data.label_columns=[a, b]"], "label_columns are for"),
        (["data.label_columns=[a, b]", "data.labels=multi", "data.label_separator=;"], "choose one"),
        (["data.labels=multi", "data.order=[a, b]"], "order has no meaning"),
        (["data.labels=multi", "data.exclude_classes=[a]"], "exclude_classes leaves out samples"),
        (["data.labels=multi", "data.largest_classes=2"], "largest_classes is for one class"),
    ],
)
def test_settings_that_cannot_take_effect_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("auto", settings)


def test_an_order_is_refused_where_lists_are_seen(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"labels": ["a"], "image": "0.png"}\n')
    with pytest.raises(DataError, match="order has no meaning"):
        read_source(tmp_path / "t.jsonl", DataSpec(order=("a", "b")))


@pytest.fixture
def multi_list(tmp_path: Path, tree: Any) -> Path:
    """40 pictures with two classes, each in a half of them, and a rare third one."""
    tree(f"{n}.png" for n in range(40))
    cells = [
        "|".join(c for c, has in (("a", n % 2), ("b", n % 4 > 1), ("rare", n % 10 == 3)) if has) for n in range(40)
    ]
    return csv_of(tmp_path / "data", cells)


def test_a_prepared_manifest_is_readable_and_gives_the_same_back(multi_list: Path, tmp_path: Path) -> None:
    first = build_index(multi_list, MULTI)
    write_prepared(first.manifest, tmp_path / "data" / "manifest-of.csv")
    assert (tmp_path / "data" / "manifest-of.csv").read_text().startswith("id,labels,split,group,digest,image\n0.png,,")
    again = build_index(tmp_path / "data" / "manifest-of.csv", DataSpec())
    assert again.manifest.samples == first.manifest.samples
    assert again.manifest.multi_label
    assert again.manifest.classes == ("a", "b", "rare")
    first.manifest.write(tmp_path / "run.csv")
    read = read_manifest(tmp_path / "run.csv", root=first.manifest.root, classes=("a", "b", "rare"), views=("image",),
                         ordered=False, multi_label=True)  # fmt: skip
    assert read.samples == first.manifest.samples
    with pytest.raises(DataError, match="has label `b`"):
        read_manifest(tmp_path / "run.csv", root=tmp_path, classes=("a",), views=("image",), ordered=False,
                      multi_label=True)  # fmt: skip
    with pytest.raises(DataError, match="says its labels itself"):
        read_source(tmp_path / "data" / "manifest-of.csv", DataSpec(label_columns=("a",)))


def test_counts_are_of_classes_and_every_class_is_everywhere(multi_list: Path) -> None:
    manifest = build_index(multi_list, MULTI).manifest
    assert manifest.counts() == {"a": 20, "b": 20, "rare": 4}
    assert all(manifest.counts(split)["rare"] for split in SPLITS)
    assert all(manifest.counts(split)["a"] >= 2 for split in SPLITS)


def random_sets(num: int, classes: int, seed: int = 0) -> list[Sample]:
    generator = np.random.default_rng(seed)
    shares = np.geomspace(0.5, 0.03, classes)
    rows = generator.random((num, classes)) < shares
    return [
        Sample(f"s{n}", "|".join(f"c{k}" for k in np.flatnonzero(row)), {"image": f"{n}.png"})
        for n, row in enumerate(rows)
    ]


def test_every_class_keeps_its_share_where_chance_would_not() -> None:
    samples, spec = random_sets(600, 8), SplitSpec(strategy="stratified")
    done = assign_splits(samples, spec, multi_label=True)
    sizes = Counter(done.splits)
    for split, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert abs(sizes[split] - share * 600) <= 12
        held = Counter(name for s in done if s.split == split for name in s.label.split("|") if name)
        total = Counter(name for s in done for name in s.label.split("|") if name)
        assert all(abs(held[name] - share * total[name]) <= 2 + 0.02 * total[name] for name in total)
    moved = assign_splits(list(reversed(samples)), spec, multi_label=True)
    assert dict(zip(moved.ids, moved.splits, strict=True)) == dict(zip(done.ids, done.splits, strict=True))


def test_groups_and_given_splits_stay() -> None:
    grouped = [Sample(s.id, s.label, s.views, group=f"g{n // 3}") for n, s in enumerate(random_sets(300, 5))]
    done = assign_splits(grouped, SplitSpec(strategy="stratified"), multi_label=True)
    by_group: dict[str | None, set[str | None]] = {}
    for sample in done:
        by_group.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    assert set(done.splits) == set(SPLITS)
    given = [
        Sample(s.id, s.label, s.views, split="test" if n < 50 else None) for n, s in enumerate(random_sets(300, 5))
    ]
    kept = assign_splits(given, SplitSpec(strategy="stratified"), multi_label=True)
    assert set(kept.splits[:50]) == {"test"}


def test_folds_share_every_class() -> None:
    samples = random_sets(300, 5)
    val = [assign_splits(samples, SplitSpec(folds=3, fold=fold, test=0.0), multi_label=True) for fold in range(3)]
    seen = Counter(s.id for done in val for s in done if s.split == "val")
    assert set(seen.values()) == {1}
    assert len(seen) == 300
    counts = [sum("c3" in s.label for s in done if s.split == "val") for done in val]
    assert max(counts) - min(counts) <= 2


def test_check_tells_the_sets(multi_list: Path, sandbox: Any) -> None:
    check = check_data(multi_list, MULTI, sandbox=sandbox)
    assert check.counts["error"] == 0
    values = json.loads(check_json(check))
    assert values["labels"] == "multi"
    assert values["classes"] == {"a": 20, "b": 20, "rare": 4}
    assert "3 classes, any number of them per sample (1.10 on average, " in values["source"]


def test_a_copy_under_two_sets_is_found(multi_list: Path, sandbox: Any) -> None:
    (multi_list.parent / "1.png").write_bytes((multi_list.parent / "0.png").read_bytes())
    found = [f for f in check_data(multi_list, MULTI, sandbox=sandbox).findings if f.code == "duplicate-across-labels"]
    assert [finding.message for finding in found] == ["the same picture carries 2 label sets (no class, a)"]
