"""What `auto` becomes, from facts about the data alone."""

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from obverse.errors import RecipeError
from obverse.experiment.auto import Machine, resolve
from obverse.manifest import Samples
from obverse.recipe import POLICIES, HeadFirstSpec, build_recipe

from .auto_facts import CPU, UNREACHABLE, index_of, resolved, set_hub


@pytest.fixture(params=[None, UNREACHABLE], ids=["hub", "offline"])
def hub(request, monkeypatch):
    return set_hub(monkeypatch, request.param)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    set_hub(monkeypatch, UNREACHABLE)


def leaves(value, where="") -> Iterator[tuple[str, object]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield where, value
    else:
        for key, inner in items:
            yield from leaves(inner, f"{where}.{key}")


@pytest.mark.parametrize("views", [("image",), ("obverse", "reverse")])
@pytest.mark.parametrize("size", [(32, 32), (300, 400)])
def test_nothing_is_left_to_chance(size, views):
    values = resolved(index_of(size, views=views)).recipe.model_dump(mode="json")
    values.pop("name")
    assert "auto" not in {value for _, value in leaves(values)}


def test_what_only_the_model_can_tell_is_open_and_plain_until_then():
    runtime = CPU | {"precision": "auto", "channels_last": True}
    machine = Machine("cpu", 4, "highest", True)
    found = resolve(build_recipe({"runtime": runtime}, "test"), index_of(), machine)
    assert found.open == {"finetune.freeze_norm", "runtime.precision", "runtime.compile"}
    runtime = found.recipe.runtime
    assert (runtime.precision, runtime.channels_last, runtime.compile) == ("fp32", True, False)
    without = replace(machine, supports_bf16=False)
    assert (
        "runtime.precision"
        not in resolve(
            build_recipe({"runtime": runtime.model_dump() | {"precision": "auto"}}, "test"), index_of(), without
        ).open
    )


def test_it_depends_on_the_facts_and_changes_nothing_in_the_process():
    recipe = build_recipe({"runtime": {"device": "cpu"}}, "test")
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state()
    machine = Machine("cpu", 64, "medium", False)
    first, second = (resolve(recipe, index_of(), machine) for _ in range(2))
    assert first == second
    assert (first.recipe.runtime.num_threads, first.recipe.runtime.matmul) == (64, "medium")
    after = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


def test_resolving_again_changes_nothing():
    once = resolved().recipe
    assert resolve(once, index_of()).recipe == once


def test_small_pictures_get_the_convnet_at_their_own_size_and_are_not_resampled(hub):
    recipe = resolved(index_of((32, 32))).recipe
    assert recipe.model.backbone.kind == "convnet"
    assert (recipe.data.size.height, recipe.data.size.width) == (32, 32)
    assert (recipe.augment.shift, recipe.augment.min_scale) == (0.125, 1.0)


def test_large_pictures_get_pretrained_weights_when_they_can_be_had(monkeypatch):
    set_hub(monkeypatch, None)
    found = resolved(index_of((600, 600)))
    backbone = found.recipe.model.backbone
    assert (backbone.kind, backbone.name, backbone.pretrained) == (
        "timm",
        "mobilenetv4_conv_medium.e500_r224_in1k",
        "hub",
    )
    assert found.recipe.data.size.height == 224
    assert found.needs.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("pictures", "data", "wanted"),
    [
        ((600, 600), {}, (160, 160, 1.0)),
        ((600, 1200), {}, (112, 224, 1.0)),
        ((600, 600), {"fit": "crop"}, (160, 160, 0.95)),
        ((600, 600), {"fit": "crop", "crop_fraction": 0.5}, (160, 160, 0.5)),
        ((600, 600), {"size": {"height": 64, "width": 32}, "fit": "squash"}, (64, 32, 1.0)),
    ],
    ids=["square", "2:1", "crop", "given fraction", "given size"],
)
def test_size_and_crop_are_those_of_the_weights_where_nothing_is_said(pictures, data, wanted):
    model = {"backbone": {"kind": "timm", "name": "test_vit.r160_in1k"}}
    found = resolved(index_of(pictures), model=model, data=data).recipe.data
    assert (found.size.height, found.size.width, found.crop_fraction) == wanted


def test_and_the_convnet_with_the_reason_when_they_cannot():
    found = resolved(index_of((600, 600)))
    assert found.recipe.model.backbone.kind == "convnet"
    assert found.recipe.data.size.height == 128
    assert any(UNREACHABLE in line for line in found.reasons)


def test_a_pretrained_model_gets_a_lower_rate(monkeypatch):
    scratch = resolved(index_of((600, 600))).recipe.optim.lr
    set_hub(monkeypatch, None)
    assert resolved(index_of((600, 600))).recipe.optim.lr < scratch


@pytest.mark.parametrize(
    ("finetune", "num_pictures", "is_wanted"),
    [({}, 20, True), ({}, 19, False), ({"train": "head"}, 20, False), ({"unfreeze_epochs": 1}, 20, False),
     ({"head_first": None}, 20, False), ({"layer_decay": 0.7}, 20, True), ({"lora": {}}, 20, True)],
)  # fmt: skip
def test_the_head_of_pretrained_weights_goes_first_where_the_features_can_be_kept(
    monkeypatch, finetune, num_pictures, is_wanted
):
    set_hub(monkeypatch, None)
    monkeypatch.setattr(sys.modules["obverse.experiment.auto.resolve_training"], "MAX_FEATURES", num_pictures)
    chosen = resolved(index_of((600, 600)), finetune=finetune).recipe.finetune
    assert chosen.head_first == (HeadFirstSpec() if is_wanted else None)


def test_from_scratch_nothing_goes_first():
    assert resolved(index_of((600, 600))).recipe.finetune.head_first is None


def test_a_head_alone_learns_faster_than_a_whole_network(monkeypatch):
    set_hub(monkeypatch, None)
    whole, head = (resolved(index_of((600, 600)), finetune={"train": train}).recipe for train in ("all", "head"))
    assert head.optim.lr > whole.optim.lr == pytest.approx(1e-3 * (whole.training.batch_size / 128) ** 0.5, rel=0.01)


def test_one_common_aspect_ratio_is_kept_and_mixed_ones_become_square():
    wide = resolved(index_of((500, 1000))).recipe.data.size
    assert wide.width / wide.height == pytest.approx(2, abs=0.25)
    mixed = resolved(index_of(sizes=[(500, 1000), (1000, 500)])).recipe.data.size
    assert mixed.width == mixed.height


@pytest.mark.parametrize("views", [("obverse", "reverse"), ("image",)])
@pytest.mark.parametrize("backbone", [{"kind": "convnet"}, {"kind": "timm", "name": "resnet-18"}])
def test_coins_turn_with_pretrained_weights_and_are_not_mirrored_from_scratch(views, backbone):
    augment = resolved(index_of((300, 300), views=views), model={"backbone": backbone}).recipe.augment
    of_coins = "no-mirror" if backbone["kind"] == "convnet" else "round"
    assert augment.policy == ("generic" if views == ("image",) else of_coins)
    assert augment.mirror == POLICIES[augment.policy]["mirror"]


def test_pretrained_weights_take_small_batches_and_enough_steps_where_samples_are_few():
    def lengths(name, num):
        backbone = {"kind": "convnet"} if name == "convnet" else {"kind": "timm", "name": name}
        training = resolved(index_of((300, 300), counts=(num, num)), model={"backbone": backbone}).recipe.training
        return training.batch_size, training.epochs

    assert lengths("resnet-18", 8)[0] == lengths("convnet", 8)[0] == 8
    assert lengths("resnet-18", 16)[1] == 150, "300 steps, two an epoch"
    assert lengths("convnet", 16)[1] == 60
    assert lengths("resnet-18", 400)[0] == 16
    assert lengths("convnet", 400)[0] == 32
    assert lengths("resnet-18", 1200)[0] == lengths("convnet", 1200)[0] == 128


@pytest.mark.parametrize(
    ("classes", "views", "policy"),
    [
        (("MS65", "PR65", "MS66"), ("image",), "no-mirror"),
        (("XF45", "XF details"), ("image",), "no-mirror"),
        (("EF40", "XF40"), ("left", "right"), "no-mirror"),
        (("cat", "dog"), ("Obverse", "Reverse"), "no-mirror"),
        (("F14", "boeing", "airbus"), ("image",), "generic"),
        (("cleaned", "dirty"), ("image",), "generic"),
    ],
)
def test_grades_are_grades_also_where_they_have_no_order(classes, views, policy):
    index = index_of((300, 300), counts=(20,) * len(classes), views=views)
    named = {f"class{k}": name for k, name in enumerate(classes)}
    samples = [replace(s, label=named[s.label]) for s in index.manifest.samples]
    manifest = replace(index.manifest, samples=Samples.of(samples), classes=classes)
    assert resolved(replace(index, manifest=manifest)).recipe.augment.policy == policy


def test_the_convnet_answers_for_mirror_images_only_where_training_mirrors(hub):
    def mirrored(**sections):
        return resolved(index_of((32, 32)), **sections).recipe.model.backbone.mirrored

    assert (mirrored(), mirrored(augment={"policy": "no-mirror"}), mirrored(augment={"mirror": 0.0})) == (
        True,
        False,
        False,
    )
    given = {"backbone": {"kind": "convnet", "mirrored": False}}
    assert mirrored(model=given) is False


def directed(**sections):
    index = index_of()
    names = {"class0": "turn left", "class1": "turn right"}
    samples = [replace(sample, label=names[sample.label]) for sample in index.manifest.samples]
    manifest = replace(index.manifest, samples=samples, classes=tuple(names.values()))
    return resolved(replace(index, manifest=manifest), **sections)


def test_classes_that_are_mirror_images_are_not_mirrored_and_it_is_said(hub):
    found = directed()
    augment, backbone = found.recipe.augment, found.recipe.model.backbone
    assert (augment.policy, augment.mirror, backbone.mirrored) == ("generic", 0.0, False)
    assert "no mirror images, because `turn left` and `turn right` are each other's mirror image (by their names); " \
        "augment.mirror=0.5 turns them on" in found.reasons  # fmt: skip


def test_who_asks_for_mirror_images_gets_them_and_is_warned(hub):
    found = directed(augment={"policy": "trivial"})
    assert found.recipe.augment.mirror == 0.5
    assert any("set augment.mirror=0" in reason for reason in found.reasons)
    assert directed(augment={"mirror": 0.5}).recipe.augment.mirror == 0.5
    assert directed(augment={"policy": "no-mirror"}).recipe.augment.mirror == 0.0


def test_a_policy_that_was_given_stays_with_its_numbers():
    augment = resolved(index_of((300, 300)), augment={"policy": "none", "rotation_degrees": 5.0}).recipe.augment
    assert (augment.policy, augment.rotation_degrees, augment.mirror) == ("none", 5.0, 0.0)


@pytest.mark.parametrize(
    ("index", "select"),
    [
        (index_of(), "accuracy"),
        (index_of(counts=(8, 400)), "macro_f1"),
        (index_of(ordered=True), "mae"),
        (index_of(ordered=True, counts=(8, 400)), "mae"),
    ],
    ids=["plain", "imbalanced", "ordered", "both"],
)
def test_the_best_epoch_is_chosen_by_what_matters(index, select):
    assert resolved(index).recipe.training.select == select


def test_views_and_class_order_are_written_down():
    data = resolved(index_of(views=("front", "back"), ordered=True)).recipe.data
    assert (data.views, data.order) == (("front", "back"), ("class0", "class1"))
    assert resolved().recipe.data.order == "none"


def test_several_views_get_a_fusion_that_can_compare_them():
    one, two = resolved(), resolved(index_of(views=("front", "back")))
    assert one.recipe.model.fusion.kind == "concat"
    assert not [said for said in one.reasons if "fusion" in said]
    assert two.recipe.model.fusion.model_dump() == {"kind": "gated", "width": 256, "view_embedding": True}
    assert "fusion: gated, because a class may depend on several views together" in two.reasons
    given = resolved(index_of(views=("front", "back")), model={"fusion": {"kind": "concat"}})
    assert given.recipe.model.fusion.kind == "concat"
    assert not [said for said in given.reasons if "fusion" in said]


def test_a_large_set_is_split_by_digest_and_a_small_one_stratified():
    assert resolved().recipe.data.split.strategy == "stratified"
    assert resolved(index_of(counts=(10_000, 10_000))).recipe.data.split.strategy == "digest"


def test_more_data_gets_larger_batches_and_fewer_epochs():
    few, many = resolved().recipe.training, resolved(index_of(counts=(9000, 9000))).recipe.training
    assert few.batch_size < many.batch_size
    assert few.epochs > many.epochs
    assert few.micro_batch_size == few.batch_size


def test_numbers_that_were_given_stay():
    recipe = resolved(
        training={"epochs": 7, "batch_size": 12, "micro_batch_size": 5, "select": "loss"},
        optim={"lr": 0.123},
        schedule={"warmup_epochs": 2},
        data={"size": {"height": 48, "width": 80}},
    ).recipe
    training = recipe.training
    assert (training.epochs, training.batch_size, training.micro_batch_size, training.select) == (7, 12, 5, "loss")
    assert (recipe.optim.lr, recipe.schedule.warmup_epochs) == (0.123, 2)
    assert (recipe.data.size.height, recipe.data.size.width) == (48, 80)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"training": {"select": "mae"}}, "mae needs classes with an order"),
        ({"loss": {"kind": "sord"}}, "loss.kind: sord needs classes with an order"),
        ({"loss": {"decode": "median"}}, "loss.decode: median needs classes with an order"),
        ({"training": {"batch_size": 4, "micro_batch_size": 8}}, "micro_batch_size 8 is larger than batch_size 4"),
        ({"training": {"epochs": 3}, "schedule": {"warmup_epochs": 3}}, "leaves nothing of 3 epochs"),
        ({"model": {"backbone": {"kind": "timm", "name": "resnett18"}}}, "did you mean `resnet18`"),
    ],
)
def test_what_cannot_work_is_refused(sections, sentence):
    with pytest.raises(RecipeError, match=sentence):
        resolved(**sections)


def test_a_metric_of_several_classes_is_not_chosen_by_a_val_of_one():
    with pytest.raises(RecipeError, match="mcc needs at least two classes in val"):
        resolved(index_of(counts=(20, 2)), training={"select": "mcc"})
    assert resolved(index_of(counts=(20, 8)), training={"select": "mcc"}).recipe.training.select == "mcc"
