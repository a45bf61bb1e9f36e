"""Training on a GPU: number formats, compilation, memory formats, fused steps, copies, recovery, resuming."""

import pytest
import torch

from obverse.errors import Interrupted
from obverse.runs import EpochEnd, Message
from obverse.runs.checkpoint import load_newest

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:This DataLoader will create")]
CLOSE = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.05}


def losses(trainer):
    return [event.train_loss for event in trainer.run() if isinstance(event, EpochEnd)]


def state_of(trainer):
    values = {f"model.{name}": tensor.cpu() for name, tensor in trainer.model.state_dict().items()}
    return values | {f"best.{name}": tensor for name, tensor in trainer.best_weights.items()}


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("precision", CLOSE)
def test_every_number_and_memory_format_learns_the_same(
    data, recipe_for, make_trainer, tmp_path, precision, channels_last
):
    head = {"model": {"backbone": {"kind": "convnet", "widths": [16]}}}  # no dropout: the numbers are compared
    plain = losses(make_trainer(data, recipe_for(**head), tmp_path / "a"))
    runtime = {"precision": precision, "channels_last": channels_last}
    trainer = make_trainer(data, recipe_for(**head, runtime=runtime), tmp_path / "b")
    found = losses(trainer)
    assert next(trainer.model.parameters()).device.type == "cuda"
    assert found[-1] < found[0]
    assert found == pytest.approx(plain, abs=CLOSE[precision])


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_learns_the_same(data, recipe_for, make_trainer, tmp_path):
    head = {"model": {"backbone": {"kind": "convnet", "widths": [16]}}}
    plain = losses(make_trainer(data, recipe_for(**head), tmp_path / "a"))
    trainer = make_trainer(data, recipe_for(**head, runtime={"compile": True}), tmp_path / "b")
    assert losses(trainer) == pytest.approx(plain, abs=1e-2)
    assert trainer.model._compiled_call_impl is not None


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_the_optimizer_is_fused_and_computes_the_same(data, recipe_for, make_trainer, step_weights, tmp_path, kind):
    trainer = make_trainer(data, recipe_for(optim={"kind": kind, "lr": 0.01}), tmp_path)
    assert trainer.optimizer.defaults["fused"] is True
    kernel, loop = (step_weights(trainer.recipe.optim, fused=fused, device="cuda") for fused in (True, False))
    torch.testing.assert_close(kernel, loop, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_pinned_and_copied_without_blocking(data, recipe_for, make_trainer, tmp_path, workers):
    trainer = make_trainer(data, recipe_for(runtime={"num_workers": workers}), tmp_path)
    batch = next(iter(trainer.loaders.train.epoch(0)))
    assert batch.images_BVCHW.is_pinned()
    copy = batch.to(torch.device("cuda"))
    torch.cuda.synchronize()
    assert torch.equal(copy.images_BVCHW.cpu(), batch.images_BVCHW)


def test_a_real_lack_of_memory_halves_the_micro_batch(draw_classes, recipe_for, make_trainer, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=24, size=(32, 32))
    model = {"backbone": {"kind": "vgg", "num_blocks": 4, "pool": "mean"}}
    fields = {"model": model, "data": {"size": {"height": 224, "width": 224}}, "evaluation": {"batch_size": 2}}
    training = {"epochs": 1, "batch_size": 16}

    def peak_of(micro):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        trainer = make_trainer(data, recipe_for(**fields, training=training, micro=micro), tmp_path / f"m{micro}")
        events = list(trainer.run())
        return torch.cuda.max_memory_reserved(), trainer, events

    small, expected, _ = peak_of(4)
    whole, *_ = peak_of(16)
    assert small < 0.6 * whole
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((small + 0.25 * (whole - small)) / total)
    _, recovered, events = peak_of(16)
    assert recovered.micro_batches.size < 16
    assert any(isinstance(event, Message) and "out of memory" in event.text for event in events)
    left, right = (trainer.progress.history[0]["train_loss"] for trainer in (recovered, expected))
    assert left == pytest.approx(right, abs=1e-2)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("stop", [2, 8])
def test_resume_is_bit_exact_in_deterministic_mode(data, recipe_for, make_trainer, tmp_path, precision, stop):
    torch.use_deterministic_algorithms(True)
    recipe = recipe_for(runtime={"precision": precision}, training={"ema_decay": 0.8}, micro=3)
    whole = make_trainer(data, recipe, tmp_path / "a")
    list(whole.run())
    first = make_trainer(
        data, recipe, tmp_path / "b", wanted_signal=lambda: 15 if first.progress.step == stop else None
    )
    with pytest.raises(Interrupted):
        list(first.run())
    again = make_trainer(data, recipe, tmp_path / "b")
    again.restore(load_newest(tmp_path / "b")[0])
    list(again.run())
    torch.testing.assert_close(state_of(again), state_of(whole), atol=0, rtol=0)
    if precision == "fp16":
        assert again.update.scaler.state_dict() == whole.update.scaler.state_dict()
        assert load_newest(tmp_path / "b")[0].state["loss_scale"]["scale"] > 0
