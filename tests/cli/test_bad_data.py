"""Data that cannot be trained on: one sentence, exit 65, and the user's folder as it was."""

import shutil

import pytest


@pytest.fixture
def train(refused, tmp_path):
    """A refused training; afterwards there is no trace of a run."""

    def check(words, data, *more, code=65):
        data_folder = data if len(data.name) < 200 and data.is_dir() else None
        result = refused(code, words, "train", data, "--run", tmp_path / "runs" / "new", *more, untouched=data_folder)
        assert not (tmp_path / "runs").exists()
        return result

    return check


def test_an_empty_folder(train, tmp_path):
    (tmp_path / "data").mkdir()
    train("no pictures below", tmp_path / "data")


def test_a_missing_path(train, tmp_path):
    train("does not exist", tmp_path / "absent")


def test_a_name_too_long_for_the_file_system(train, tmp_path):
    train("cannot be opened", tmp_path / ("n" * 300))


def test_one_class(train, classes, tmp_path):
    train("Need at least 2 classes", classes(tmp_path / "data", ("only",)))


def test_too_few_pictures(train, classes, tmp_path):
    train("more pictures", classes(tmp_path / "data", count=1))


def test_a_file_that_is_no_table(train, pictures, tmp_path):
    (picture, *_) = pictures(tmp_path / "data")
    train("ends in .csv", picture)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows"),
        ("label,image\n", "has no rows"),
        ("name,image\nx,a.png\n", "no column `label`"),
        ("label,number\nx,1\n", "no column with picture files"),
        ("label,image\nx,absent.png\ny,absent2.png\n", "'absent.png'"),
        ("label,image\nx,a.png,too many\n", "number of cells"),
        ("label,image,split\nx,a.png,elsewhere\n", "elsewhere"),
    ],
)
def test_a_table_that_cannot_be_used(train, tmp_path, text, words):
    table = tmp_path / "table.csv"
    table.write_text(text, encoding="utf-8")
    train(words, table)
    assert table.read_text(encoding="utf-8") == text


def test_a_table_of_bytes(train, tmp_path):
    (tmp_path / "table.csv").write_bytes(bytes(range(256)))
    train("is no text in UTF-8", tmp_path / "table.csv")


def test_an_unreadable_picture_is_named(train, classes, tmp_path):
    data = classes(tmp_path / "data")
    (data / "dark" / "bad.jpg").write_text("not a picture", encoding="utf-8")
    result = train("'dark/bad.jpg'", data)
    assert "data.on_bad_picture=quarantine" in result.err


def test_quarantine_trains_without_it_and_says_so(obverse, classes, tiny, tree, tmp_path):
    data = classes(tmp_path / "data")
    (data / "dark" / "bad.jpg").write_text("not a picture", encoding="utf-8")
    before = tree(data)
    result = obverse("train", data, "--run", tmp_path / "run", "--set", "data.on_bad_picture=quarantine", *tiny)
    assert result.code == 0, result.err
    assert "('dark/bad.jpg')" in result.err
    assert "bad.jpg" not in (tmp_path / "run/manifest.csv").read_text(encoding="utf-8")
    assert "bad.jpg" in (tmp_path / "run/data_report.json").read_text(encoding="utf-8")
    assert tree(data) == before


def test_quarantine_stops_above_its_limit(train, classes, tmp_path):
    data = classes(tmp_path / "data")
    for number in range(2):
        (data / "dark" / f"bad{number}.jpg").write_bytes(b"")
    train("more than quarantine allows", data, "--set", "data.on_bad_picture=quarantine")


def test_an_unpaired_view_is_a_warning(obverse, coins, tiny, tree, tmp_path):
    data = tmp_path / "coins"
    shutil.copytree(coins, data)
    gone = sorted(data.glob("*/reverse/*"))[0]
    gone.unlink()
    before = tree(data)
    result = obverse("train", data, "--run", tmp_path / "run", *tiny)
    assert result.code == 0, result.err
    assert f"Warning: No matching reverse for {gone.name} " in result.err
    assert tree(data) == before


def test_a_picture_that_vanishes_is_named_by_evaluate(obverse, refused, classes, tiny, tmp_path):
    data = classes(tmp_path / "data")
    assert obverse("train", data, "--run", tmp_path / "run", *tiny).code == 0
    shutil.rmtree(data / "light")
    refused(65, "light", "evaluate", tmp_path / "run")
    shutil.rmtree(data)
    refused(65, "no longer there", "evaluate", tmp_path / "run")


def test_evaluate_on_classes_the_model_does_not_know(refused, shapes_run, classes, tmp_path):
    data = classes(tmp_path / "other")
    refused(65, "does not know the class(es) dark", "evaluate", shapes_run, "--data", data, untouched=shapes_run)
