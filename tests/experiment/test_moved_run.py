"""A run folder that is removed, moved or exchanged while a run goes on: one sentence, and nothing is written there."""

import os
import shutil

import pytest

from obverse.errors import OutputError
from obverse.experiment import evaluate, resume_run, start_run, train
from obverse.runs import CheckpointSaved, EpochEnd, RunFolder, StepEnd

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


def removed(run):
    shutil.rmtree(run)


def moved(run):
    run.rename(run.with_name("moved"))


def exchanged(run):
    """Removed, and begun anew by somebody else."""
    shutil.rmtree(run)
    run.mkdir()
    (run / ".lock").touch()
    (run / "mine.txt").write_text("mine")


HAZARDS = [exchanged, *(pytest.param(hazard, marks=pytest.mark.full) for hazard in (removed, moved))]


class Saboteur:
    """Does it at the first event of a kind."""

    def __init__(self, kind, hazard, run):
        self.kind, self.hazard, self.run = kind, hazard, run

    def notify(self, event):
        if isinstance(event, self.kind) and self.hazard is not None:
            self.hazard(self.run)
            self.hazard = None

    def close(self):
        pass


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=6)


def assert_nothing_written(run, hazard):
    if hazard is exchanged:
        assert sorted(os.listdir(run)) == [".lock", "mine.txt"]
    else:
        assert not run.exists()


@pytest.mark.parametrize(
    ("kind", "hazard"),
    [
        pytest.param(kind, hazard, marks=[] if hazard is exchanged or kind is StepEnd else pytest.mark.full)
        for kind in (StepEnd, EpochEnd, CheckpointSaved)
        for hazard in (removed, moved, exchanged)
    ],
)
def test_while_it_trains(data, make_recipe, tmp_path, kind, hazard):
    run = tmp_path / "run"
    saboteur = Saboteur(kind, hazard, run)
    with pytest.raises(OutputError, match="was removed or moved while the run was going on") as caught:
        start_run(data, make_recipe(training={"epochs": 2}), RunFolder(run), observers=[saboteur])
    assert caught.value.exit_code == 73
    assert saboteur.hazard is None
    assert_nothing_written(run, hazard)


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("before", ["best weights", "report of val", "report of test", "training log"])
def test_while_it_finishes(data, make_recipe, tmp_path, monkeypatch, before, hazard):
    run = tmp_path / "run"
    module, name, call = {
        "best weights": (train, "run_facts", None),
        "report of val": (train, "final_story", None),
        "report of test": (train, "report_split", 1),
        "training log": (train, "report_split", 2),
    }[before]
    real, calls = getattr(module, name), []

    def after(*arguments, **options):
        result = real(*arguments, **options)
        calls.append(1)
        if len(calls) == (call or 1):
            hazard(run)
        return result

    monkeypatch.setattr(module, name, after)
    with pytest.raises(OutputError, match="was removed or moved while the run was going on"):
        start_run(data, make_recipe(training={"epochs": 1}), RunFolder(run))
    assert_nothing_written(run, hazard)


def test_between_a_step_and_its_checkpoint(data, make_recipe, tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(train.Trainer, "checkpoint", lambda self: moved(run))
    with pytest.raises(OutputError, match="was removed or moved"):
        start_run(data, make_recipe(training={"epochs": 1}), RunFolder(run))
    assert not run.exists()


@pytest.mark.parametrize("hazard", HAZARDS)
def test_before_it_began_nothing_of_another_is_undone(data, make_recipe, tmp_path, monkeypatch, hazard):
    run, real = tmp_path / "run", train.build_index

    def after(*arguments, **options):
        index = real(*arguments, **options)
        hazard(run)
        return index

    monkeypatch.setattr(train, "build_index", after)
    with pytest.raises(OutputError, match="was removed or moved"):
        start_run(data, make_recipe(training={"epochs": 1}), RunFolder(run))
    assert_nothing_written(run, hazard)


def test_a_moved_run_goes_on_where_it_lies(data, make_recipe, tmp_path):
    run = tmp_path / "run"
    recipe = make_recipe(training={"epochs": 2})
    with pytest.raises(OutputError):
        start_run(data, recipe, RunFolder(run), observers=[Saboteur(EpochEnd, moved, run)])
    result = resume_run(RunFolder(tmp_path / "moved"))
    assert result.report == tmp_path / "moved/evaluation/test/report.html"
    assert result.report.is_file()
    assert not run.exists()
    folder, _ = evaluate.evaluate_run(tmp_path / "moved", out=tmp_path / "again")
    assert (folder / "report.html").is_file()
