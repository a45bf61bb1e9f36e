"""A resumed run is the same run: changed recipe, manifest or pictures are refused with the difference in words."""

import csv
import os
import shutil
from pathlib import Path

import pytest

from obverse.errors import DataError, Interrupted
from obverse.experiment import evaluate_run, resume_run, start_run
from obverse.recipe import load_recipe
from obverse.runs import Message, RunFolder, StepEnd


class StopAt:
    """An observer that sends this process a signal after a step, and keeps what was said."""

    def __init__(self, step=None):
        self.step, self.said = step, []

    def notify(self, event):
        if isinstance(event, StepEnd) and event.step == self.step:
            os.kill(os.getpid(), 15)
        if isinstance(event, Message):
            self.said.append(event.text)

    def close(self):
        pass


@pytest.fixture
def stopped(draw_classes, make_recipe, tmp_path):
    """A run that was stopped by a signal, and its data."""
    data, run = draw_classes(tmp_path / "data"), RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted):
        start_run(data, make_recipe(training={"epochs": 3}), run, observers=[StopAt(4)])
    return run, data


def edit(run, old, new):
    text = run.recipe.read_text()
    assert old in text
    run.recipe.write_text(text.replace(old, new))


def test_an_edited_recipe_is_refused_key_by_key(stopped):
    run, _ = stopped
    edit(run, "seed: 0\n", "seed: 3\n")
    edit(run, "  batch_size: 4\n", "  batch_size: 8\n")
    with pytest.raises(DataError, match=r"training.batch_size was 4 and is 8; training.seed was 0 and is 3"):
        resume_run(RunFolder(run.path))


def test_an_edited_manifest_is_refused(stopped):
    run, _ = stopped
    run.manifest.write_text(run.manifest.read_text().replace("train", "val", 1))
    with pytest.raises(DataError, match=r"manifest.csv' has changed since the run began"):
        resume_run(RunFolder(run.path))


def test_a_changed_picture_is_named(stopped, draw_picture):
    run, data = stopped
    draw_picture(data / "dark" / "00.png", gray=10, seed=99)
    with pytest.raises(DataError, match=r"1 sample\(s\) have other pictures.*dark/00.png"):
        resume_run(RunFolder(run.path))


def test_a_missing_picture_is_named(stopped):
    run, data = stopped
    (data / "light" / "03.png").unlink()
    with pytest.raises(DataError, match=r"1 picture\(s\) can no longer be read: 'light/03.png'"):
        resume_run(RunFolder(run.path))


def test_forced_it_goes_on_and_says_what_differs(stopped):
    run, _ = stopped
    edit(run, "  batch_size: 4\n", "  batch_size: 3\n")
    observer = StopAt()
    resume_run(RunFolder(run.path), observers=[observer], force=True)
    assert any(text.startswith("forced: ") and "batch_size was 4 and is 3" in text for text in observer.said)


def test_a_copied_set_and_another_worker_count_are_the_same_run(stopped):
    run, data = stopped
    shutil.copytree(data, data.with_name("copy"), copy_function=shutil.copyfile)
    shutil.rmtree(data)
    data.with_name("copy").rename(data)
    edit(run, "num_workers: 0\n", "num_workers: 1\n")
    resume_run(RunFolder(run.path))
    assert run.is_finished


def test_a_run_that_does_not_say_what_it_began_with_is_refused(stopped):
    run, _ = stopped
    (run.path / ".start.json").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        resume_run(RunFolder(run.path))


def test_forced_into_another_network_it_says_what_does_not_fit(stopped):
    run, _ = stopped
    edit(run, "    hidden: []\n", "    hidden: [4]\n")
    with pytest.raises(
        DataError, match=r"the checkpoint does not fit the recipe, which has changed: .*start a new run"
    ):
        resume_run(RunFolder(run.path), force=True)


def test_other_pixels_are_another_run_though_the_cache_is_free(stopped):
    run, _ = stopped
    edit(run, "kind: memory\n", "kind: jpeg\n")
    with pytest.raises(DataError, match=r'data\.cache\.kind was "memory" and is "jpeg"'):
        resume_run(RunFolder(run.path))


def exchange(run, split):
    """Another byte in a picture of a split, with its size and time kept; the picture's path."""
    with run.manifest.open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["split"] == split)
    path = Path(load_recipe(str(run.recipe)).data.path) / row["image"]
    before, data = os.stat(path), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return row["image"]


def test_bytes_that_were_exchanged_under_one_size_and_time_are_noticed(stopped):
    run, _ = stopped
    name = exchange(run, "train")
    with pytest.raises(DataError, match=f"'{name}' is not the picture that the manifest recorded"):
        resume_run(RunFolder(run.path))
    resume_run(RunFolder(run.path), force=True)
    name = exchange(run, "test")
    with pytest.raises(DataError, match=f"'{name}' is not the picture that the manifest recorded"):
        evaluate_run(run.path, device="cpu")
