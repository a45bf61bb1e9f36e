"""What a classifier must be able to learn, and what it must not seem to learn."""

import numpy as np
import pytest
from PIL import Image

from obverse.runs import EpochEnd

FAST = {"optim": {"lr": 0.02, "weight_decay": 0.0}, "model": {"head": {"hidden": [16]}}}


def last_epoch(trainer):
    return [event for event in trainer.run() if isinstance(event, EpochEnd)][-1]


def test_eight_samples_are_learned_by_heart(draw_picture, make_recipe, make_trainer, tmp_path):
    """Eight pictures of pure noise whose labels mean nothing: only a pipeline that keeps them together learns them."""
    rows = ["label,split,image"]
    for n in range(12):
        split, label = ("train", "ab"[n % 2]) if n < 8 else ("val", "ab"[n % 2])
        rows.append(f"{label},{split},{draw_picture(tmp_path / f'{n}.png', seed=n).name}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    recipe = make_recipe(
        **FAST,
        data={"split": {"train": 0.7, "val": 0.3, "test": 0.0}},
        training={"epochs": 40, "batch_size": 8, "micro_batch_size": 8},
    )
    trainer = make_trainer(tmp_path / "data.csv", recipe, tmp_path / "c")
    event = last_epoch(trainer)
    assert trainer.loaders.train.dataset.__len__() == 8
    assert event.train_accuracy == 1.0
    assert event.train_loss < 0.1


def test_after_a_few_steps_val_is_as_good_as_training(draw_classes, make_recipe, make_trainer, tmp_path):
    """Batch norm's statistics on val are those of the trained network, not of the one that it was."""
    recipe = make_recipe(
        optim={"lr": 0.03},
        model={"backbone": {"kind": "convnet", "widths": [16, 32, 64]}},
        data={"split": {"train": 0.5, "val": 0.5, "test": 0.0}},
        training={"epochs": 3, "batch_size": 16, "micro_batch_size": 16},
    )
    data = draw_classes(tmp_path / "data", classes="abcd", per_class=40)
    event = last_epoch(make_trainer(data, recipe, tmp_path / "c"))
    assert event.train_accuracy > 0.9
    assert event.val_accuracy > 0.9


def test_shuffled_labels_stay_at_chance_on_val(draw_picture, make_recipe, make_trainer, tmp_path):
    rng = np.random.default_rng(0)
    for n, label in enumerate(rng.permutation(["a"] * 100 + ["b"] * 100)):
        draw_picture(tmp_path / "data" / label / f"{n:03}.png", seed=n, gray=60 + 140 * (n % 2))
    recipe = make_recipe(
        data={"split": {"train": 0.4, "val": 0.6, "test": 0.0}},
        training={"epochs": 3, "batch_size": 16, "micro_batch_size": 16},
    )
    event = last_epoch(make_trainer(tmp_path / "data", recipe, tmp_path / "c"))
    # 120 coin flips: four standard deviations are 0.18.
    assert abs(event.val_accuracy - 0.5) < 0.18


@pytest.fixture(scope="module")
def xor_folder(tmp_path_factory):
    """The label is whether exactly one side is light: each side alone says nothing."""
    root = tmp_path_factory.mktemp("xor")
    rng = np.random.default_rng(0)
    for n in range(80):
        sides = n % 2, n // 2 % 2
        label = "different" if sides[0] != sides[1] else "same"
        for view, light in zip(("obverse", "reverse"), sides, strict=True):
            path = root / label / view / f"{n:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.normal(70 + 110 * light, 10, (16, 16, 3)).clip(0, 255)
            Image.fromarray(noise.astype(np.uint8)).save(path)
    return root


def xor_recipe(make_recipe, *, model=FAST["model"], **data):
    split = {"train": 0.5, "val": 0.5, "test": 0.0}
    return make_recipe(
        optim=FAST["optim"],
        model=model,
        data={"split": split, **data},
        training={"epochs": 25, "batch_size": 8, "micro_batch_size": 8},
    )


@pytest.mark.parametrize("model", [{}, {"fusion": {"kind": "concat"}, **FAST["model"]}], ids=["default", "concat"])
def test_a_label_that_needs_both_views_is_learned(model, xor_folder, make_recipe, make_trainer, tmp_path):
    event = last_epoch(make_trainer(xor_folder, xor_recipe(make_recipe, model=model), tmp_path))
    assert event.val_accuracy == 1.0


def test_and_not_by_one_view_alone(xor_folder, make_recipe, make_trainer, tmp_path):
    rows = ["label,obverse"]
    for path in sorted(xor_folder.glob("*/obverse/*.png")):
        rows.append(f"{path.parts[-3]},{path}")
    (tmp_path / "one.csv").write_text("\n".join(rows))
    recipe = xor_recipe(make_recipe, views=["obverse"])
    event = last_epoch(make_trainer(tmp_path / "one.csv", recipe, tmp_path / "c"))
    # 40 coin flips: three standard deviations are 0.24.
    assert event.val_accuracy < 0.75
