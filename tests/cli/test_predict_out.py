"""`obverse predict --out`: the rows that are printed otherwise, in a file, and part by part."""

import json

import pytest


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, shapes):
    """Eighteen pictures and a text with such a name."""
    folder = tmp_path_factory.mktemp("mixed")
    for number, picture in enumerate(sorted(shapes.glob("*/*.png"))[:18]):
        (folder / f"=p{number}.png").write_bytes(picture.read_bytes())
    (folder / "=p3.png").write_text("no picture", encoding="utf-8")
    return folder


def test_the_file_has_the_rows_that_are_printed(obverse, refused, shapes_run, mixed, tmp_path):
    for options, name in (
        ((), "r.csv"),
        (("--spreadsheet",), "safe.csv"),
        (("--top-k", 1), "one.csv"),
        (("--similar", 1), "s.csv"),
    ):
        shown = obverse("predict", shapes_run, mixed, "--format", "csv", *options)
        written = obverse("predict", shapes_run, mixed, "--out", tmp_path / name, *options)
        assert written.code == shown.code == 65
        assert written.out == f"{tmp_path / name}: 18 rows\n"
        assert "1 of 18 without an answer; the first: " in written.err
        assert (tmp_path / name).read_text() == shown.out
    shown = json.loads(obverse("predict", shapes_run, mixed, "--format", "json").out)
    obverse("predict", shapes_run, mixed, "--out", tmp_path / "r.jsonl")
    assert [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()] == shown
    refused(
        73, "r.csv' is there already", "predict", shapes_run, mixed, "--out", tmp_path / "r.csv", untouched=tmp_path
    )
    refused(2, "ending of the file", "predict", shapes_run, mixed, "--out", tmp_path / "x.csv", "--format", "csv")
    refused(2, "only a .csv", "predict", shapes_run, mixed, "--out", tmp_path / "x.jsonl", "--spreadsheet")


def test_an_interrupted_command_says_how_to_go_on(obverse, shapes_run, mixed, tmp_path, monkeypatch):
    from obverse.inference import Predictor

    path, answers = tmp_path / "r.csv", Predictor.answers

    def interrupted(self, *args, **options):
        yield next(answers(self, *args, **options))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "answers", interrupted)
        stopped = obverse("predict", shapes_run, mixed, "--out", path)
    assert stopped.code == 130
    assert "16 of 18 rows are in" in stopped.err
    assert "the same command continues them" in stopped.err
    assert (
        obverse("predict", shapes_run, mixed, "--out", path).out
        == f"{path}: 18 rows, 16 of them by an earlier command\n"
    )
    assert path.read_text() == obverse("predict", shapes_run, mixed, "--format", "csv").out


def test_shards_are_printed_too(obverse, refused, shapes_run, mixed):
    whole = obverse("predict", shapes_run, mixed, "--format", "csv").out.splitlines()
    parts = [obverse("predict", shapes_run, mixed, "--format", "csv", "--shard", f"{n}/2").out for n in (1, 2)]
    assert [line for part in parts for line in part.splitlines()[1:]] == whole[1:]
    assert obverse("predict", shapes_run, mixed / "=p1.png", "--shard", "1/2", "--format", "json").out == "[]\n"
    refused(2, "--shard 3/2: write it as NUMBER/COUNT", "predict", shapes_run, mixed, "--shard", "3/2")
