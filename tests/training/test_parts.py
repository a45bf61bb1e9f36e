"""Schedule, weight average, early stopping and optimizers, each against its formula."""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from obverse.decisions import blocks
from obverse.engines import Outputs
from obverse.recipe import EarlyStopping, OptimSpec, OutputSpec, ScheduleSpec, load_recipe
from obverse.runs import EpochEnd
from obverse.training import build_optimizer
from obverse.training.ema import FreshStatistics, WeightAverage
from obverse.training.pace import should_stop
from obverse.training.progress import Progress
from obverse.training.schedule import rate_factor
from obverse.training.trainer import Trainer
from obverse.training.validation import is_best, without_number


def factors(spec, *, steps, warmup):
    return [
        rate_factor(spec, step=s, warmup_steps=warmup, fraction_done=(s - warmup) / (steps - warmup))
        for s in range(steps)
    ]


def test_warm_up_is_linear_and_reaches_the_base_rate():
    assert factors(ScheduleSpec(), steps=20, warmup=5)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_cosine_never_rises_and_ends_at_its_floor():
    spec = ScheduleSpec(min_lr_fraction=0.01)
    after = factors(spec, steps=50, warmup=5)[5:]
    assert all(later <= earlier for earlier, later in pairwise(after))
    assert after[0] == 1.0
    assert rate_factor(spec, step=50, warmup_steps=5, fraction_done=1.0) == pytest.approx(0.01)
    assert rate_factor(spec, step=99, warmup_steps=5, fraction_done=1.7) == pytest.approx(0.01)


def test_cosine_is_half_way_in_the_middle():
    assert rate_factor(ScheduleSpec(min_lr_fraction=0.0), step=9, warmup_steps=0, fraction_done=0.5) == 0.5


def test_constant_stays():
    assert set(factors(ScheduleSpec(kind="constant"), steps=10, warmup=0)) == {1.0}


def test_the_average_follows_its_formula_and_its_warm_up():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.5)
    expected = float(model.weight.detach())
    for n in range(20):
        nn.init.constant_(model.weight, float(n))
        average.update(model)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
        assert float(average.model.weight) == pytest.approx(expected, rel=1e-5)
    assert min(0.5, 20 / 29) == 0.5


def test_the_average_covers_batch_norm_s_buffers_and_needs_no_gradient():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, decay=0.9)
    model(torch.randn(8, 2) + 5)
    average.update(model)
    assert average.model.num_batches_tracked == 1
    torch.testing.assert_close(average.model.running_mean, 0.9 * model.running_mean)
    assert not any(p.requires_grad for p in average.model.parameters())
    assert not average.model.training


def test_the_average_follows_weights_that_were_loaded_or_laid_out_anew():
    model = nn.Conv2d(3, 2, 2)
    average = WeightAverage(model, decay=0.5)
    for change in (
        lambda: model.load_state_dict({name: tensor + 1 for name, tensor in model.state_dict().items()}),
        lambda: model.to(memory_format=torch.channels_last),
        lambda: nn.init.constant_(model.weight, 3.0),
    ):
        before = average.model.weight.clone()
        decay = min(0.5, (1 + average.num_updates) / (10 + average.num_updates))
        change()
        average.update(model)
        torch.testing.assert_close(average.model.weight, decay * before + (1 - decay) * model.weight.detach())


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_one_kernel_computes_what_torch_s_loop_over_tensors_does(kind, step_weights):
    kernel, loop = (step_weights(OptimSpec(kind=kind, lr=0.01), fused=fused) for fused in (True, False))
    torch.testing.assert_close(kernel, loop, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("num_micro_batches", [1, 3])
def test_fresh_statistics_follow_their_warm_up(num_micro_batches):
    norm, plain = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    statistics = FreshStatistics(norm.modules())
    mean, var = torch.zeros(2), torch.ones(2)
    for step in range(120):
        batches = [torch.randn(8, 2) * 3 + step for _ in range(num_micro_batches)]
        keep = 0.9**num_micro_batches
        with statistics.step():
            for batch in batches:
                norm(batch)
        # What torch makes of the step's batches alone.
        plain.reset_running_stats()
        for batch in batches:
            plain(batch)
        decay = min(keep, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * plain.running_mean / (1 - keep)
        var = decay * var + (1 - decay) * (plain.running_var - keep) / (1 - keep)
        torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(norm.running_var, var, rtol=1e-4, atol=1e-4)


def test_after_the_warm_up_and_when_frozen_statistics_are_torch_s_own():
    norm, plain = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    norm.num_batches_tracked.fill_(80)  # as in a resumed run
    statistics = FreshStatistics(norm.modules())
    for batch in torch.randn(5, 8, 2):
        with statistics.step():
            norm(batch)
        plain(batch)
    assert torch.equal(norm.running_mean, plain.running_mean)
    assert torch.equal(norm.running_var, plain.running_var)
    norm.eval()
    with statistics.step():
        norm(torch.randn(8, 2))
    assert torch.equal(norm.running_var, plain.running_var)


def last_epoch(spec, *, best, warmup=0.0):
    """The epoch (from 0) after which training stops when `best` was the last improvement."""
    told = {"best_epoch": best, "warmup_epochs": warmup, "num_epochs": 30}
    stops = (e for e in range(best, 50) if should_stop(spec, epoch=e, **told))
    return next(stops, None)


@pytest.mark.parametrize(
    ("min_epochs", "warmup", "best", "stops_after"),
    [(0, 0, 0, 3), (0, 0, 4, 7), (5, 0, 0, 7), (0, 6, 0, 8), (5, 6, 2, 8), (5, 0, 10, 13)],
)
def test_patience_counts_after_warm_up_and_min_epochs_only(min_epochs, warmup, best, stops_after):
    assert last_epoch(EarlyStopping(patience=3, min_epochs=min_epochs), best=best, warmup=warmup) == stops_after


def test_the_shipped_recipe_reaches_its_low_rates():
    """Where it may stop a cosine is below a fifth of its peak, whatever the run's length; and it may stop its own."""
    training = load_recipe("finetune").training
    for epochs, stops_after in ((30, 22), (training.epochs, 8)):
        asked = (
            should_stop(training.early_stopping, epoch=e, best_epoch=0, warmup_epochs=1, num_epochs=epochs)
            for e in range(epochs)
        )
        assert list(asked).index(True) == stops_after
        assert 0.5 * (1 + math.cos(math.pi * (stops_after - 1) / (epochs - 1))) < 0.2


def test_the_trainer_says_how_long_the_run_is(make_recipe, make_trainer, draw_classes, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "_is_best", lambda self, value, val_loss: not self.progress.history)
    stopping = {"patience": 1, "min_fraction": 0.5}
    recipe = make_recipe(training={"epochs": 6, "early_stopping": stopping})
    trainer = make_trainer(draw_classes(tmp_path / "data", per_class=6), recipe, tmp_path / "run")
    assert [event.epoch for event in trainer.run() if isinstance(event, EpochEnd)] == [1, 2, 3, 4]


def test_of_equal_epochs_the_lower_loss_ships(make_recipe, make_trainer, draw_classes, tmp_path):
    trainer = make_trainer(
        draw_classes(tmp_path / "data", per_class=12), make_recipe(training={"epochs": 8}), tmp_path / "run"
    )
    epochs = [event for event in trainer.run() if isinstance(event, EpochEnd)]
    perfect = [event for event in epochs if event.select_value == 1]
    assert len(perfect) > 1
    best = min(perfect, key=lambda event: event.val_loss)
    assert best is not perfect[0]
    assert trainer.progress.best_epoch == best.epoch - 1
    assert [event.is_best for event in epochs][best.epoch - 1 :] == [True] + [False] * (8 - best.epoch)


@pytest.mark.parametrize(("value", "ships"), [(0.6, True), (0.5, True), (0.4, False)])
def test_an_epoch_after_the_warm_up_must_be_as_good_as_the_start(value, ships):
    progress = Progress(best_value=0.9, best_epoch=0, best_is_early=True, history=[{"epoch": 0, "select_value": 0.5}])
    assert is_best(progress, "accuracy", value, 1.0, is_early=False) == ships
    assert not is_best(progress, "accuracy", value, 1.0, is_early=True)


def test_equal_epochs_do_not_put_off_early_stopping(make_recipe, make_trainer, draw_classes, tmp_path):
    recipe = make_recipe(training={"epochs": 20, "early_stopping": {"patience": 3, "min_epochs": 0, "min_fraction": 0}})
    trainer = make_trainer(draw_classes(tmp_path / "data", per_class=12), recipe, tmp_path / "run")
    values = [event.select_value for event in trainer.run() if isinstance(event, EpochEnd)]
    first = values.index(max(values))
    assert len(values) == first + 4
    assert trainer.progress.best_epoch > first
    assert trainer.progress.stop_reason == f"no better accuracy since epoch {first + 1}"


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_patience_must_count_at_some_time(fraction):
    with pytest.raises(ValueError, match="min_fraction"):
        EarlyStopping(patience=1, min_fraction=fraction)


def test_without_early_stopping_nothing_stops():
    assert last_epoch(None, best=0) is None


WEIGHT, GRADIENT, RATE = 2.0, 0.5, 0.1


def after_one_step(**fields):
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, WEIGHT)
    nn.init.constant_(model.bias, WEIGHT)
    optimizer = build_optimizer(OptimSpec(lr=RATE, **fields), model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, GRADIENT)
    optimizer.step()
    return float(model.weight.detach()), float(model.bias.detach())


def test_sgd_decays_the_weight_and_not_the_bias():
    decay, momentum = 0.2, 0.9
    gradient = GRADIENT + decay * WEIGHT
    nesterov = 1 + momentum
    weight, bias = after_one_step(kind="sgd", momentum=momentum, weight_decay=decay)
    assert weight == pytest.approx(WEIGHT - RATE * nesterov * gradient)
    assert bias == pytest.approx(WEIGHT - RATE * nesterov * GRADIENT)


def test_sgd_without_momentum_is_plain():
    assert after_one_step(kind="sgd", momentum=0.0, weight_decay=0.0)[0] == pytest.approx(WEIGHT - RATE * GRADIENT)


def test_adamw_decays_decoupled():
    weight, bias = after_one_step(kind="adamw", weight_decay=0.2)
    assert weight == pytest.approx(WEIGHT * (1 - RATE * 0.2) - RATE)
    assert bias == pytest.approx(WEIGHT - RATE)


def test_adam_s_decay_is_l2_and_vanishes_in_its_normalisation():
    assert after_one_step(kind="adam", weight_decay=0.2) == pytest.approx((WEIGHT - RATE, WEIGHT - RATE))


def test_betas_take_effect():
    model = nn.Linear(1, 1)
    assert build_optimizer(OptimSpec(lr=1.0, betas=(0.5, 0.6)), model).defaults["betas"] == (0.5, 0.6)
    assert math.isclose(build_optimizer(OptimSpec(lr=0.3), model).defaults["lr"], 0.3)


def test_samples_whose_outputs_are_not_finite_are_named_from_every_block(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_VALUES", 6)
    logits_NK = np.zeros((5, 3), np.float32)
    logits_NK[1, 0], logits_NK[4, 2] = np.nan, np.inf
    outputs = Outputs(tuple("abcde"), np.zeros(5, np.int64), logits_NK, np.zeros((5, 0), np.float32), ())
    assert without_number(outputs, SimpleNamespace(output=OutputSpec())) == ["b", "e"]
