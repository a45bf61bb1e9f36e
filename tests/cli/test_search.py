"""`obverse search`: the encoder's nearest pictures."""

import csv
import io
import json
import os
import shutil

import numpy as np

import obverse as package


def test_a_copy_is_the_nearest_and_a_picture_does_not_find_itself(obverse, shapes, shapes_run, tmp_path):
    query = sorted((shapes / "star").iterdir())[0]
    copy = tmp_path / "among" / "copy.png"
    copy.parent.mkdir()
    shutil.copyfile(query, copy)
    result = obverse(
        "search", shapes_run, query, "--among", shapes / "star", "--among", copy, "--top-k", 3, "--format", "json"
    )
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    assert row["id"] == str(query)
    names = [name for name, _ in row["found"]]
    assert names[0] == str(copy)
    assert str(query) not in names
    assert len(names) == 3
    a, b = package.load(shapes_run).embed([query, names[1]])
    assert abs(row["found"][1][1] - a @ b / np.linalg.norm(a) / np.linalg.norm(b)) < 1e-5


def test_other_spellings_of_its_path_are_the_picture_itself(obverse, shapes, shapes_run, tmp_path, monkeypatch):
    """Relative, through a parent folder, a link to the folder, a link to the file: one file, found by none."""
    query = sorted((shapes / "star").iterdir())[0]
    (tmp_path / "linked").symlink_to(shapes / "star")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "other name.png").symlink_to(query)
    monkeypatch.chdir(shapes.parent)
    places = ("shapes/star", f"shapes/../{shapes.name}/star", tmp_path / "linked", tmp_path / "one")
    among = [part for place in places for part in ("--among", place)]
    result = obverse("search", shapes_run, query, *among, "--top-k", 100, "--format", "json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    names = [os.path.realpath(name) for name, _ in row["found"]]
    assert sorted(names) == sorted(str(path.resolve()) for path in (shapes / "star").iterdir() if path != query)


def test_table_and_csv_say_the_same(obverse, shapes, shapes_run):
    arguments = ("search", shapes_run, shapes / "sample.jpg", "--among", shapes / "star", "--top-k", 2)
    lines = obverse(*arguments).out.splitlines()
    rows = list(csv.DictReader(io.StringIO(obverse(*arguments, "--format", "csv").out)))
    assert lines[0] == str(shapes / "sample.jpg")
    assert [line.split()[1] for line in lines[1:]] == [row["found"] for row in rows]
    assert [row["rank"] for row in rows] == ["1", "2"]


def test_what_is_missing_is_said(refused, obverse, shapes, shapes_run):
    refused(65, "does not exist", "search", shapes_run, shapes / "sample.jpg", "--among", "nowhere")
    assert obverse("search", shapes_run, shapes / "sample.jpg").code == 2


def test_what_cannot_be_read_is_left_out_and_said(obverse, refused, shapes, shapes_run, tmp_path):
    query, *others = sorted((shapes / "star").iterdir())[:3]
    (tmp_path / "a.png").write_text("no picture", encoding="utf-8")
    found = obverse("search", shapes_run, query, "--among", others[0], "--among", tmp_path, "--among", others[1])
    assert found.code == 65
    assert {line.split()[1] for line in found.out.splitlines()[1:]} == {str(path) for path in others}
    assert "1 of --among could not be read; the first: " in found.err
    assert "a.png" in found.err
    refused(65, "nothing to look among can be read; the first: ", "search", shapes_run, query, "--among", tmp_path)
    refused(65, "a.png", "search", shapes_run, tmp_path / "a.png", "--among", shapes / "star")
