"""Files of a run are whole or absent, whoever writes at the same time and whoever was killed."""

import os
from pathlib import Path

import pytest

from obverse.errors import OutputError
from obverse.runs import RunFolder, write_text


def test_two_processes_may_write_one_file_at_once(tmp_path, monkeypatch):
    """The second writes whole between the first's writing aside and its renaming."""
    real, path = os.replace, tmp_path / "table.csv"

    def replace(source, target):
        monkeypatch.setattr(os, "replace", real)
        write_text(path, "second")
        assert path.read_text() == "second"
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_text(path, "first")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """killed(name): a folder with a lock, where a process was killed while it wrote that file."""

    def make(name):
        (tmp_path / ".lock").touch()
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda source, target: (_ for _ in ()).throw(KeyboardInterrupt))
            patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)  # a killed process tidies nothing
            with pytest.raises(KeyboardInterrupt):
                write_text(tmp_path / name, "text")
        assert len(list(tmp_path.iterdir())) > 1
        return RunFolder(tmp_path)

    return make


@pytest.mark.parametrize("name", ["manifest.csv", "recipe.yaml"])
def test_a_start_that_was_killed_while_it_wrote_holds_nothing(killed, name):
    run = killed(name)
    run.claim()
    assert [path.name for path in run.path.iterdir()] == [".lock"]


def test_a_half_of_something_else_is_not_taken_for_a_start(killed):
    run = killed("mine.txt")
    before = sorted(run.path.iterdir())
    with pytest.raises(OutputError, match="holds no run"):
        run.claim()
    assert sorted(run.path.iterdir()) == before


def test_going_on_leaves_no_halves(killed):
    run = killed("training_log.json")
    run.recipe.write_text("name: x\n")
    run.reopen()
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "recipe.yaml"]
