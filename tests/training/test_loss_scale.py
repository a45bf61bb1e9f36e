"""The loss scale of fp16, on a processor: it changes nothing, skips what overflowed, and travels in the checkpoint."""

import pytest
import torch
from torch import nn

from obverse.data import Batch
from obverse.engines import Forward
from obverse.errors import DivergedError, RecipeError
from obverse.experiment.auto import resolve
from obverse.losses import build_objective
from obverse.manifest import build_index
from obverse.models import build_classifier
from obverse.recipe import LossSpec, ModelSpec, VGGBackbone
from obverse.training import MicroBatches, Update, train_step
from obverse.training.parallel import Parallel

FORWARD = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))


def scaler(scale=1024.0):
    return torch.amp.GradScaler("cpu", init_scale=scale)


@pytest.fixture
def model():
    torch.manual_seed(0)
    spec = ModelSpec(backbone=VGGBackbone(num_blocks=4, pool="mean"))
    return build_classifier(spec, num_views=1, num_classes=3, height=16, width=16).train()


def step(model, scale=None, forward=FORWARD):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 1, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels, valid = torch.tensor([0, 1, 2, 0]), torch.ones(4, dtype=torch.bool)
    batch = Batch(images, torch.ones(4, 1, dtype=torch.bool), labels, valid, tuple("abcd"))
    objective = build_objective(LossSpec(kind="cross-entropy", decode="mode"), counts=[1, 1, 1])
    update = Update(torch.optim.SGD(model.parameters(), lr=0.1), 1.0, scale)
    return train_step(Parallel(model), update, forward, batch, micro_batches=MicroBatches(2), objective=objective)


def copy_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_a_scale_that_is_a_power_of_two_changes_no_bit(model):
    start = copy_of(model)
    plain = step(model)
    expected = copy_of(model)
    model.load_state_dict(start)
    assert step(model, scaler()) == plain
    torch.testing.assert_close(copy_of(model), expected, atol=0, rtol=0)
    assert not torch.equal(expected["head.0.weight"], start["head.0.weight"])


def test_fp16_trains(model):
    forward = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"), "fp16")
    scale = scaler()
    losses = [step(model, scale, forward).loss_sum for _ in range(12)]
    assert losses[-1] < losses[0]


def test_an_overflow_leaves_the_step_out_and_halves_the_scale(model):
    hook = model.head[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    start, scale = copy_of(model), scaler()
    step(model, scale)
    torch.testing.assert_close(copy_of(model), start, atol=0, rtol=0)
    assert scale.get_scale() == 512
    hook.remove()
    step(model, scale)
    assert not torch.equal(model.head[0].weight, start["head.0.weight"])


def test_an_overflow_that_no_scale_can_mend_is_divergence(model):
    model.head[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(DivergedError, match="gradient norm"):
        step(model, scaler(1.0))
    nn.init.constant_(model.head[0].bias, float("nan"))
    with pytest.raises(DivergedError, match="the loss is nan"):
        step(model, scaler())


def test_the_scale_travels_in_the_checkpoint(draw_classes, make_recipe, make_trainer, tmp_path):
    data = draw_classes(tmp_path / "data")
    trainer, other = (make_trainer(data, make_recipe(), tmp_path / name) for name in "ab")
    trainer.update = Update(trainer.optimizer, None, scaler(2.0))
    list(trainer.run())
    checkpoint = trainer.checkpoint()
    other.update = Update(other.optimizer, None, scaler(64.0))
    other.restore(checkpoint)
    assert other.update.scaler.state_dict() == trainer.update.scaler.state_dict()
    assert other.update.scaler.get_scale() == 2.0
    assert other.update.scaler.state_dict()["_growth_tracker"] == trainer.progress.step


@pytest.mark.parametrize(
    ("runtime", "sentence"), [({"precision": "fp16"}, "fp16 needs a CUDA device, and this is cpu; use bf16 or auto")]
)
def test_fp16_elsewhere_is_refused(draw_classes, make_recipe, tmp_path, runtime, sentence):
    recipe = make_recipe(runtime=runtime)
    with pytest.raises(RecipeError, match=sentence):
        resolve(recipe, build_index(draw_classes(tmp_path), recipe.data))
