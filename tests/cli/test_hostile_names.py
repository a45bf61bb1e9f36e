"""Names of classes and files may hold anything that the file system or a table allows."""

import csv
import json
import os
import shutil

import pytest

import obverse as package

FOLDER_NAMES = (
    "two words",
    "\N{FIRST QUARTER MOON}\N{ZERO WIDTH JOINER}\N{COIN}",
    "n" * 255,
    "\N{COIN}" * 63,
    "$x^2$ {braces} <b>&amp;|`",
    "line\nbreak",
    "-dash",
    "no",
)


def test_class_folders(obverse, classes, tiny, tree, tmp_path):
    data, run = classes(tmp_path / "data", FOLDER_NAMES, count=4), tmp_path / "run"
    before = tree(data)
    result = obverse("train", data, "--run", run, *tiny)
    assert result.code == 0, result.err
    assert tree(data) == before
    _check_report(run, FOLDER_NAMES)
    assert obverse("evaluate", run, "--split", "val").code == 0
    picture = data / FOLDER_NAMES[1] / "p0.png"
    for form in ("table", "csv", "json"):
        assert obverse("predict", run, picture, "--top-k", 99, "--format", form).code == 0
    assert not [line for line in obverse("predict", run, picture, "--top-k", 99).out.splitlines() if line == "break"]


def test_labels_of_a_table(obverse, pictures, tiny, tmp_path):
    labels = ("a/b", "l" * 300, '"quoted", and; more', "ünïcödé")
    rows = []
    for number, label in enumerate(labels):
        for path in pictures(tmp_path / "t" / str(number), count=4, brightness=40 + 50 * number):
            rows.append((label, f"{number}/{path.name}"))
    table = tmp_path / "t" / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("label", "image"), *rows])
    result = obverse("train", table, "--run", tmp_path / "run", *tiny)
    assert result.code == 0, result.err
    _check_report(tmp_path / "run", labels)


def _check_report(run, names):
    folder = run / "evaluation" / "test"
    assert set(json.loads((folder / "names.json").read_text(encoding="utf-8"))["classes"]) == set(names)
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        assert {row["class"] for row in csv.DictReader(file)} == set(names)
    for name in ("report.html", "summary.md", "confusion_matrix.png"):
        assert (folder / name).stat().st_size > 0
    assert set(package.load(run).classes) == set(names)


def test_a_path_with_a_newline(obverse, classes, tiny, tmp_path):
    data, run = classes(tmp_path / "new\nline"), tmp_path / "r\nun"
    odd = data / "dark" / "pic\nture\x1b[31m.png"
    (data / "dark" / "p0.png").rename(odd)
    result = obverse("train", data, "--run", run, *tiny)
    assert result.code == 0, result.err
    assert "\\nun" in result.out
    assert all(line.startswith(("test accuracy", "report: ", "predict: ")) for line in result.out.splitlines())
    result = obverse("predict", run, odd, "--top-k", 1)
    assert result.code == 0, result.err
    path, top, *decisions, note = result.out.splitlines()
    assert path.endswith("pic\\nture\\x1b[31m.png")
    assert all(line.startswith("  ") for line in (top, *decisions))
    assert note.startswith("(")
    assert len(obverse("predict", run, odd, "--format", "csv").out.splitlines()) == 2
    assert json.loads(obverse("predict", run, odd, "--format", "json").out)[0]["id"] == str(odd)
    missing = obverse("predict", run, tmp_path / "no\nthing.png")
    assert missing.code == 65
    assert len(missing.err.splitlines()) == 1


def test_default_run_names_fit_the_file_system(obverse, classes, tiny, tmp_path):
    data = classes(tmp_path / ("\N{COIN}" * 60))
    result = obverse("train", data, *tiny)
    assert result.code == 0, result.err
    (run,) = (tmp_path / "work" / "runs").iterdir()
    assert run.name.startswith("\N{COIN}" * 20)


NO_UTF8 = os.fsdecode(b"caf\xe9")


def test_a_picture_whose_name_is_no_utf8(obverse, classes, tiny, tmp_path):
    data, run = classes(tmp_path / "data"), tmp_path / "run"
    odd = data / "light" / f"{NO_UTF8}.png"
    _rename(data / "light" / "p0.png", odd)
    result = obverse("train", data, "--run", run, *tiny)
    assert result.code == 0, result.err
    (run / "training_log.json").unlink()
    result = obverse("train", "--run", run, "--resume")
    assert result.code == 0, result.err
    assert "caf\\udce9.png" in obverse("predict", run, odd).out


def test_a_class_whose_name_is_no_utf8(obverse, classes, tiny, tmp_path):
    data, run = classes(tmp_path / "data"), tmp_path / "run"
    _rename(data / "light", data / NO_UTF8)
    result = obverse("train", data, "--run", run, *tiny)
    assert result.code == 0, result.err
    assert NO_UTF8 in package.load(run).classes


def _rename(old, new):
    try:
        shutil.move(old, new)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
