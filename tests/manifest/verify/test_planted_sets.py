"""One planted fault per detector that looks at names, classes, pairs and copies: found, and nothing else is."""

from __future__ import annotations

import os
import shutil

import pytest

from obverse.manifest import build_index, read_source
from obverse.manifest.verify import scene_groups
from obverse.manifest.verify.copies.scenes import SCENE_PATTERN
from obverse.recipe import DataSpec, GroupBy, SplitSpec


def codes(found):
    return {code: sorted({finding.severity for finding in group}) for code, group in found.items()}


def test_hidden_and_system_files(clean, findings):
    for name in (".hidden.png", "Thumbs.db", "ant/.DS_Store", "bee/desktop.ini"):
        (clean / name).write_bytes(b"x")
    (clean / "__MACOSX").mkdir()
    found = findings(clean, layout="class-folders")
    assert codes(found) == {"hidden-file": ["note"]}
    expected = {".hidden.png", "Thumbs.db", "ant/.DS_Store", "bee/desktop.ini", "__MACOSX"}
    assert set(found["hidden-file"][0].paths) == expected


def test_other_files(clean, findings):
    (clean / "ant" / "notes.txt").write_text("x")
    assert [f.paths for f in findings(clean)["other-file"]] == [("ant/notes.txt",)]


def test_symlink_loop(clean, findings):
    (clean / "ant" / "again").symlink_to(clean, target_is_directory=True)
    (clean / "bee" / "self").symlink_to("self")
    found = findings(clean)
    assert codes(found) == {"symlink-loop": ["warning"]}
    assert found["symlink-loop"][0].paths == ("ant/again", "bee/self")


def test_a_link_aside_is_no_loop(clean, tmp_path, make_set, findings):
    other = make_set(tmp_path / "other", classes=("cat",))
    (clean / "dog").symlink_to(other / "cat", target_is_directory=True)
    assert "symlink-loop" not in findings(clean)


def test_case_clash(clean, draw, encoded, findings):
    (clean / "ant" / "00.PNG").write_bytes(encoded(draw(900)))
    found = findings(clean)
    assert codes(found) == {"case-clash": ["warning"]}
    assert found["case-clash"][0].paths == ("ant/00.PNG", "ant/00.png")


def test_case_clash_of_classes_is_said_once(clean, draw, encoded, findings):
    (clean / "Ant").mkdir()
    for number in range(6):
        (clean / "Ant" / f"0{number}.png").write_bytes(encoded(draw(900 + number)))
    assert [f.paths for f in findings(clean)["case-clash"]] == [("Ant", "ant")]


def test_unicode_clash(clean, draw, encoded, findings):
    for number, name in enumerate(("caf\u00e9.png", "cafe\u0301.png")):
        (clean / "ant" / name).write_bytes(encoded(draw(900 + number)))
    found = findings(clean)
    assert codes(found) == {"unicode-clash": ["warning"]}
    assert len(found["unicode-clash"][0].paths) == 2


def copy(root, source, target):
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / source, root / target)


def test_duplicate_within_a_class(clean, findings):
    copy(clean, "ant/00.png", "ant/50.png")
    found = findings(clean)
    assert codes(found) == {"duplicate-within-class": ["note"]}
    assert found["duplicate-within-class"][0].paths == ("ant/00.png", "ant/50.png")


def test_duplicate_under_two_labels(clean, findings):
    copy(clean, "ant/00.png", "bee/50.png")
    found = findings(clean)
    assert codes(found) == {"duplicate-across-labels": ["warning"]}
    assert found["duplicate-across-labels"][0].paths == ("ant/00.png", "bee/50.png")


@pytest.fixture
def splits(clean, tmp_path):
    root = tmp_path / "splits"
    for split in ("train", "test"):
        for path in clean.glob("*/*.png"):
            if (int(path.stem) < 8) == (split == "train"):
                target = root / split / path.relative_to(clean)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    return root


def test_duplicate_across_splits(splits, findings):
    assert findings(splits) == {}
    copy(splits, "train/ant/00.png", "test/ant/50.png")
    found = findings(splits)
    assert codes(found) == {"duplicate-across-splits": ["warning"]}
    assert set(found["duplicate-across-splits"][0].paths) == {"train/ant/00.png", "test/ant/50.png"}


def test_classes_that_differ_between_splits(splits, findings):
    shutil.rmtree(splits / "train" / "bee")
    for number in range(5):
        copy(splits, f"train/ant/0{number}.png", f"train/cat/{number}.png")
        (splits / f"train/ant/0{number}.png").unlink()
    found = findings(splits)["classes-differ"]
    assert [f.message.partition(" class(es) ")[0] for f in found] == ["train lacks 1", "test lacks 1"]
    assert [f.message.rpartition(": ")[2] for f in found] == ["bee", "cat"]


def test_same_picture_as_both_views(tmp_path, make_set, findings):
    root = make_set(tmp_path / "coins", views=("obverse", "reverse"))
    assert findings(root) == {}
    copy(root, "ant/obverse/00.png", "ant/reverse/00.png")
    found = findings(root)
    assert codes(found) == {"duplicate-view": ["warning"]}
    assert found["duplicate-view"][0].paths == ("ant/obverse/00.png", "ant/reverse/00.png")


def test_unpaired_view(tmp_path, make_set, findings):
    root = make_set(tmp_path / "coins", views=("obverse", "reverse"))
    (root / "ant" / "reverse" / "03.png").unlink()
    found = findings(root)
    assert codes(found) == {"unpaired-view": ["warning"]}
    assert (found["unpaired-view"][0].message, found["unpaired-view"][0].paths) == (
        "No matching reverse for 03.png", ("ant/obverse/03.png",))  # fmt: skip


def test_ambiguous_pair(tmp_path, make_set, draw, encoded, findings):
    root = make_set(tmp_path / "coins", views=("obverse", "reverse"))
    (root / "ant" / "reverse" / "03.jpg").write_bytes(encoded(draw(901), "JPEG"))
    found = findings(root)
    assert codes(found) == {"ambiguous-pair": ["error"]}
    assert set(found["ambiguous-pair"][0].paths) == {"ant/reverse/03.jpg", "ant/reverse/03.png"}
    assert len(found["ambiguous-pair"][0].digests) == 2


def test_small_class(tmp_path, make_set, findings):
    root = make_set(tmp_path / "data")
    for number in range(2):
        os.makedirs(root / "cat", exist_ok=True)
        (root / "ant" / f"0{number}.png").rename(root / "cat" / f"{number}.png")
    found = findings(root)
    assert codes(found) == {"small-class": ["warning"]}
    assert found["small-class"][0].message.startswith("class 'cat' has 2 sample(s)")


def test_imbalance(tmp_path, make_set, findings):
    root = make_set(make_set(tmp_path / "data", classes=("ant",), per_class=63), classes=("cat", "bee"), per_class=3)
    shutil.rmtree(root / "cat")
    found = findings(root)
    assert codes(found) == {"imbalance": ["warning"]}
    assert found["imbalance"][0].message == "class 'ant' has 63 samples and 'bee' has 3, more than 20 to 1"


@pytest.mark.parametrize(
    ("classes", "words", "severity"),
    [
        (("G04", "VF20", "XF details"), "but not XF details (no place on the Sheldon scale)", "warning"),
        (("G04", "VF20", "unknown"), "but not unknown: classes", "warning"),
        (("MS60", "MS65", "PR65"), "business and proof strikes are mixed", "warning"),
        (("XF40", "EF40", "VF20"), "two class names are the same grade", "warning"),
        (("0", "1", "2"), "bare numbers", "note"),
    ],
)
def test_class_order(tmp_path, make_set, findings, classes, words, severity):
    root = make_set(tmp_path / "data", classes=classes)
    found = findings(root)
    assert codes(found) == {"class-order": [severity]}
    assert words in found["class-order"][0].message
    assert "class-order" not in findings(root, order=classes)
    assert "class-order" not in findings(root, order="none")


def test_an_order_that_is_derived_is_no_finding(tmp_path, make_set, findings):
    assert findings(make_set(tmp_path / "data", classes=("MS65", "G04", "AU50"))) == {}


def rename(root, name_of):
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(name_of(path.parent.name, int(path.stem))))
    return root


def test_names_that_share_a_scene(tmp_path, make_set, findings):
    root = rename(make_set(tmp_path / "data"), lambda name, number: f"photo{number // 2}_{name}{number % 2}.png")
    found = findings(root)
    assert codes(found) == {"scene-prefix": ["warning"]}
    assert found["scene-prefix"][0].message.startswith("24 of 24 names share a prefix with others, in 12 groups")
    assert found["scene-prefix"][0].message.endswith(f"data.split.group_by={{pattern: '{SCENE_PATTERN}'}}")
    groups = scene_groups(read_source(root, DataSpec()).samples)
    assert groups["ant/photo0_ant1.png"] == groups["ant/photo0_ant0.png"] != groups["ant/photo1_ant0.png"]
    spec = DataSpec(split=SplitSpec(group_by=GroupBy(pattern=SCENE_PATTERN)))
    assert {s.id: s.group for s in build_index(root, spec).manifest.samples} == groups


@pytest.mark.parametrize(
    "name_of",
    [
        lambda name, number: f"coin{number:04}.png",
        lambda name, number: f"{name}_{number}.png",
        lambda name, number: f"{ord(name[0]):04}_{number:02}.png",
        lambda name, number: f"IMG_{number + 100 * ord(name[0])}.png",
    ],
    ids=["numbered", "class and number", "number of the class", "camera"],
)
def test_names_that_are_only_numbered(tmp_path, make_set, findings, name_of):
    assert findings(rename(make_set(tmp_path / "data"), name_of)) == {}


def test_a_picture_that_changed_since_it_was_prepared(clean, draw, encoded, findings, tmp_path):
    build_index(clean, DataSpec()).manifest.write(tmp_path / "manifest.csv")
    (tmp_path / "manifest.csv").rename(clean / "manifest.csv")
    assert "changed" not in findings(clean / "manifest.csv")
    (clean / "ant" / "03.png").write_bytes(encoded(draw(901)))
    found = findings(clean / "manifest.csv")["changed"]
    assert [(f.severity, f.paths) for f in found] == [("error", ("ant/03.png",))]
