"""The command as people first meet it: version, completion, pipes that close, hints that can be pasted."""

import os
import runpy
import shlex
import shutil
import sys
from contextlib import redirect_stdout
from importlib.metadata import version

import pytest

from obverse.cli.main import main


def test_the_version(obverse, monkeypatch, capsys):
    assert obverse("--version").out == f"obverse {version('obverse')}\n"
    monkeypatch.setattr(sys, "argv", ["obverse", "--version"])
    monkeypatch.delitem(sys.modules, "obverse.__main__", raising=False)  # of a test that has imported it
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("obverse", run_name="__main__")
    assert not stopped.value.code
    assert capsys.readouterr().out == f"obverse {version('obverse')}\n"


def test_the_shell_completes_verbs_and_options(obverse, monkeypatch):
    monkeypatch.setenv("_OBVERSE_COMPLETE", "complete_bash")
    for words, expected in (("obverse tra", "train"), ("obverse train --batch", "--batch-size")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert obverse().out.split() == [expected]


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["train", "--help"], ["recipes"], ["check", "DATA"], ["compare", "A", "B"]]
)
def test_a_closed_pipe_is_no_error(words, two_runs, shapes, capsys, monkeypatch, tmp_path):
    places = {"DATA": shapes, "A": two_runs[0], "B": two_runs[1]}
    monkeypatch.setattr(sys, "argv", ["obverse", *(str(places.get(word, word)) for word in words)])
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, redirect_stdout(stream), pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 141
    assert capsys.readouterr().err == ""


def test_the_hint_after_training_on_two_views_works(obverse, coins_run):
    (line,) = [
        line for line in obverse("train", "--run", coins_run, "--resume").out.splitlines() if "predict: " in line
    ]
    command, *words = shlex.split(line.removeprefix("predict: "))
    assert (command, words[0], words.count("--view")) == ("obverse", "predict", 2)
    answer = obverse(*words)
    assert answer.code == 0, answer.err
    assert "obverse alone: " in answer.out


def test_the_hint_knows_no_file_when_the_data_is_gone(obverse, coins_run, tmp_path):
    run = shutil.copytree(coins_run, tmp_path / "run")
    (run / "config.json").unlink()
    result = obverse("train", "--run", run, "--resume")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == f"predict: obverse predict {run} PICTURE"


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "RUN", "a.png"],
        ["evaluate", "RUN"],
        ["compare", "RUN", "OTHER"],
        ["export", "RUN", "--format", "pth"],
    ],
)
def test_a_run_that_was_interrupted_says_how_it_goes_on(words, refused, coins_run, tmp_path):
    run = tmp_path / "a run"
    run.mkdir()
    shutil.copy(coins_run / "recipe.yaml", run)
    places = {"RUN": run, "OTHER": coins_run}
    told = refused(65, "is not finished", *(places.get(word, word) for word in words)).err
    assert f"obverse train --run '{run}' --resume" in told
