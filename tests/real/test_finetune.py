"""The MobileNetV2 weights come with batch norm folded away (mean 0, variance 1): it must stay frozen."""

import torch

from obverse.experiment.auto import resolve
from obverse.experiment.auto.tune import tune
from obverse.experiment.setup import build_model, describe
from obverse.manifest import build_index
from obverse.models import set_trainable


def test_folded_weights_keep_their_batch_norm(real_data, draw_classes, make_recipe, tmp_path):
    backbone = {
        "kind": "timm",
        "name": "mobilenetv2_100",
        "pretrained": str(real_data / "mobilenetv2_100_imagenet1k.safetensors"),
        "options": {"pad_type": "same"},
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    recipe = make_recipe(data={"size": {"height": 32, "width": 32}}, model={"backbone": backbone})
    index = build_index(draw_classes(tmp_path), recipe.data)
    resolved = resolve(recipe, index)
    model, bundle = build_model(resolved.recipe, index.manifest), describe(resolved.recipe, index.manifest)
    tuned = tune(resolved, model, bundle, num_train=len(index.manifest.split("train")))
    assert tuned.finetune.freeze_norm is True
    set_trainable(model, tuned.finetune, epoch=0)
    model.train()(torch.randn(4, 1, 3, 32, 32), torch.ones(4, 1, dtype=torch.bool)).sum().backward()
    norm = model.backbones[0].bn1
    assert norm.weight.grad is None
    assert not norm.running_mean.any()
    assert model.backbones[0].conv_stem.weight.grad is not None
