"""Two processes are one: losses, metrics and weights at the same global batch, uneven last batches included."""

import pytest
import timm
import torch
from safetensors.torch import save_file

pytestmark = pytest.mark.xdist_group("ranks")
# 1e-6 of the issue, where weights are of order one.
CLOSE = {"atol": 1e-6, "rtol": 1e-5}
PLAIN = {
    "model": {"backbone": {"kind": "timm", "name": "vit_tiny_patch16_224", "pretrained": "none",
                           "options": {"embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 8}}},
}  # fmt: skip
# At ten times the rate, what processors round differently adds up to more than these bounds.
SGD = {"kind": "sgd", "lr": 0.005}
CASES = {
    "vit": PLAIN | {"optim": SGD | {"clip_norm": 0.5}},
    "vit-mixup": PLAIN | {"optim": SGD, "mixing": {"mixup": 0.4, "cutmix": 1.0}},
    "vit-accumulated": PLAIN | {"optim": SGD, "training": {"micro_batch_size": 1, "ema_decay": 0.8, "select": "loss"}},
    "batch-norm": {"optim": SGD, "augment": {"policy": "generic"}},
    "batch-norm-average": {"optim": SGD, "training": {"ema_decay": 0.8}, "loss": {"class_weights": "inverse"}},
}
# Adam takes a step even where a gradient is nothing but rounding (the bias of a key), so it is tried on the head alone.
HEAD = ("test_vit", {"train": "head"}, {"lr": 1e-3})
FINETUNING = {
    "head": HEAD,
    "frozen": ("test_vit", {"freeze_stages": 2}, SGD),
    "head-first": ("test_vit", {"head_first": {}}, SGD),
    "unfreezing": ("test_vit", {"unfreeze_epochs": 1}, SGD),
    "lora": ("test_vit", {"lora": {"rank": 2}}, SGD),
    "frozen-norm": ("test_resnet", {"freeze_norm": True}, SGD),
}
UNSHARDED = ("unfreezing", "lora")
QUICK = (("head", "ddp"), ("unfreezing", "ddp"), ("head-first", "fsdp"))
TRIED = [
    pytest.param(case, kind, marks=[] if (case, kind) in QUICK else pytest.mark.full)
    for case in FINETUNING
    for kind in ("ddp", "fsdp")
    if kind == "ddp" or case not in UNSHARDED
]


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    """27 training samples: the last batch of 4 has 3, of 2 ranks one with a padded place; of 26, the last has 2."""
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=19)


@pytest.fixture(scope="module")
def views(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("views"), per_class=13, views=("obverse", "reverse"))


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, make_recipe):
    """The recipe of a fine-tuning from weights that are there."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights")
    for name in ("test_vit", "test_resnet"):
        save_file(timm.create_model(name, num_classes=0).state_dict(), path / f"{name}.safetensors")

    def make(name, finetune, optim, distributed):
        backbone = {"kind": "timm", "name": name, "pretrained": str(path / f"{name}.safetensors")}
        return make_recipe(
            data={"size": {"height": 32, "width": 32}},
            model={"backbone": backbone},
            optim=optim,
            finetune=finetune,
            training={"ema_decay": 0.8},
            runtime={"distributed": distributed},
        )

    return make


def assert_equal(ranks, alone):
    main, other = ranks
    for answer in ranks:
        torch.testing.assert_close(answer["losses"], alone["losses"], **CLOSE)
    torch.testing.assert_close(main["tensors"], alone["tensors"], **CLOSE)
    assert not any(other["tensors"].values())
    # How long fitting the head took is no result.
    assert main["progress"] | {"head_seconds": 0} == near(alone["progress"] | {"head_seconds": 0})


def near(value):
    """What is equal to `value` but for rounding."""
    if isinstance(value, dict):
        return {key: near(part) for key, part in value.items()}
    if isinstance(value, list):
        return [near(part) for part in value]
    return pytest.approx(value, rel=1e-5, abs=1e-6, nan_ok=True) if isinstance(value, float) else value


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("case", CASES)
def test_two_ranks_are_one(ranks, alone, make_recipe, data, tmp_path, case, kind):
    recipe = make_recipe(**CASES[case])
    expected = alone.train(data=data, recipe=recipe, folder=tmp_path / "alone")
    shared = make_recipe(**CASES[case] | {"runtime": {"distributed": kind}})
    answers = ranks.train(data=data, recipe=shared, folder=tmp_path / "ranks", blocks=1)
    assert_equal(answers, expected)


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=pytest.mark.full)])
def test_batch_norm_sees_the_micro_batches_of_all(ranks, alone, make_recipe, data, tmp_path, kind):
    """Two ranks with micro-batches of 2 are one process with 4, and another run than one process with 2."""

    def recipe(size, distributed="auto"):
        training = {"batch_size": 8, "micro_batch_size": size}
        return make_recipe(optim=SGD, training=training, runtime={"distributed": distributed})

    shared = ranks.train(data=data, recipe=recipe(2, kind), folder=tmp_path / "ranks", blocks=1)
    four = alone.train(data=data, recipe=recipe(4), folder=tmp_path / "four")
    assert (shared[0]["progress"].pop("micro_batch_size"), four["progress"].pop("micro_batch_size")) == (2, 4)
    assert_equal(shared, four)
    other = alone.train(data=data, recipe=recipe(2), folder=tmp_path / "two")
    assert max(abs(a - b) for a, b in zip(shared[0]["losses"], other["losses"], strict=True)) > 1e-3


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp", marks=pytest.mark.full)])
def test_label_sets(ranks, alone, make_recipe, draw_label_sets, tmp_path, kind):
    data = draw_label_sets(tmp_path / "data", num=39)
    loss = {"kind": "binary-cross-entropy", "pos_weight": "sqrt"}
    parts = {"data": {"labels": "multi"}, "loss": loss, "mixing": {"mixup": 0.4}, "optim": SGD}
    recipe = make_recipe(**PLAIN | parts)
    expected = alone.train(data=data, recipe=recipe, folder=tmp_path / "alone")
    shared = make_recipe(**PLAIN | parts | {"runtime": {"distributed": kind}})
    assert_equal(ranks.train(data=data, recipe=shared, folder=tmp_path / "ranks", blocks=1), expected)


@pytest.mark.parametrize("per_class", [9, 10, pytest.param(11, marks=pytest.mark.full), 12])
def test_every_length_of_the_last_batch(ranks, alone, make_recipe, draw_classes, tmp_path, per_class):
    data = draw_classes(tmp_path / "data", per_class=per_class)
    recipe = make_recipe(optim=SGD, training={"epochs": 1})
    expected = alone.train(data=data, recipe=recipe, folder=tmp_path / "alone")
    assert_equal(ranks.train(data=data, recipe=recipe, folder=tmp_path / "ranks"), expected)


QUICK_FUSION = ("cross-view", "fsdp")


@pytest.mark.parametrize(
    ("fusion", "kind"),
    [
        pytest.param(fusion, kind, marks=[] if (fusion, kind) == QUICK_FUSION else pytest.mark.full)
        for fusion in ("max", "average", "attention", "gated", "multiplicative", "cross-view")
        for kind in ("ddp", "fsdp")
    ],
)
def test_fusions_view_heads_and_columns(ranks, alone, make_recipe, views, tmp_path, fusion, kind):
    """Every part that a classifier may have beside backbones and head."""
    rows = ["label,obverse,reverse,mint,year"]
    for number, path in enumerate(sorted(views.glob("*/obverse/*.png"))):
        reverse = str(path).replace("obverse", "reverse")
        rows.append(f"{path.parts[-3]},{path},{reverse},{'DS'[number % 2]},{1900 + number if number % 3 else ''}")
    table = tmp_path / "coins.csv"
    table.write_text("\n".join(rows))
    width = {} if fusion in ("max", "average") else {"width": 8}
    view_heads = None if fusion == "average" else {}
    sections = {
        "data": {"columns": {"mint": "category", "year": "number"}},
        "model": {"fusion": {"kind": fusion, **width}, "view_heads": view_heads},
        "optim": SGD,
        "augment": {"view_dropout": 0.3},
    }
    expected = alone.train(data=table, recipe=make_recipe(**sections), folder=tmp_path / "alone")
    shared = make_recipe(**sections, runtime={"distributed": kind})
    assert_equal(ranks.train(data=table, recipe=shared, folder=tmp_path / "ranks", blocks=1), expected)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("sharing", ["shared", pytest.param("separate", marks=pytest.mark.full)])
def test_two_views(ranks, alone, make_recipe, views, tmp_path, kind, sharing):
    sections = {"model": {"sharing": sharing}, "optim": SGD, "augment": {"policy": "generic", "view_dropout": 0.3}}
    expected = alone.train(data=views, recipe=make_recipe(**sections), folder=tmp_path / "alone")
    shared = make_recipe(**sections, runtime={"distributed": kind})
    assert_equal(ranks.train(data=views, recipe=shared, folder=tmp_path / "ranks"), expected)


@pytest.mark.parametrize(("case", "kind"), TRIED)
def test_finetuning(ranks, alone, finetuned, data, tmp_path, case, kind):
    expected = alone.train(data=data, recipe=finetuned(*FINETUNING[case], "auto"), folder=tmp_path / "alone")
    shared = finetuned(*FINETUNING[case], kind)
    assert_equal(ranks.train(data=data, recipe=shared, folder=tmp_path / "ranks"), expected)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 64])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluation_is_exact_and_in_manifest_order(ranks, alone, make_recipe, views, split, batch_size):
    arguments = {"data": views, "recipe": make_recipe(), "split": split, "batch_size": batch_size}
    expected = alone.evaluate(**arguments)
    main, other = ranks.evaluate(**arguments)
    assert main["ids"] == expected["ids"]
    assert (main["labels"] == expected["labels"]).all()
    torch.testing.assert_close(main["logits"], expected["logits"], **CLOSE)
    torch.testing.assert_close(main["alone"], expected["alone"], **CLOSE, equal_nan=True)
    assert other["ids"] == ()


@pytest.mark.parametrize("kind", ["plain", "affine-free", "linear", "timm", "cumulative"])
@pytest.mark.parametrize(("sizes", "padding"), [([4, 4], 0), ([5, 2], 3), ([3, 0], 2)])
def test_batch_norm_over_ranks_is_batch_norm_over_all(ranks, alone, kind, sizes, padding):
    expected = alone.normalise(sizes=sizes, padding=padding, kind=kind)
    answers = ranks.normalise(sizes=sizes, padding=padding, kind=kind)
    for answer in answers:
        for name in ("gradients", "buffers", "eval"):
            torch.testing.assert_close(answer[name], expected[name], atol=1e-4, rtol=1e-5)
    for step, (outputs, gradients) in enumerate(expected["rows"]):
        for column, whole in enumerate((outputs, gradients)):
            parts = torch.cat([answer["rows"][step][column] for answer in answers])
            torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)


PRESENT = {
    "some": [[True, False], [True, True], [False, True], [True, True], [True, False], [True, True]],
    "a-rank-has-none": [[True, True], [False, True], [True, True], [True, False], [True, False], [True, False]],
    "nobody-has": [[True, False]] * 6,
}


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("sharing", ["shared", "separate"])
@pytest.mark.parametrize("present", PRESENT)
def test_views_that_are_missing_are_in_no_rank_s_statistics(ranks, alone, present, sharing, kind):
    arguments = {"present": PRESENT[present], "sharing": sharing, "kind": kind}
    expected = alone.missing_views(**arguments)
    for answer in ranks.missing_views(**arguments):
        for name in ("gradients", "buffers"):
            torch.testing.assert_close(answer[name], expected[name], atol=1e-5, rtol=1e-4)
