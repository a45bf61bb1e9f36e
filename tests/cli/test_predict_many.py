"""Many pictures at once: what cannot be read is a row, the rest is answered; tables and lists; safe rows."""

import csv
import io
import json
import os
import shutil
import socket

import pytest

import obverse as package


@pytest.fixture
def mixed(shapes, tmp_path):
    """p1, p2, p10 are pictures, p3 is none."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    pictures = sorted(shapes.glob("*/*.png"))
    for number, picture in zip((1, 2, 10), pictures[::7], strict=False):
        shutil.copy(picture, folder / f"p{number}.png")
    (folder / "p3.png").write_text("no picture", encoding="utf-8")
    return folder


def rows_of(result):
    return list(csv.DictReader(io.StringIO(result.out)))


def test_a_csv_has_a_row_for_everything_in_the_order_of_people(obverse, shapes_run, mixed):
    result = obverse("predict", shapes_run, mixed, "--format", "csv", "--top-k", 1)
    assert result.code == 65
    assert "1 of 4 without an answer; the first: " in result.err
    rows = rows_of(result)
    assert [row["id"] for row in rows] == [str(mixed / f"p{number}.png") for number in (1, 2, 3, 10)]
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert "is unusable" in rows[2]["error"]
    assert (rows[2]["class_1"], rows[2]["probability_1"]) == ("", "")


def test_the_answers_are_those_of_the_strict_way(obverse, shapes_run, mixed):
    result = obverse("predict", shapes_run, mixed, mixed / "absent.png", "--format", "json")
    assert result.code == 65
    rows = json.loads(result.out)
    predictor = package.load(shapes_run)
    good = [mixed / f"p{number}.png" for number in (1, 2, 10)]
    expected = {str(path): answer for path, answer in zip(good, predictor.predict(good), strict=True)}
    assert [("error" in row) for row in rows] == [False, False, True, False, True]
    for row in rows:
        if "error" not in row:
            assert row["label"] == expected[row["id"]].label
            assert row["probability"] == pytest.approx(expected[row["id"]].probability, abs=1e-6)
    with pytest.raises(package.errors.DataError, match=r"p3\.png' is unusable"):
        predictor.predict(mixed)


def test_an_address_is_fetched_only_by_option(obverse, shapes_run, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but not listening: a connection is refused
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/coin.png"
        refused, tried = (obverse("predict", shapes_run, address, *option) for option in ((), ("--allow-urls",)))
    assert refused.code == tried.code == 65
    assert "--allow-urls" in refused.err
    assert f"{address}: it cannot be fetched" in tried.err


def test_nothing_on_the_standard_input_is_said(refused, shapes_run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    refused(2, "standard input holds no paths", "predict", shapes_run, "-")


def test_a_closed_standard_input_is_said(refused, shapes_run, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    refused(2, "standard input is closed", "predict", shapes_run, "-")


def test_any_name_can_stand_on_the_standard_input(obverse, shapes_run, mixed, monkeypatch):
    name = os.fsencode(mixed / "p") + b"\xff.png"
    os.rename(mixed / "p1.png", name)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(name + b"\n"), encoding="utf-8"))
    result = obverse("predict", shapes_run, "-", "--format", "csv")
    assert result.code == 0, result.err
    assert [row["id"] for row in rows_of(result)] == [f"{mixed}/p\\udcff.png"]


def test_answers_come_batch_by_batch(shapes_run, mixed):
    seen = []
    answers = package.load(shapes_run).predict_each(mixed, batch_size=2, progress=lambda *told: seen.append(told))
    assert [next(answers).id for _ in range(2)] == [str(mixed / "p1.png"), str(mixed / "p2.png")]
    assert seen == []
    assert isinstance(next(answers), package.Failure)
    assert seen == [(2, 4)]
    assert len(list(answers)) == 1
    assert seen == [(2, 4), (4, 4)]


def test_a_table_names_what_fails(obverse, shapes_run, mixed):
    shown = obverse("predict", shapes_run, mixed / "p1.png", mixed / "p3.png")
    assert shown.code == 65
    assert f"{mixed / 'p3.png'}\n  no answer: " in shown.out
    assert shown.out.endswith("(percentages are calibrated on val)\n")


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.jsonl"])
def test_a_list_is_input(name, obverse, shapes_run, mixed, tmp_path, monkeypatch):
    names = ["p10.png", "p1.png", "absent.png"]
    text = {
        "list.txt": "\n".join(["\ufeffp10.png", "", *names[1:]]),
        "list.csv": "\n".join(["note,file", *(f"x,{name}" for name in names)]),
        "list.jsonl": "\n".join(json.dumps({"image": name}) for name in names),
    }
    (mixed / name).write_text(text[name], encoding="utf-8")
    result = obverse("predict", shapes_run, mixed / name, "--format", "csv")
    assert result.code == 65
    rows = rows_of(result)
    assert [row["id"] for row in rows] == names
    alone = rows_of(obverse("predict", shapes_run, mixed / "p10.png", "--format", "csv"))
    assert rows[0]["class_1"] == alone[0]["class_1"]
    assert [bool(row["error"]) for row in rows] == [False, False, True]


def test_a_text_list_may_be_relative_to_where_one_is(obverse, shapes_run, mixed, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/list.txt").write_text("mixed/p1.png\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert obverse("predict", shapes_run, "elsewhere/list.txt").code == 0
    (tmp_path / "elsewhere/empty.txt").write_text("\n", encoding="utf-8")
    assert "names no pictures" in obverse("predict", shapes_run, "elsewhere/empty.txt").err


def test_paths_from_stdin_patterns_and_python_agree(obverse, shapes_run, mixed, monkeypatch):
    (mixed / "p3.png").unlink()
    names = [str(mixed / f"p{number}.png") for number in (1, 2, 10)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([names[0], "", *names[1:]])))
    expected = obverse("predict", shapes_run, *names, "--format", "csv")
    assert expected.code == 0
    assert obverse("predict", shapes_run, "-", "--format", "csv").out == expected.out
    assert obverse("predict", shapes_run, mixed / "p*.png", "--format", "csv").out == expected.out
    answers = package.load(shapes_run).predict(str(mixed / "p*.png"))
    assert [(a.id, a.label, f"{a.probability:.6f}") for a in answers] == [
        (row["id"], row["class_1"], row["probability_1"]) for row in rows_of(expected)
    ]


def test_a_table_of_two_views_and_a_column(obverse, graded_run, coins, tmp_path):
    front, back = next(coins.glob("*/obverse/*")), next(coins.glob("*/reverse/*"))
    lines = [
        "id,Obverse,reverse,year",
        f"both,{front},{back},1905",
        f"one,{front},,",
        "none,,,1900",
        f"odd,{front},,old",
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    result = obverse("predict", graded_run, tmp_path / "t.csv", "--format", "json")
    both, one, none, odd = json.loads(result.out)
    assert (both["id"], set(both["by_view"]), set(one["by_view"])) == ("both", {"obverse", "reverse"}, {"obverse"})
    command = ("--view", f"obverse={front}", "--view", f"reverse={back}", "--column", "year=1905", "--format", "json")
    assert json.loads(obverse("predict", graded_run, *command).out)[0]["top"] == [
        {"label": top["label"], "probability": pytest.approx(top["probability"], abs=1e-6)} for top in both["top"]
    ]
    assert none["error"] == "it names no picture"
    assert "no number" in odd["error"]


def test_a_manifest_of_a_run_is_input(obverse, shapes_run):
    rows = rows_of(obverse("predict", shapes_run, shapes_run / "manifest.csv", "--format", "csv"))
    assert len(rows) == 60
    assert not any(row["error"] for row in rows)


def test_a_list_that_does_not_fit_is_said(refused, shapes_run, coins_run, tmp_path):
    (tmp_path / "t.csv").write_text("front,back\na.png,b.png\n", encoding="utf-8")
    refused(65, "the columns with pictures are front, back, and this model looks at image", "predict", shapes_run,
            tmp_path / "t.csv")  # fmt: skip
    (tmp_path / "n.csv").write_text("name\nx\n", encoding="utf-8")
    refused(65, "no column with picture files", "predict", shapes_run, tmp_path / "n.csv")
    (tmp_path / "l.txt").write_text("a.png\n", encoding="utf-8")
    refused(65, "this model looks at obverse, reverse", "predict", coins_run, tmp_path / "l.txt")


@pytest.mark.skipif(os.name == "nt", reason="such names do not exist there")
def test_no_name_reaches_the_terminal_or_a_spreadsheet_as_a_command(obverse, shapes, shapes_run, tmp_path, monkeypatch):
    folder = tmp_path / "odd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("\x1b[31mred.png", "=1+1.png", "+a.png", "@b.png", "-c.png"):
        shutil.copy(shapes / "sample.jpg", folder / name)
    names = ["\x1b[31mred.png", "=1+1.png", "+a.png", "@b.png"]
    raw = obverse("predict", shapes_run, *names, "--format", "csv")
    assert "\x1b" not in raw.out
    assert [row["id"] for row in rows_of(raw)] == ["\\x1b[31mred.png", *names[1:]]
    safe = obverse("predict", shapes_run, *names, "--format", "csv", "--spreadsheet")
    assert [row["id"] for row in rows_of(safe)[1:]] == ["'=1+1.png", "'+a.png", "'@b.png"]
    found = obverse("search", shapes_run, "=1+1.png", "--among", folder, "--format", "csv", "--spreadsheet")
    assert {row["id"] for row in rows_of(found)} == {"'=1+1.png"}
    assert all(float(row["cosine"]) <= 1.00001 for row in rows_of(found))
    assert obverse("predict", shapes_run, *names, "--spreadsheet").code == 2


def test_class_names_are_safe_too():
    from obverse.inference import Rows, csv_line

    labels = (("=x\x1b[0m", 0.5),)
    columns = ("id", "class_1", "probability_1", "confidence", "decision", "reason", "error")
    cells = Rows(columns, (False,) * 7).cells(package.Prediction("a", labels, labels))
    assert csv_line(cells, spreadsheet=True) == "a,'=x\\x1b[0m,0.500000,,,,\n"


def test_a_broken_archive_and_a_link_to_itself_cost_nobody_else_the_answer(obverse, shapes_run, mixed, tmp_path):
    (mixed / "p3.png").unlink()
    (mixed / "itself").symlink_to("itself")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    result = obverse("predict", shapes_run, tmp_path / "broken.zip", mixed, "--format", "csv")
    assert result.code == 65
    rows = rows_of(result)
    assert [bool(row["error"]) for row in rows] == [True, False, False, False]
    assert "is no zip or tar archive" in rows[0]["error"]
