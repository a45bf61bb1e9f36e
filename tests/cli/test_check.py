"""`obverse check`: a table, two files, exit 65 on an error, and nothing of the user's changed."""

import json
import shutil

import pytest


def test_a_sound_set(obverse, classes, tree, tmp_path):
    data = classes(tmp_path / "data", count=12)
    before = tree(data)
    result = obverse("check", data, "--out", tmp_path / "out")
    assert result.code == 0, result.err
    assert "24 samples, 24 pictures: 0 errors" in result.out
    assert tree(data) == before
    assert sorted(tree(tmp_path / "out")) == ["check.html", "check.json"]


def test_errors_are_listed_and_end_with_65(obverse, classes, tree, tmp_path):
    data = classes(tmp_path / "data")
    for number in range(3):
        (data / "dark" / f"bad{number}.jpg").write_bytes(b"")
    before = tree(data)
    result = obverse("check", data)
    assert result.code == 65
    assert "empty-file" in result.out
    assert tree(data) == before
    found = json.loads((tmp_path / "work" / "check.json").read_text())
    assert [f["paths"] for f in found["findings"] if f["code"] == "empty-file"] == [
        [f"dark/bad{number}.jpg"] for number in range(3)
    ]


def test_generated_sets_are_clean(obverse, coins, shapes, tmp_path):
    for data in (coins, shapes):
        result = obverse("check", data, "--out", tmp_path / "out")
        assert result.code == 0, result.err
        assert ": 0 errors, 0 warnings" in result.out, result.out


def test_settings_reach_the_check(obverse, coins, tmp_path):
    shutil.rmtree(coins.parent / "copy", ignore_errors=True)
    result = obverse("check", coins, "--layout", "class-folders", "--set", "data.order=none", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "out/check.json").read_text())["views"] == ["image"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("absent",), 65, "does not exist"),
        (("DATA", "--set", "optim.lr=1"), 2, "only fields of `data`"),
        (("DATA", "--layout", "spiral"), 2, "layout"),
        (("DATA", "--out", "DATA/dark/p0.png"), 73, "p0.png"),
    ],
)
def test_what_cannot_be_done(refused, classes, tmp_path, arguments, code, words):
    data = classes(tmp_path / "data")
    refused(code, words, "check", *(a.replace("DATA", str(data)) for a in arguments), untouched=data)


def test_a_file_of_another_origin_is_kept(refused, classes, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "check.json").write_text("{}")
    data = classes(tmp_path / "data")
    refused(73, "not a report", "check", data, "--out", tmp_path / "out", untouched=tmp_path / "out")


def test_preview_draws_training_pictures_beside_the_report(obverse, classes, tree, tmp_path):
    data = classes(tmp_path / "data", count=12)
    arguments = ("--out", tmp_path / "out", "--set", "model.backbone={kind: convnet, widths: [4, 8]}")
    result = obverse("check", data, "--preview", *arguments, "--set", "augment.policy=rand")
    assert result.code == 0, result.err
    assert sorted(tree(tmp_path / "out")) == ["check.html", "check.json", "preview.png"]
    assert "augmentation rand" in result.out


def test_no_preview_of_data_that_cannot_be_trained_on(obverse, classes, tree, tmp_path):
    data = classes(tmp_path / "data")
    (data / "dark" / "bad.jpg").write_bytes(b"")
    result = obverse("check", data, "--preview", "--out", tmp_path / "out")
    assert result.code == 65
    assert "preview: none, because nothing can be trained on this data" in result.out
    assert sorted(tree(tmp_path / "out")) == ["check.html", "check.json"]


def test_a_recipe_belongs_to_the_preview(refused, classes, tmp_path):
    refused(2, "only fields of `data` matter", "check", classes(tmp_path / "data"), "--recipe", "finetune")
