"""Files of a run that were damaged: one sentence and exit code 65, and never a run that begins again unasked."""

import hashlib
import json
import os
import shutil

import pytest

from obverse.errors import DataError, Interrupted
from obverse.experiment import resume_run, start_run
from obverse.experiment.evaluate import evaluate_run
from obverse.experiment.story import read_story, training_log_of
from obverse.runs import EpochEnd, RunFolder
from obverse.studies.compare import read_contender

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Stop:
    """Ends the run after its first epoch, as a kill would."""

    def notify(self, event):
        if isinstance(event, EpochEnd):
            raise KeyboardInterrupt

    def close(self):
        pass


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, draw_classes, make_recipe):
    """A run that was killed after a checkpoint."""
    data = draw_classes(tmp_path_factory.mktemp("data"), per_class=6)
    run = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("obverse.training.trainer.CHECKPOINT_SECONDS", -1)
        with pytest.raises((KeyboardInterrupt, Interrupted)):
            start_run(data, make_recipe(training={"epochs": 2}), RunFolder(run), observers=[Stop()])
    assert list((run / "checkpoints").glob("step-*"))
    return run


@pytest.fixture
def run(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    return tmp_path / "run"


def fifo(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "a list": lambda path: path.write_text("[]"),
    "an object": lambda path: path.write_text("{}"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a pipe": fifo,
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["recipe.yaml", "config.json", "manifest.csv", ".start.json"])
def test_a_damaged_file_is_a_sentence(run, name, damage):
    DAMAGES[damage](run / name)
    with pytest.raises(DataError) as caught:
        resume_run(RunFolder(run))
    assert caught.value.exit_code == 65
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoints_do_not_begin_the_run_again(run, damage):
    for checkpoint in (run / "checkpoints").iterdir():
        DAMAGES[damage](checkpoint / "state.json")
    with pytest.raises(DataError, match=r"no checkpoint in .* can be used .* add --force to train from the beginning"):
        resume_run(RunFolder(run))


@pytest.mark.parametrize("state", [{}, [], {"step": 0}, {"step": "newest"}, "newest"])
def test_a_state_that_says_nothing_does_not_begin_the_run_again(run, state):
    """Even where its digest was made anew."""
    for checkpoint in (run / "checkpoints").iterdir():
        step = int(checkpoint.name.removeprefix("step-"))
        text = json.dumps({"step": step} if state == "newest" else state)
        (checkpoint / "state.json").write_text(text)
        digests = json.loads((checkpoint / "manifest.json").read_text())
        digests["state.json"] = hashlib.sha256(text.encode()).hexdigest()
        (checkpoint / "manifest.json").write_text(json.dumps(digests))
    with pytest.raises(DataError, match=r"no checkpoint in|state\.json cannot be used"):
        resume_run(RunFolder(run))


def test_with_force_it_begins_again(run):
    for checkpoint in (run / "checkpoints").iterdir():
        (checkpoint / "state.json").write_text("{}")
    result = resume_run(RunFolder(run), force=True)
    assert result.report.is_file()


@pytest.fixture(scope="module")
def finished(stopped, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "finished"
    shutil.copytree(stopped, run)
    resume_run(RunFolder(run))
    return run


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_finished_run(finished, tmp_path, damage):
    """Its log is for telling, its metrics are held against the list, and its recipe is needed."""
    for name in ("training_log.json", "evaluation/test/metrics.json", "recipe.yaml"):
        run = tmp_path / name.replace("/", "-")
        shutil.copytree(finished, run)
        DAMAGES[damage](run / name)
        if name.startswith("training"):
            with pytest.raises(DataError):
                training_log_of(run)
            assert read_story(run / name).facts == {}
        elif name.startswith("evaluation"):
            with pytest.raises(DataError):
                read_contender(run)
        elif damage != "gone":  # then it is a bundle
            with pytest.raises(DataError):
                evaluate_run(run)
