"""Training of multi-label data: what it learns, what it must not, and that resume and workers change nothing."""

import json

import numpy as np
import pytest
import torch

from obverse.data import mix
from obverse.recipe import MixingSpec
from obverse.runs import EpochEnd
from obverse.runs.checkpoint import load_newest

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
CLOCK = {"seconds", "pictures_per_second", "data_wait"}


def last_epoch(trainer):
    return [event for event in trainer.run() if isinstance(event, EpochEnd)][-1]


def test_sets_of_noise_are_learned_by_heart(draw_picture, make_recipe, make_trainer, tmp_path):
    """All eight sets of three classes, none of which the pictures show: only what keeps them together learns them."""
    rows = ["labels,split,image"]
    for n in range(12):
        labels = "|".join(name for k, name in enumerate("abc") if n >> k & 1)
        rows.append(f"{labels},{'train' if n < 8 else 'val'},{draw_picture(tmp_path / f'{n}.png', seed=n).name}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    recipe = make_recipe(
        data={"labels": "multi", "split": {"train": 0.7, "val": 0.3, "test": 0.0}},
        optim={"lr": 0.02, "weight_decay": 0.0},
        model={"head": {"hidden": [16]}},
        training={"epochs": 60, "batch_size": 8, "micro_batch_size": 8},
    )
    event = last_epoch(make_trainer(tmp_path / "list.csv", recipe, tmp_path / "c"))
    assert event.train_accuracy == 1.0  # of whole sets, the empty one among them
    assert event.train_loss < 0.1
    assert event.select == "map"


def bands(root, draw_label_sets, *, num, shuffled=False):
    """The list of `draw_label_sets`; shuffled: every picture has another one's set."""
    path = draw_label_sets(root, num=num)
    header, *rows = path.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    if shuffled:
        order = np.random.default_rng(0).permutation(len(cells))
        cells = [[cells[place][0], name] for place, (_, name) in zip(order, cells, strict=True)]
    path.write_text("\n".join([header, *(",".join(row) for row in cells)]) + "\n")
    return path


@pytest.mark.parametrize("shuffled", [False, True])
def test_map_is_high_for_what_shows_and_at_chance_for_shuffled_sets(
    shuffled, draw_label_sets, make_recipe, make_trainer, tmp_path
):
    recipe = make_recipe(
        data={"labels": "multi", "split": {"train": 0.5, "val": 0.5, "test": 0.0}},
        training={"epochs": 4, "batch_size": 16, "micro_batch_size": 16},
    )
    data = bands(tmp_path / "data", draw_label_sets, num=192, shuffled=shuffled)
    event = last_epoch(make_trainer(data, recipe, tmp_path / "c"))
    # Every class is in a half of the pictures, so chance is 0.5; of 96 and three classes it spreads by about 0.04.
    assert event.select_value > 0.95 if not shuffled else event.select_value < 0.65


@pytest.fixture
def train(draw_label_sets, make_recipe, make_trainer, tmp_path):
    data = draw_label_sets(tmp_path / "data", num=24)

    def run(folder, *, stop=None, workers=0, resume=False, micro=3):
        recipe = make_recipe(
            data={"labels": "multi"},
            augment={"policy": "generic"},
            mixing={"mixup": 0.4, "cutmix": 1.0} if micro % 2 == 0 else {},
            loss={"kind": "binary-cross-entropy", "label_smoothing": 0.1, "pos_weight": "sqrt"},
            model={"head": {"hidden": [6], "dropout": 0.3}},
            training={"epochs": 2, "batch_size": 6, "micro_batch_size": micro, "ema_decay": 0.8},
            runtime={"num_workers": workers},
        )
        hooks = {"wanted_signal": lambda: 15 if trainer.progress.step == stop else None}
        trainer = make_trainer(data, recipe, tmp_path / folder, **hooks)
        if resume:
            torch.manual_seed(99)
            trainer.restore(load_newest(tmp_path / folder)[0])
        return trainer, list(trainer.run())

    return run


def assert_same(left, right):
    torch.testing.assert_close(left.model.state_dict(), right.model.state_dict(), atol=0, rtol=0)
    torch.testing.assert_close(left.best_weights, right.best_weights, atol=0, rtol=0)
    histories = [
        [{k: v for k, v in row.items() if k not in CLOCK} for row in t.progress.history] for t in (left, right)
    ]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(("stop", "micro"), [(2, 3), (3, 2), (5, 2)])
def test_a_resumed_run_is_the_run_that_never_stopped(train, stop, micro):
    whole, _ = train("whole", micro=micro)
    with pytest.raises(Exception, match="go on with --resume"):
        train("parts", stop=stop, micro=micro)
    resumed, _ = train("parts", resume=True, micro=micro)
    assert_same(whole, resumed)


def test_workers_change_nothing(train):
    assert_same(train("none")[0], train("two", workers=2)[0])


def test_mixed_sets_are_mixtures(draw_label_sets, make_recipe, make_trainer, tmp_path):
    recipe = make_recipe(data={"labels": "multi"}, training={"batch_size": 4, "micro_batch_size": 4})
    trainer = make_trainer(draw_label_sets(tmp_path / "data", num=24), recipe, tmp_path / "c")
    batch = next(trainer.loaders.train.epoch(0))
    assert batch.labels_B.tolist() == [-1] * 4
    sets = batch.label_sets_BK.float()
    torch.testing.assert_close(batch.loss_targets(trainer.objective.num_classes), sets)
    mixed = mix(batch, MixingSpec(mixup=1.0), num_classes=3, seed=0, epoch=0)
    share = mixed.shares_BV5[:, 0, 0, None]
    torch.testing.assert_close(mixed.targets_BK, share * sets + (1 - share) * sets[[1, 0, 3, 2]])
    assert (mixed.targets_BK != sets).any()


def test_the_head_starts_at_the_odds_of_each_class(draw_label_sets, make_recipe, make_trainer, tmp_path):
    recipe = make_recipe(data={"labels": "multi"}, finetune={"head_bias": "prior"})
    trainer = make_trainer(draw_label_sets(tmp_path / "data", num=24), recipe, tmp_path / "c")
    train_samples = trainer.loaders.train.dataset.samples
    share = [
        (sum(name in s.label for s in train_samples) + 1) / (len(train_samples) + 2)
        for name in ("left", "middle", "right")
    ]
    torch.testing.assert_close(trainer.model.head[-1].bias.sigmoid().tolist(), share)


def test_two_views_of_which_one_may_be_missing(draw_picture, make_recipe, make_trainer, tmp_path):
    rows = [
        {"labels": ["light"] * (n % 2), "front": f"f{n}.png", "back": f"b{n}.png"} if n % 5 else
        {"labels": ["light"] * (n % 2), "front": f"f{n}.png"} for n in range(20)
    ]  # fmt: skip
    for n in range(20):
        for side in "fb":
            draw_picture(tmp_path / f"{side}{n}.png", gray=60 + 140 * (n % 2), seed=n)
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = make_recipe(training={"epochs": 3, "batch_size": 4, "micro_batch_size": 4})
    event = last_epoch(make_trainer(tmp_path / "t.jsonl", recipe, tmp_path / "c"))
    assert event.select_value > 0.9


def test_one_class_is_enough(draw_picture, make_recipe, make_trainer, tmp_path):
    for n in range(20):
        draw_picture(tmp_path / f"{n}.png", gray=60 + 140 * (n % 2), seed=n)
    (tmp_path / "t.csv").write_text("light,image\n" + "\n".join(f"{n % 2},{n}.png" for n in range(20)))
    recipe = make_recipe(
        data={"label_columns": ["light"]}, training={"epochs": 3, "batch_size": 4, "micro_batch_size": 4}
    )
    assert last_epoch(make_trainer(tmp_path / "t.csv", recipe, tmp_path / "c")).select_value > 0.9
