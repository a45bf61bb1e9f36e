"""Arguments of a wrong kind: one sentence each, before anything is read or written."""

import numpy as np
import pytest
from typer.testing import CliRunner

import obverse
from obverse.cli.main import app
from obverse.recipe import load_recipe

TRAIN = [
    ({"recipe": None}, "a recipe is the name .* not NoneType"),
    ({"recipe": {"optim": {}}}, "a recipe is the name .* not dict"),
    ({"settings": ["optim.lr=1"]}, "write a mapping such as"),
    ({"settings": "optim.lr=1"}, "write a mapping such as"),
    ({"model": 3}, "--model 3: write a name"),
    ({"track": 3}, "--track 3: write a name"),
    ({"run": "a\0b"}, "a path cannot hold a null character"),
    ({"run": ""}, "run: the path is empty"),
    ({"run": 3}, "run must be a path, not 3"),
    ({"data": ""}, "data: the path is empty"),
    ({"data": None}, "data must be a path, not None"),
    ({"more_epochs": 0}, "--more-epochs 0: write a whole number of at least 1"),
]


@pytest.mark.parametrize(("options", "words"), TRAIN)
def test_train(tmp_path, options, words):
    with pytest.raises(obverse.ObverseError, match=words) as caught:
        obverse.train(**{"data": tmp_path} | options)
    assert caught.value.exit_code == 2


CALLS = [
    (lambda: obverse.load("x", device=None), "device must be text"),
    (lambda: obverse.load(""), "model: the path is empty"),
    (lambda: obverse.compare(["a", "b"]), "each run must be a path"),
    (lambda: obverse.compare("a", "b", split=None), "no split `None`"),
    (lambda: obverse.check("x", settings=["data.views=a"]), "write a mapping such as"),
    (lambda: obverse.check("x", out=""), "out: the path is empty"),
    (lambda: obverse.evaluate("x", out=""), "out: the path is empty"),
    (lambda: obverse.resume(None), "run must be a path"),
]


@pytest.mark.parametrize(("call", "words"), CALLS)
def test_the_others(call, words):
    with pytest.raises(obverse.ObverseError, match=words) as caught:
        call()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", ""],
        ["check", "x", "--out", ""],
        ["check", "x", "--out="],
        ["train", "x", "--image-root="],
        ["evaluate", ""],
        ["predict", "x", ""],
    ],
)
def test_the_command_refuses_an_empty_path(arguments):
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, obverse.ObverseError)
    assert "the path is empty" in str(error)


def test_an_evaluation_is_not_written_over_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(obverse.ObverseError, match="is a file; choose another --out") as caught:
        obverse.evaluate(tmp_path / "run", out=tmp_path / "file")
    assert caught.value.exit_code == 73


def test_results_are_hashable_and_outlast_a_change_of_folder(draw_classes, make_recipe, tmp_path, monkeypatch):
    data = draw_classes(tmp_path / "pictures", per_class=10)
    monkeypatch.chdir(tmp_path)
    run = obverse.train("pictures", make_recipe(), run="run", epochs=1, size=(np.int64(8), 12))
    other = obverse.train("pictures", make_recipe(), run="other", epochs=1, size=(8, 12))
    assert load_recipe(run.path / "recipe.yaml").data.size.width == 12
    with pytest.raises(obverse.ObverseError, match="run or a bundle"):
        obverse.check(data, out=run)
    with pytest.raises(obverse.ObverseError, match="in the data itself"):
        obverse.check(data, out=data / "report")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    evaluation, comparison = obverse.evaluate(run), obverse.compare(run, other)
    (prediction,) = obverse.load(run).predict(next(data.rglob("*.png")))
    assert len({run, evaluation, comparison, prediction, obverse.check(data)}) == 5
