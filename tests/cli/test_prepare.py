"""`obverse prepare`: a manifest to look at, to edit and to train on; nobody's file is ever overwritten."""

import csv
import json
import shutil
from importlib.util import find_spec

import fsspec
import pytest


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_prepared_manifest_is_trained_on_as_it_is(obverse, classes, tiny, tree, tmp_path):
    data, out = classes(tmp_path / "pets", count=10), tmp_path / "pets.csv"
    before = tree(data)
    result = obverse("prepare", data, "--out", out, "--set", "data.order=[light, dark]")
    assert result.code == 0, result.err
    assert tree(data) == before
    rows = rows_of(out)
    counts = {s: sum(row["split"] == s for row in rows) for s in ("train", "val", "test")}
    last = next(line for line in result.out.splitlines() if line.startswith("all"))
    assert last.split()[1:] == [str(count) for count in counts.values()]
    assert {row["image"] for row in rows} == {f"pets/{row['id']}" for row in rows}
    for row in rows:  # an edit that no splitter would make
        if row["split"] == "test":
            row["split"] = "val"
    rows[0]["group"] = "mine"
    write_rows(out, rows)
    assert obverse("train", out, "--run", tmp_path / "run", *tiny).code == 0
    trained = rows_of(tmp_path / "run/manifest.csv")
    assert [(r["id"], r["split"], r["group"], r["digest"], r["image"]) for r in trained] == [
        (r["id"], r["split"], r["group"], r["digest"], r["image"]) for r in rows
    ]
    config = json.loads((tmp_path / "run/config.json").read_text(encoding="utf-8"))
    assert config["classes"] == ["light", "dark"]
    assert config["data"]["order"] == ["light", "dark"]
    assert obverse("evaluate", tmp_path / "run", "--split", "val").code == 0


def test_the_manifest_may_lie_anywhere(obverse, classes, tmp_path):
    data, out = classes(tmp_path / "pets", count=10), tmp_path / "elsewhere" / "m.csv"
    out.parent.mkdir()
    assert obverse("prepare", data, "--out", out).code == 0
    assert {row["image"] for row in rows_of(out)} == {str(data / row["id"]) for row in rows_of(out)}
    moved = tmp_path / "moved" / "m.csv"
    moved.parent.mkdir()
    shutil.copy(out, moved)
    again = moved.with_name("again.csv")
    assert obverse("prepare", moved, "--out", again).code == 0
    assert again.read_bytes() == moved.read_bytes()


def test_rows_that_are_added_without_a_split_get_one_and_the_others_keep_theirs(obverse, classes, tmp_path):
    data, out = classes(tmp_path / "pets", count=10), tmp_path / "m.csv"
    obverse("prepare", data, "--out", out)
    rows = rows_of(out)
    for row in rows[::3]:
        row["split"] = ""
    write_rows(out, rows)
    assert obverse("prepare", out, "--out", tmp_path / "n.csv").code == 0
    for before, after in zip(rows, rows_of(tmp_path / "n.csv"), strict=True):
        assert after["split"] in (("train", "val", "test") if before["split"] == "" else (before["split"],))


def test_a_picture_that_is_no_longer_the_same_is_named(obverse, refused, classes, tmp_path):
    data, out = classes(tmp_path / "pets", count=10), tmp_path / "m.csv"
    obverse("prepare", data, "--out", out)
    shutil.copy(data / "dark/p0.png", data / "dark/p1.png")
    refused(65, "'dark/p1.png' is not the picture that the manifest recorded", "train", out, "--run", tmp_path / "run")
    rows = rows_of(out)
    for row in rows:
        row["digest"] = ""
    write_rows(out, rows)
    assert obverse("prepare", out, "--out", tmp_path / "n.csv").code == 0


def test_nothing_that_exists_is_overwritten(obverse, refused, classes, tmp_path):
    data, out = classes(tmp_path / "pets", count=10), tmp_path / "m.csv"
    out.write_text("mine\n", encoding="utf-8")
    for more in ((), ("--force",)):
        refused(73, "is no manifest", "prepare", data, "--out", out, *more)
    assert out.read_text(encoding="utf-8") == "mine\n"
    out.unlink()
    assert obverse("prepare", data, "--out", out).code == 0
    out.write_text(out.read_text(encoding="utf-8").replace("train", "val", 1), encoding="utf-8")
    edited = out.read_bytes()
    refused(73, "--force replaces it", "prepare", data, "--out", out)
    assert out.read_bytes() == edited
    assert obverse("prepare", data, "--out", out, "--force").code == 0
    assert out.read_bytes() != edited
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_default_file_is_called_after_the_data(obverse, classes, tmp_path):
    assert obverse("prepare", classes(tmp_path / "pets", count=10)).code == 0
    assert (tmp_path / "work" / "pets-manifest.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--out", "m.txt"), 73, "end in .csv"),
        (("--out", "absent/m.csv"), 73, "is no folder"),
        (("--set", "optim.lr=1"), 2, "only fields of `data`"),
        (("--layout", "nonsense"), 2, "data.layout"),
        (("--layout", "cifar"), 65, "no CIFAR batches"),
    ],
)
def test_wrong_usage(refused, classes, tmp_path, arguments, code, words):
    data = classes(tmp_path / "pets")
    refused(code, words, "prepare", data, *arguments, untouched=tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("light,train", ",train", "label is empty"),
        ("light,train", "light,trian", "trian"),
        ("light/p0.png,", "dark/p0.png,", "occurs twice"),
        (",1\n", ",one\n", "give class 'light' one number"),
        (",1\n", ",0\n", "one number everywhere"),
    ],
)
def test_a_manifest_spoilt_by_hand_is_refused(obverse, refused, classes, tmp_path, old, new, words):
    out = tmp_path / "m.csv"
    obverse("prepare", classes(tmp_path / "pets", count=10), "--out", out, "--set", "data.order=[dark, light]")
    text = out.read_text(encoding="utf-8").replace("\r\n", "\n")
    assert old in text
    out.write_text(text.replace(old, new, 1), encoding="utf-8")
    refused(65, words, "train", out, "--run", tmp_path / "run")


def test_layout_is_an_option_of_train_too(refused, classes, tmp_path):
    data = classes(tmp_path / "pets")
    refused(65, "no view folders", "train", data, "--layout", "view-folders", "--run", tmp_path / "run")


def test_a_remote_folder_is_named_by_urls_and_what_is_missing_is_said(obverse, refused, classes, tmp_path):
    data = classes(tmp_path / "pets", count=10)
    for path in data.rglob("*.png"):
        fsspec.filesystem("memory").pipe(f"/prepared/{path.relative_to(data)}", path.read_bytes())
    out = tmp_path / "m.csv"
    result = obverse("prepare", "memory://prepared", "--out", out)
    assert result.code == 0, result.err
    assert {row["image"] for row in rows_of(out)} == {f"memory://prepared/{row['id']}" for row in rows_of(out)}
    assert obverse("prepare", out, "--out", tmp_path / "n.csv").code == 0
    refused(65, "does not exist", "prepare", "memory://nowhere/at/all")
    refused(65, "nothing is known to read nonsense://", "prepare", "nonsense://bucket")
    if find_spec("s3fs") is None:
        refused(69, "pip install s3fs", "train", "s3://bucket/pets", "--run", tmp_path / "run")
        assert not (tmp_path / "run").exists()
