"""The planned peak of a GPU is within 10 % of the allocator's."""

import pytest
import torch

from obverse.manifest import build_index
from obverse.planning.plan import make_plan

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:This DataLoader will create")]
VIT = {"kind": "timm", "name": "vit_tiny_patch16_224", "pretrained": "none"}
CASES = {
    "resnet": {"backbone": {"kind": "timm", "name": "resnet18", "pretrained": "none"}},
    "vit": {"backbone": VIT},
    "convnet": {"backbone": {"kind": "convnet"}},
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("micro", [16, 4])
@pytest.mark.parametrize("name", CASES)
def test_the_peak_is_planned_within_a_tenth(data, recipe_for, make_trainer, tmp_path, name, micro, precision):
    recipe = recipe_for(
        model=CASES[name],
        data={"size": {"height": 224, "width": 224}},
        runtime={"precision": precision},
        training={"epochs": 2, "batch_size": 16},
        evaluation={"batch_size": 16},
        micro=micro,
    )
    planned = make_plan(recipe, build_index(data, recipe.data), device="cuda", gigabytes=1000.0).memory.peak
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    trainer = make_trainer(data, recipe, tmp_path)
    list(trainer.run())
    measured = torch.cuda.max_memory_allocated() - before
    assert planned == pytest.approx(measured, rel=0.1)
