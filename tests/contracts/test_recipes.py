"""Every shipped recipe says what it is for, and loads."""

import re
from functools import reduce

import pytest

from obverse.recipe import load_recipe, shipped_recipes

HEADER = ("Goal", "Data", "Hardware", "Command", "Expected")
EXPECTED_RECIPES = {
    "auto",
    "cifar10-cct",
    "cifar10-finetune",
    "coins-rectangular",
    "coins-resnet50",
    "coins-two-view",
    "few-shot",
    "finetune",
    "long-tail-lora",
    "long-tail-scratch",
}


def test_the_promised_recipes_are_shipped():
    assert set(shipped_recipes()) >= EXPECTED_RECIPES


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_header_and_content(name):
    text = shipped_recipes()[name]
    keys = [line.removeprefix("# ").partition(": ") for line in text.splitlines() if line.startswith("# ")]
    found = {key: value for key, colon, value in keys if colon and key in HEADER}
    assert tuple(found) == HEADER
    assert all(value.strip() for value in found.values())
    assert found["Command"].startswith("obverse ")
    assert load_recipe(name).name == name


def test_the_variants_of_the_document_load_and_what_is_compared_is_alike():
    lines = [line for line in shipped_recipes()["coins-rectangular"].splitlines() if line.startswith("#  ")]
    settings = [re.findall(r"[a-z_]+\.[\w.]+=(?:\{[^}]*\}|\[[^\]]*\]|[\w.-]+)", line) for line in lines]
    assert all(settings)
    recipes = [load_recipe("coins-rectangular", changes) for changes in settings]
    assert [recipe for recipe in recipes if recipe.training.micro_batch_size == 4 < recipe.training.batch_size]
    one, other = load_recipe("coins-rectangular"), load_recipe("coins-resnet50")
    assert (one.data, one.augment) == (other.data, other.augment)


PRESETS = {
    "coins-two-view": {  # A1, A7, A8
        "data.size": (1000, 1000), "data.split.train": 0.7, "data.split.test": 0.2, "data.split.val": 0.1,
        "augment.policy": "no-mirror", "model.sharing": "separate", "optim.lr": 1e-4, "optim.weight_decay": 0.01,
        "training.epochs": 30, "training.micro_batch_size": 2, "training.batch_size": 16,
    },
    "coins-rectangular": {  # B3, B4
        "data.size": (256, 512), "model.backbone.kind": "vgg", "model.backbone.num_blocks": 5,
        "model.head.hidden": (2048, 1024), "model.head.dropout": 0.5, "optim.kind": "adam", "optim.lr": 1e-3,
        "training.batch_size": 4, "training.epochs": 50,
    },
    "finetune": {"optim.kind": "adamw", "optim.lr": 5e-5, "training.epochs": 10, "training.batch_size": 32},  # C4
    "long-tail-scratch": {  # D3 to D6
        "data.split.strategy": "digest", "data.split.train": 0.8, "data.split.val": 0.1,
        "training.batch_size": 256, "training.epochs": 100, "optim.lr": 2.5e-4, "schedule.warmup_epochs": 10,
        "optim.weight_decay": 0.05, "optim.betas": (0.9, 0.999), "optim.clip_norm": 1.0, "loss.label_smoothing": 0.1,
        "loss.class_weights": "effective", "loss.effective_beta": 0.999, "mixing.mixup": 0.8, "mixing.cutmix": 1.0,
        "model.backbone.drop_path_rate": 0.1, "augment.min_scale": 0.8, "augment.jitter": 0.2, "augment.gray": 0.1,
        "augment.erasing": 0.25,
    },
    "cifar10-finetune": {"data.size": (224, 224), "training.epochs": 3},  # E1
}  # fmt: skip


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in PRESETS.items() for field in fields])
def test_a_preset_has_the_document_s_number(name, field):
    value = reduce(getattr, field.split("."), load_recipe(name))
    assert ((value.height, value.width) if field == "data.size" else value) == PRESETS[name][field]


def test_the_long_tail_s_rate_ends_at_a_millionth():
    recipe = load_recipe("long-tail-scratch")
    assert recipe.optim.lr * recipe.schedule.min_lr_fraction == pytest.approx(1e-6)
