"""Where nothing may or can be written: exit 73, 74 and 75."""

import errno
import fcntl
import os
import resource
from pathlib import Path

import pytest

from obverse.cli.main import main


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_below_a_regular_file(refused, shapes, tmp_path, verb):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    folder = tmp_path / "file" / "new"
    arguments = ("train", shapes, "--run", folder) if verb == "train" else ("sample", "shapes", folder)
    refused(73, "", *arguments, untouched=tmp_path)


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_a_file_where_a_folder_was_meant(refused, shapes, tmp_path, verb):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    arguments = ("train", shapes, "--run", file) if verb == "train" else ("sample", "shapes", file)
    refused(73, "is a file", *arguments, untouched=tmp_path)


@pytest.mark.parametrize("verb", ["train", "sample", "evaluate"])
def test_a_folder_with_other_files(refused, shapes, shapes_run, tmp_path, verb):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "results.csv").write_text("mine", encoding="utf-8")
    arguments = {
        "train": ("train", shapes, "--run", folder),
        "sample": ("sample", "shapes", folder),
        "evaluate": ("evaluate", shapes_run, "--out", folder),
    }[verb]
    refused(73, "is not empty", *arguments, untouched=tmp_path)


@pytest.mark.parametrize("verb", ["sweep", "folds", "ensemble"])
@pytest.mark.parametrize("name", ["file", "file/new", "r" * 300])
def test_many_runs_where_no_folder_can_be(refused, shapes, two_runs, tmp_path, verb, name):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "study.yaml").write_text("seeds: [0, 1]", encoding="utf-8")
    given = {"sweep": (tmp_path / "study.yaml", shapes), "folds": (shapes,), "ensemble": two_runs}[verb]
    refused(73, "", verb, *given, "--out", tmp_path / name, untouched=tmp_path)


@pytest.mark.parametrize("verb", ["sweep", "folds", "ensemble"])
def test_many_runs_where_the_system_lets_nobody_write(refused, shapes, two_runs, tmp_path, verb):
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc here")
    (tmp_path / "study.yaml").write_text("seeds: [0, 1]", encoding="utf-8")
    given = {"sweep": (tmp_path / "study.yaml", shapes), "folds": (shapes,), "ensemble": two_runs}[verb]
    refused(73, "", verb, *given, "--out", "/proc/out")
    refused(73, "", verb, *given, "--out", "/proc")


def test_a_name_too_long_for_the_file_system(refused, shapes, tmp_path):
    refused(73, "too long", "train", shapes, "--run", tmp_path / ("r" * 300), untouched=tmp_path)


def test_where_the_system_lets_nobody_write(refused, shapes):
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc here")
    refused(73, "cannot be made", "train", shapes, "--run", "/proc/run")


def test_a_folder_that_holds_a_run(refused, shapes, shapes_run):
    refused(73, "already holds a run; go on with --resume", "train", shapes, "--run", shapes_run, untouched=shapes_run)


def test_an_evaluation_may_be_written_again(obverse, shapes_run, tmp_path):
    for _ in range(2):
        assert obverse("evaluate", shapes_run, "--out", tmp_path / "out").code == 0


def test_a_second_process_is_told_to_wait(refused, shapes, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with (run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused(75, "another process", "train", shapes, "--run", run, untouched=run)
        (run / "recipe.yaml").write_text("name: x\n", encoding="utf-8")
        refused(75, "another process", "train", "--run", run, "--resume", untouched=run)


def test_an_empty_folder_may_become_a_run_and_is_empty_again_after_a_refusal(refused, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    refused(65, "no pictures", "train", tmp_path / "data", "--run", tmp_path / "run", untouched=tmp_path)


@pytest.fixture
def disk_full(monkeypatch):
    """From the moment it is called with a part of a name, writing a file with that in its path fails."""

    def fill(part):
        def refuse(path):
            if part in str(path):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))

        def opened(self, mode="r", *args, **kwargs):
            if mode != "r" and mode != "rb":
                refuse(self)
            return real_open(self, mode, *args, **kwargs)

        def opened_by_io(file, mode="r", *args, **kwargs):
            if "w" in mode or "x" in mode or "a" in mode:
                refuse(file)
            return real_io(file, mode, *args, **kwargs)

        real_open, real_io = Path.open, open
        monkeypatch.setattr(Path, "open", opened)
        monkeypatch.setattr("builtins.open", opened_by_io)

    return fill


@pytest.mark.parametrize(
    "part", ["manifest.csv", "recipe.yaml", "events.jsonl", "state.json", "model.json", "probabilities", "report.html"]
)
def test_a_full_disk_while_training(obverse, refused, training, disk_full, monkeypatch, part):
    disk_full(part)
    refused(74, "No space left", *training.arguments, untouched=training.data)
    monkeypatch.undo()
    if part in ("manifest.csv", "recipe.yaml"):
        assert not training.run.exists()
    else:
        result = obverse("train", "--run", training.run, "--resume")
        assert result.code == 0, result.err


def test_a_full_disk_while_drawing_pictures(refused, disk_full, tmp_path):
    disk_full(".png")
    refused(73, "No space left", "sample", "shapes", tmp_path / "shapes", "--samples", 10)


def test_output_that_the_disk_cannot_take(monkeypatch, capsys):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr("sys.argv", ["obverse", "recipes"])
    with full.open("w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 74
    assert capsys.readouterr().err.startswith("Error: writing the output failed")


def test_nobody_reads_the_output(monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr("sys.argv", ["obverse", "recipes"])
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 141
    assert "Traceback" not in capsys.readouterr().err


def test_an_export_or_evaluation_that_does_not_fit(refused, shapes_run, tmp_path, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        refused(73, "m.pth' cannot be written: File too large", "export", shapes_run, "--format", "pth", "--out",
                tmp_path / "m.pth")  # fmt: skip
        refused(73, "allow larger files (ulimit -f)", "evaluate", shapes_run, "--out", tmp_path / "evaluation")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("obverse.export.source.write_whole", full)
    refused(74, "No space left", "export", shapes_run, "--format", "pth", "--out", tmp_path / "m.pth")
    assert not list(tmp_path.glob("*m.pth*"))


def test_a_page_where_nothing_may_be_written_is_known_before_the_first_answer(
    refused, shapes, shapes_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    to = ("--html", tmp_path / "page.html")
    assert refused(73, "cannot be written", "predict", shapes_run, shapes / "sample.jpg", *to).out == ""


def test_an_export_whose_script_would_be_the_model(refused, shapes_run, tmp_path):
    place = tmp_path / "script.py"
    refused(73, "beside the model", "export", shapes_run, "--format", "onnx", "--out", place, untouched=tmp_path)
