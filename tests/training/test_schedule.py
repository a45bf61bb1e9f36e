"""Schedules as the trainer walks them: no rise after the peak, whatever the length, accumulation or resume."""

from contextlib import suppress
from itertools import pairwise

import pytest

from obverse.errors import Interrupted, RecipeError
from obverse.experiment.auto import resolve
from obverse.manifest import build_index
from obverse.recipe import ScheduleSpec, build_recipe
from obverse.runs import EpochEnd, StepEnd
from obverse.runs.checkpoint import load_newest
from obverse.training.meter import Meter
from obverse.training.schedule import ONE_CYCLE_START, plateau_drops, rate_factor

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
PLATEAU = {"kind": "plateau", "patience": 1, "drop_factor": 0.5, "warmup_epochs": 1}
KINDS = {
    "cosine": {"kind": "cosine", "warmup_epochs": 0.6, "min_lr_fraction": 0.01},
    "one-cycle": {"kind": "one-cycle", "warmup_epochs": "auto", "min_lr_fraction": 0.01},
    "step": {"kind": "step", "warmup_epochs": 0.6, "drop_at": [0.3, 0.6, 0.9]},
    "plateau": PLATEAU,
    "constant": {"kind": "constant", "warmup_epochs": 0.6},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=10)


@pytest.fixture
def rates(data, make_recipe, make_trainer, tmp_path):
    """Learning rates of every step, to the end or to a signal at step `stop`; `resume` takes the checkpoint first."""

    def walk(kind, *, stop=None, resume=False, folder="a", batch=4, **training):
        recipe = make_recipe(
            schedule=KINDS[kind],
            training={"epochs": 4, "batch_size": batch, "select": "loss", **training},
        )
        trainer = make_trainer(
            data, recipe, tmp_path / folder, wanted_signal=lambda: 15 if trainer.progress.step == stop else None
        )
        if resume:
            trainer.restore(load_newest(tmp_path / folder)[0])
        values = []
        with suppress(Interrupted):
            values += (event.learning_rate for event in trainer.run() if isinstance(event, StepEnd))
        return values, trainer

    return walk


def assert_never_rises_after_its_peak(values):
    peak = values.index(max(values))
    assert all(later <= earlier for earlier, later in pairwise(values[peak:]))
    assert all(later >= earlier for earlier, later in pairwise(values[: peak + 1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "micro"), [(4, 4), (5, 2)])
def test_no_kind_rises_after_its_peak(rates, kind, batch, micro):
    values, trainer = rates(kind, batch=batch, micro_batch_size=micro)
    assert len(values) == trainer.progress.step == 4 * len(trainer.loaders.train)
    assert_never_rises_after_its_peak(values)
    assert 0.0095 < max(values) <= 0.01  # a one-cycle may pass its peak between two steps


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_walks_the_same_rates(rates, kind):
    whole, _ = rates(kind)
    rates(kind, stop=7, folder="b")
    tail, _ = rates(kind, resume=True, folder="b")
    assert len(tail) == len(whole) - 7
    assert tail == whole[7:]


@pytest.mark.parametrize("kind", ["cosine", "one-cycle"])
@pytest.mark.parametrize("num_steps", [2, 3, 7, 100, 1001])
@pytest.mark.parametrize("warmup", [0, 1, 30])
def test_every_length_ends_at_the_floor(kind, num_steps, warmup):
    spec = ScheduleSpec(kind=kind, min_lr_fraction=0.02)
    steps = range(warmup + num_steps + 1)
    values = [rate_factor(spec, step=s, warmup_steps=warmup, fraction_done=(s - warmup) / num_steps) for s in steps]
    assert_never_rises_after_its_peak(values)
    assert values[-1] == pytest.approx(0.02)


def test_one_cycle_starts_low_and_peaks_at_three_tenths():
    spec = ScheduleSpec(kind="one-cycle")
    assert rate_factor(spec, step=0, warmup_steps=0, fraction_done=0.0) == pytest.approx(ONE_CYCLE_START)
    assert rate_factor(spec, step=30, warmup_steps=0, fraction_done=0.3) == pytest.approx(1.0)


def test_steps_drop_at_their_places_and_not_below_the_floor():
    spec = ScheduleSpec(kind="step", drop_at=(0.5, 0.75, 0.9), min_lr_fraction=0.005)
    values = [rate_factor(spec, step=9, warmup_steps=0, fraction_done=f) for f in (0.49, 0.5, 0.75, 0.9)]
    assert values == pytest.approx([1.0, 0.1, 0.01, 0.005])


def rows(*values):
    return [{"select_value": value} for value in values]


@pytest.mark.parametrize(
    ("history", "drops"),
    [
        ((0.5, 0.6, 0.7), 0),
        ((0.5, 0.5, 0.5), 1),
        ((0.5, 0.4, 0.6, 0.6, 0.5), 1),
        ((0.5, 0.4, 0.4, 0.4, 0.4), 2),
    ],
)
def test_a_plateau_is_two_epochs_without_a_better_one(history, drops):
    spec = ScheduleSpec(kind="plateau", patience=2)
    assert plateau_drops(spec, rows(*history), metric="accuracy", warmup_epochs=0) == drops
    turned = [1 - value for value in history]
    assert plateau_drops(spec, rows(*turned), metric="loss", warmup_epochs=0) == drops


def test_epochs_of_the_warm_up_are_no_plateau():
    spec = ScheduleSpec(kind="plateau", patience=2)
    assert plateau_drops(spec, rows(0.9, 0.5, 0.6, 0.7), metric="accuracy", warmup_epochs=1) == 0


def test_the_trainer_lowers_the_rate_on_a_plateau(data, make_recipe, make_trainer, tmp_path):
    """A rate of almost nothing: no epoch is better, so the rate halves after every one that follows the first."""
    recipe = make_recipe(
        schedule=PLATEAU, optim={"lr": 1e-30, "kind": "sgd"}, training={"epochs": 5, "select": "accuracy"}
    )
    events = list(make_trainer(data, recipe, tmp_path / "c").run())
    ends = [event.learning_rate for event in events if isinstance(event, EpochEnd)]
    assert [end / 1e-30 for end in ends] == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.25])


@pytest.mark.parametrize("warmup", [0, 1, 40], ids=["none", "an epoch", "longer than the budget"])
def test_a_time_budget_finishes_its_schedule(data, make_recipe, make_trainer, tmp_path, monkeypatch, warmup):
    """A clock of one second a step: 30 steps. The last one is a step before the end, where the floor is."""
    monkeypatch.setattr(Meter, "lap", lambda self, pictures: 1.0)
    recipe = make_recipe(schedule={"warmup_epochs": warmup}, training={"minutes": 0.5, "epochs": 60})
    trainer = make_trainer(data, recipe, tmp_path / "c")
    values = [event.learning_rate for event in trainer.run() if isinstance(event, StepEnd)]
    assert 28 <= len(values) <= 30  # validation takes some of the time
    assert_never_rises_after_its_peak(values)
    assert values[-1] < 0.01 * 0.02
    assert rate_factor(trainer.recipe.schedule, step=30, warmup_steps=0, fraction_done=1.0) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "constant", "min_lr_fraction": 0.1}, "min_lr_fraction has no effect"),
        ({"drop_at": [0.2]}, "drop_at has no effect"),
        ({"kind": "step", "patience": 7}, "patience has no effect"),
        ({"kind": "one-cycle", "warmup_epochs": 2}, "warmup_epochs has no effect"),
        ({"kind": "step", "drop_at": [0.7, 0.2]}, "drop_at must rise"),
    ],
)
def test_what_has_no_effect_is_refused(fields, sentence):
    with pytest.raises(RecipeError, match=sentence):
        build_recipe({"schedule": fields}, "test")


@pytest.mark.parametrize("kind", KINDS)
def test_a_resolved_schedule_loads_again(data, make_recipe, kind):
    recipe = make_recipe(schedule={**KINDS[kind], "warmup_epochs": "auto"})
    resolved = resolve(recipe, build_index(data, recipe.data)).recipe
    again = build_recipe(resolved.model_dump(mode="json"), "again")
    assert again.model_dump() == resolved.model_dump()
