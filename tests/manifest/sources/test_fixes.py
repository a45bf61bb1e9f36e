"""Tables of label fixes: labels change and samples are dropped by id, before the split, and no file is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index
from obverse.manifest.check import check_data
from obverse.manifest.prepared import write_prepared
from obverse.manifest.sources.fixes import LABEL_BEFORE
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
HEADER = "id,label,new_label,action\n"


def grid(*labels: str, count: int = 8) -> list[str]:
    return [f"{label}/{i}.png" for label in labels for i in range(count)]


def table(folder: Path, text: str | bytes, name: str = "fixes.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def labels_of(data: Path, *files: str, **fields: object) -> dict[str, str]:
    manifest = build_index(data, DataSpec(fixes=files, **fields)).manifest
    return dict(zip(manifest.samples.ids, manifest.samples.labels, strict=True))


def test_labels_change_and_samples_go_and_the_rest_stays(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b"))
    file = table(tmp_path, HEADER + "a/0.png,a,b,change\nb/3.png,b,a,drop\nb/4.png,b,a,keep\n")
    index = build_index(data, DataSpec(fixes=(file,)))
    labels = dict(zip(index.manifest.samples.ids, index.manifest.samples.labels, strict=True))
    before = labels_of(data)
    assert labels == {**{name: label for name, label in before.items() if name != "b/3.png"}, "a/0.png": "b"}
    assert index.manifest.samples.extra[LABEL_BEFORE].count("a") == 1
    assert "1 label changed, 1 sample dropped by fixes.csv" in [finding.message for finding in index.findings]
    assert "fixes" in {finding.code for finding in check_data(data, DataSpec(fixes=(file,)), advisory=False).findings}


def test_a_changed_label_counts_in_the_split(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b", count=10))
    rows = "".join(f"b/{n}.png,b,a,change\n" for n in range(6))
    manifest = build_index(data, DataSpec(fixes=(table(tmp_path, HEADER + rows),))).manifest
    assert manifest.counts() == {"a": 16, "b": 4}
    assert min(manifest.counts("train").values()) >= 2


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfid;label;new_label;action\r\ncaf\xc3\xa9/1.png;caf\xc3\xa9;a;CHANGE\r\n",
        "id;label;new_label;action\r\ncafé/1.png;café;a;change\r\n".encode("cp1252"),
        "sep=;\r\nid;action;new_label;note\r\n café/1.png ;Change;a;x\r\n;;;\r\n".encode("utf-8-sig"),
        b"ID,Label,New_Label,ACTION\ncaf\xc3\xa9/1.png,caf\xc3\xa9,a,change\n",
        "id\taction\tnew_label\r\ncafé/1.png\tchange\ta\r\n".encode("utf-16"),
    ],
)
def test_a_spreadsheet_may_have_saved_it(tree: Tree, tmp_path: Path, text: bytes) -> None:
    data = tree(grid("a", "café"))
    assert labels_of(data, table(tmp_path, text))["café/1.png"] == "a"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a/0.png,a,b,change\nx/0.png,a,b,change\n", r"fixes\.csv, row 3: the data has no sample 'x/0\.png'"),
        ("a/0.png,a,c,change\n", r"fixes\.csv, row 2: the data has no class 'c'; new_label may be a, b"),
        ("a/0.png,a,,change\n", r"row 2: the data has no class ''"),
        ("a/0.png,a,b,chnage\n", r"row 2: no action 'chnage' \(did you mean `change`\?\); write keep, change or drop"),
        ("a/0.png,a,b,change\na/0.png,a,b,drop\n", r"row 3: the sample 'a/0\.png' has another fix in .*row 2"),
        ("a/0.png,a,b,\n", r"row 2: there is a new label 'b' and no action; write change or keep"),
        ("a/0.png,a,b\n", "row 2: has another number of cells"),
        ('"a/0.png,a\n', "cannot be read as a table"),
    ],
)
def test_a_faulty_row_is_refused_by_file_and_row(tree: Tree, tmp_path: Path, rows: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        labels_of(tree(grid("a", "b")), table(tmp_path, HEADER + rows))


@pytest.mark.parametrize("text", [b"", b"\x89PNG\r\n\x1a\n\0\0", b"path,action\nx,keep\n", b"id,label\na/0.png,a\n"])
def test_what_is_no_table_of_fixes_is_refused(tree: Tree, tmp_path: Path, text: bytes) -> None:
    with pytest.raises(DataError, match=r"fixes\.csv"):
        labels_of(tree(grid("a", "b")), table(tmp_path, text))


def test_a_missing_table_and_a_folder_are_refused(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b"))
    for name in ("none.csv", "data"):
        with pytest.raises(DataError, match=r"the fixes .* cannot be read"):
            labels_of(data, str(tmp_path / name))


def test_the_later_of_several_tables_wins(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b", "c"))
    first = table(tmp_path, HEADER + "a/0.png,a,b,change\na/1.png,a,b,drop\n", "one.csv")
    second = table(tmp_path, HEADER + "a/0.png,b,c,change\na/1.png,a,c,change\n", "two.csv")
    labels = labels_of(data, first, second)
    assert (labels["a/0.png"], labels["a/1.png"]) == ("c", "c")


def test_a_class_may_disappear(tree: Tree, tmp_path: Path) -> None:
    data = tree([*grid("a", "b"), "odd/0.png"])
    file = table(tmp_path, HEADER + "odd/0.png,odd,a,change\n")
    index = build_index(data, DataSpec(fixes=(file,)))
    assert index.manifest.classes == ("a", "b")
    warnings = [finding.message for finding in index.findings if finding.severity == "warning"]
    assert "the fixes leave no sample of the class odd" in warnings
    assert index.summary.endswith("after the fixes 2 classes, 17 samples")


def test_fixes_that_leave_one_class_are_blamed(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b"))
    file = table(tmp_path, HEADER + "".join(f"b/{n}.png,b,a,change\n" for n in range(8)))
    with pytest.raises(DataError, match=r"only 'a' .* the fixes leave no sample of the others"):
        labels_of(data, file)


def test_a_table_of_other_labels_is_warned_about_by_row(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b", "c"))
    rows = "a/0.png,a,b,change\na/1.png,b,c,change\na/2.png,b,a,change\na/3.png,c,,drop\na/4.png,c,b,keep\n"
    index = build_index(data, DataSpec(fixes=(table(tmp_path, HEADER + rows),)))
    (warning,) = [finding.message for finding in index.findings if finding.code == "fixes-outdated"]
    assert "row 3: the label is 'b', but the sample 'a/1.png' has 'a', as in 1 more of its rows" in warning
    assert index.manifest.samples.labels[index.manifest.samples.ids.index("a/1.png")] == "c"


@pytest.mark.parametrize(("text", "message"), [(b"", "has no rows"), (b"\n\n", "has no rows"), (b"x\n", "no column")])
def test_an_empty_table_is_called_so(tree: Tree, tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels_of(tree(grid("a", "b")), table(tmp_path, text))


def test_a_prepared_manifest_already_has_the_fixes_of_its_table(tree: Tree, tmp_path: Path) -> None:
    data = tree(grid("a", "b"))
    file = table(tmp_path, HEADER + "a/0.png,a,b,change\nb/3.png,b,a,drop\n")
    prepared = data / "manifest.csv"
    write_prepared(build_index(data, DataSpec(fixes=(file,))).manifest, prepared)
    index = build_index(prepared, DataSpec(fixes=(file,)))
    messages = [finding.message for finding in index.findings if finding.code == "fixes"]
    assert messages == ["the stored manifest already has all 2 fixes of fixes.csv"]
    assert not [finding for finding in index.findings if finding.code == "fixes-outdated"]
    other = table(tmp_path, HEADER + "x/0.png,a,b,change\n", "other.csv")
    with pytest.raises(DataError, match=r"no sample 'x/0\.png'"):
        build_index(prepared, DataSpec(fixes=(other,)))


def test_label_sets_change_as_a_whole(tree: Tree, tmp_path: Path) -> None:
    root = tree(f"{n}.png" for n in range(12))
    rows = [f'"{"red;round" if n % 2 else "blue"}",{n}.png' for n in range(12)]
    (root / "list.csv").write_text("labels,image\n" + "\n".join(rows))
    file = table(tmp_path, HEADER + "0.png,blue,round|red,change\n1.png,red|round,,change\n")
    data, fields = root / "list.csv", {"labels": "multi", "label_separator": ";"}
    labels = labels_of(data, file, **fields)
    assert (labels["0.png"], labels["1.png"], labels["2.png"]) == ("red|round", "", "blue")
    with pytest.raises(DataError, match="no class 'green'"):
        labels_of(data, table(tmp_path, HEADER + "0.png,blue,red|green,change\n"), **fields)
