"""Names in two Unicode forms are one name, and letter case is said."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.inference.expansion import Expansion
from obverse.inference.inputs import find_requests
from obverse.manifest import build_index, read_source
from obverse.manifest.check.check import check_data
from obverse.manifest.names import composed, is_left_out, name_key
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_keys() -> None:
    assert NFC != NFD
    assert composed(NFD) == NFC
    assert name_key(NFD.upper()) == name_key(NFC) == NFC
    assert name_key("STRASSE") == name_key("straße")


@pytest.mark.parametrize(("name", "left_out"), [(".git", True), ("@EADIR", True), ("..", False), ("recycled", False)])
def test_what_is_left_out(name: str, left_out: bool) -> None:
    assert is_left_out(name) is left_out


def both_forms(tree: Tree) -> Path:
    return tree([*(f"train/{label}/{i}.png" for label in (NFC, "tea") for i in range(8)),
                 *(f"{split}/{label}/{i}.png" for split in ("val", "test") for label in (NFD, "tea")
                   for i in range(4))])  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_a_class_in_two_forms_is_one_and_said(tree: Tree, tmp_path: Path, packed: bool) -> None:
    root = both_forms(tree)
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    index = build_index(path, DataSpec(exclude_classes=()))
    assert index.manifest.classes == (NFC, "tea")
    assert index.manifest.counts("val") == {NFC: 4, "tea": 4}
    assert [f.severity for f in index.findings if f.code == "unicode-forms"] == ["warning"]
    assert all(index.manifest.store.decode(path).shape for path in index.manifest.samples.paths())


def test_a_recipe_names_a_class_in_either_form(tree: Tree) -> None:
    root = tree([f"{label}/{i}.png" for label in (NFD, "tea", "milk") for i in range(8)])
    index = build_index(root, DataSpec(exclude_classes=(NFD,), order=("tea", "milk")))
    assert index.manifest.classes == ("tea", "milk")
    assert build_index(root, DataSpec(order=("milk", NFD, "tea"))).manifest.classes == ("milk", NFC, "tea")


def test_views_pair_across_forms_in_training_and_prediction(tree: Tree) -> None:
    sides = (("obverse", NFC), ("reverse", NFD))
    root = tree([f"{label}/{side}/{form}{i}.png" for label in "xy" for side, form in sides for i in range(3)])
    samples = read_source(root, DataSpec()).samples
    assert [len(s.views) for s in samples] == [2] * 6
    assert all((root / path).is_file() for s in samples for path in s.views.values())
    requests = find_requests(root, Expansion(("obverse", "reverse")))
    assert [len(r.views) for r in requests] == [2] * 6
    assert all(Path(str(path)).is_file() for r in requests for path in r.views.values())


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_finds_files_of_the_other_form(tree: Tree, tmp_path: Path, packed: bool) -> None:
    root = tree([f"bilder/{NFD}/{NFD}{i}.png" for i in range(4)])
    rows = "".join(f"bilder/{NFC}/{NFC}{i}.png,{(NFC, NFD, 'tea', 'tea')[i]}\n" for i in range(4))
    (root / "labels.csv").write_text(f"image,label\n{rows}", encoding="utf-8")
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    check = check_data(path, DataSpec(layout="table"), advisory=False)
    assert check.classes == {NFC: 2, "tea": 2}
    assert "2 classes" in check.summary
    assert [f.code for f in check.findings if f.severity == "error"] == []
    assert "unicode-forms" in {f.code for f in check.findings}


def test_letter_case_is_said_and_stays_apart(tree: Tree) -> None:
    root = tree([*(f"train/{label}/{i}.png" for label in ("Cat", "Dog") for i in range(4)),
                 *(f"val/{label}/{i}.png" for label in ("cat", "dog") for i in range(4))])  # fmt: skip
    index = build_index(root, DataSpec())
    assert index.manifest.classes == ("Cat", "Dog", "cat", "dog")
    alike = [f.message for f in index.findings if f.code == "classes-look-alike"]
    assert alike == [
        "the classes 'Cat' (4), 'cat' (4) differ only in letter case or spaces, and stay 2; rename one",
        "the classes 'Dog' (4), 'dog' (4) differ only in letter case or spaces, and stay 2; rename one",
    ]


def test_a_group_pattern_knows_both_forms(tree: Tree) -> None:
    root = tree(
        [f"{label}/{form}{i}_{n}.png" for label in "xy" for form in (NFC, NFD) for i in range(4) for n in (1, 2)]
    )
    index = build_index(root, DataSpec.model_validate({"split": {"group_by": {"pattern": f"({NFC}[0-9])_"}}}))
    assert len(set(index.manifest.samples.groups)) == 4
    assert None not in index.manifest.samples.groups


@pytest.mark.parametrize("stored", [NFC, NFD])
def test_a_json_index_finds_files_of_the_other_form(tree: Tree, stored: str) -> None:
    root = tree([f"chips/{stored}/{i}.png" for i in range(2)])
    for i, label in enumerate(("a", "b")):
        listed = json.dumps({"good": [f"/old/{NFC}/{i}.png"]})
        (root / f"index_{label}.json").write_text(listed, encoding="utf-8")
    samples = read_source(root, DataSpec(path_map={f"/old/{NFD}": f"chips/{NFC}"})).samples
    assert [s.views["image"] for s in samples] == [f"chips/{stored}/{i}.png" for i in range(2)]
