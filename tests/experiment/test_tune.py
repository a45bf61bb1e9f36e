"""What is decided by measurement: compilation only where it pays, and the model is left as it was."""

import sys
from contextlib import suppress

import pytest
import torch

from obverse.errors import Interrupted
from obverse.experiment.auto import resolve
from obverse.experiment.auto.tune import tune
from obverse.experiment.setup import build_model, describe, set_up
from obverse.manifest import build_index
from obverse.models.backbones import staged
from obverse.runs.checkpoint import load_newest
from obverse.training import Trainer

AUTO = {"compile": "auto"}
tune_module = sys.modules["obverse.experiment.auto.tune"]


@pytest.fixture(autouse=True)
def _nothing_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def setup_of(draw_classes, make_recipe, tmp_path):
    def make(**sections):
        recipe = make_recipe(**sections)
        index = build_index(draw_classes(tmp_path / "data"), recipe.data)
        return Untuned(resolve(recipe, index), index.manifest)

    return make


class Untuned:
    """A model whose recipe is resolved, and not measured yet."""

    def __init__(self, resolved, manifest):
        self.resolved, self.recipe, self.manifest = resolved, resolved.recipe, manifest
        self.model, self.bundle = build_model(self.recipe, manifest), describe(self.recipe, manifest)

    def tuned(self, notify=lambda line: None):
        num_train = len(self.manifest.split("train"))
        return tune(self.resolved, self.model, self.bundle, num_train=num_train, notify=notify)


def test_a_short_run_is_not_compiled_and_not_even_measured(setup_of, monkeypatch):
    for name in ("fastest_seconds", "choose_faster"):
        monkeypatch.setattr(tune_module, name, lambda *_, **__: pytest.fail("something was measured"))
    assert setup_of(runtime=AUTO, training={"minutes": 1.0}).tuned().runtime.compile is False


@pytest.mark.parametrize(("side", "batch", "samples"), [(32, 128, 128), (32, 16, 16), (112, 64, 32), (448, 64, 8)])
def test_a_measured_step_has_enough_pixels_and_no_more_samples_than_a_micro_batch(setup_of, side, batch, samples):
    size = {"height": side, "width": side}
    setup = setup_of(data={"size": size}, training={"batch_size": batch, "micro_batch_size": batch})
    assert tune_module.measured_samples(setup.recipe, setup.bundle) == samples


@pytest.fixture
def step_takes(monkeypatch):
    """Measured steps take so many seconds, plain and compiled."""

    def imitate(setup, plain, compiled):
        def seconds(step=None, **_):
            return compiled if setup.model._compiled_call_impl else plain

        def choose(forms, step, *, prepare):
            times = [(prepare(form), seconds())[1] for form in forms]
            return forms[1] if times[1] < 0.85 * times[0] else forms[0]

        monkeypatch.setattr(tune_module, "fastest_seconds", seconds)
        monkeypatch.setattr(tune_module, "choose_faster", choose)

    return imitate


@pytest.mark.parametrize(
    ("plain", "compiled", "pays"), [(10.0, 5.0, True), (10.0, 9.0, False), (10.0, 20.0, False), (0.001, 0.0001, False)]
)
def test_a_long_run_is_compiled_where_it_pays(setup_of, step_takes, plain, compiled, pays):
    setup = setup_of(runtime=AUTO, training={"epochs": 1000})
    step_takes(setup, plain, compiled)
    assert setup.tuned().runtime.compile is pays
    assert setup.model._compiled_call_impl is None


def test_what_was_measured_is_remembered_and_the_length_of_the_run_still_counts(setup_of, step_takes, monkeypatch):
    setup = setup_of(runtime=AUTO, training={"epochs": 1000})
    step_takes(setup, 10.0, 5.0)
    assert setup.tuned().runtime.compile is True
    for name in ("fastest_seconds", "choose_faster"):
        monkeypatch.setattr(tune_module, name, lambda *_, **__: pytest.fail("something was measured"))
    assert setup_of(runtime=AUTO, training={"epochs": 1000}).tuned().runtime.compile is True
    assert setup_of(runtime=AUTO, training={"epochs": 2}).tuned().runtime.compile is False


def test_formats_are_chosen_once_and_it_is_said(setup_of, monkeypatch):
    """Whatever the timings say the second time."""
    said = []
    for last, expected in ((True, True), (False, True)):
        monkeypatch.setattr(tune_module, "choose_faster", lambda forms, *_, last=last, **__: forms[-1 if last else 0])
        setup = setup_of(runtime={"channels_last": "auto"})
        assert setup.tuned(said.append).runtime.channels_last is expected
    assert len(said) == 1
    monkeypatch.setattr(tune_module, "choose_faster", lambda forms, *_, **__: forms[0])
    other = setup_of(runtime={"channels_last": "auto"}, model={"backbone": {"kind": "convnet", "widths": [8, 9]}})
    assert other.tuned().runtime.channels_last is False


def test_what_the_compiler_does_not_master_runs_without_it(setup_of, monkeypatch):
    setup = setup_of(runtime=AUTO, training={"epochs": 1000})

    def measure(step, **_):
        if setup.model._compiled_call_impl:
            raise RuntimeError("no C++ compiler")
        return 10.0

    monkeypatch.setattr(tune_module, "fastest_seconds", measure)
    monkeypatch.setattr(tune_module, "choose_faster", lambda *_, **__: pytest.fail("there is nothing to compare"))
    assert setup.tuned().runtime.compile is False


def test_the_model_and_the_generators_are_left_as_they_were(setup_of):
    setup = setup_of(runtime={"channels_last": "auto", "precision": "auto"}, model={"head": {"dropout": 0.5}})
    before = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
    state = torch.get_rng_state()
    recipe = setup.tuned()
    assert recipe.runtime.channels_last in (True, False)
    torch.testing.assert_close(setup.model.state_dict(), before, atol=0, rtol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in setup.model.parameters())


def test_checkpointing_is_measured_and_changes_nothing_but_memory(setup_of, monkeypatch, tmp_path):
    """What is measured is what trains; a batch norm counts every batch once, also after measuring."""
    recomputed = []
    checkpoint = staged.checkpoint
    monkeypatch.setattr(staged, "checkpoint", lambda *of, **how: recomputed.append(1) or checkpoint(*of, **how))

    def measure(forms, step, *, prepare):
        for form in forms:
            prepare(form)
            step()
        return forms[0]

    monkeypatch.setattr(tune_module, "choose_faster", measure)
    states = []
    for checkpointing in (False, True):
        setup = setup_of(runtime={"channels_last": "auto", "checkpointing": checkpointing})
        recipe = setup.tuned()
        assert bool(recomputed) is checkpointing
        ready = set_up(recipe, setup.manifest, model=setup.model)
        trainer = Trainer(
            ready.engine(), recipe, ready.loaders(), objective=ready.objective, checkpoints=tmp_path / "checkpoints"
        )
        list(trainer.run())
        states.append(trainer.model.state_dict())
    torch.testing.assert_close(states[1], states[0], atol=0, rtol=0)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_run_learns_and_resumes_bit_for_bit(draw_classes, make_recipe, make_trainer, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=9)

    def run(folder, *, stop=None, checkpoint=None, compiled=True):
        torch._dynamo.reset()  # as a new process
        recipe = make_recipe(runtime={"compile": compiled}, model={"head": {"hidden": [6], "dropout": 0.4}})
        trainer = make_trainer(
            data, recipe, tmp_path / folder, wanted_signal=lambda: 15 if trainer.progress.step == stop else None
        )
        if checkpoint:
            trainer.restore(checkpoint)
        with suppress(Interrupted):
            list(trainer.run())
        return trainer

    whole = run("a")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    run("b", stop=3)
    again = run("b", checkpoint=load_newest(tmp_path / "b")[0])
    torch.testing.assert_close(again.model.state_dict(), whole.model.state_dict(), atol=0, rtol=0)
    plain = run("c", compiled=False)
    assert set(whole.best_weights) == set(plain.best_weights)
    assert abs(whole.progress.history[0]["train_loss"] - plain.progress.history[0]["train_loss"]) < 0.5
