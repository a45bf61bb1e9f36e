"""A recipe means what it says: unknown keys, wrong types and settings without effect are refused in sentences."""

from __future__ import annotations

import pytest

from obverse.errors import RecipeError
from obverse.recipe import LossSpec, OptimSpec, Recipe, ScheduleSpec, build_recipe, load_recipe


def refusal(*settings: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe("auto", settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("setting", "place", "suggestion"),
    [
        ("trainin.epochs=3", "trainin", "training"),
        ("optim.weight_dcay=0.1", "optim.weight_dcay", "weight_decay"),
        ("data.split.vall=0.1", "data.split.vall", "val"),
        ("model.backbone={kind: timm, name: x, pretraind: hub}", "model.backbone.pretraind", "pretrained"),
        ("model.backbone={kind: vgg, num_block: 5}", "model.backbone.num_block", "num_blocks"),
    ],
)
def test_unknown_key_is_named_with_its_place_and_a_suggestion(setting: str, place: str, suggestion: str) -> None:
    assert f"`{place}`: unknown key (did you mean `{suggestion}`?)" in refusal(setting)


def test_unknown_key_far_from_any_field_gets_no_suggestion() -> None:
    message = refusal("zzzzzz=1")
    assert "`zzzzzz`: unknown key" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("training.epochs=true", "training.epochs"),
        ('training.epochs="10"', "training.epochs"),
        ("training.epochs=10.5", "training.epochs"),
        ("training.epochs=0", "training.epochs"),
        ("optim.lr=true", "optim.lr"),
        ('optim.lr="0.1"', "optim.lr"),
        ("optim.lr=1e400", "optim.lr"),
        ("data.split.group_duplicates=1", "data.split.group_duplicates"),
        ("evaluation.embeddings=no", "evaluation.embeddings"),
        ("name=3", "name"),
        ("data.views=3", "data.views"),
        ("data.views=[obverse, 3]", "data.views.1"),
        ("data.size={height: 3}", "data.size.width"),
        ("optim.betas=[0.9]", "optim.betas.1"),
        ("model.backbone={kind: timm}", "model.backbone.name"),
        ("augment.mirror=1.5", "augment.mirror"),
        ("runtime.device=gpu", "runtime.device"),
    ],
)
def test_wrong_value_is_refused_at_the_place_the_user_wrote(setting: str, place: str) -> None:
    assert f"`{place}`: " in refusal(setting)


def test_alternatives_of_a_union_are_one_clause() -> None:
    assert refusal("optim.lr=true") == "recipe auto: `optim.lr`: 'auto' or a valid number (given: true)"


def test_every_fault_is_reported_at_once() -> None:
    message = refusal("optim.lrr=1", "training.epochs=x")
    assert "`optim.lrr`" in message
    assert "`training.epochs`" in message


@pytest.mark.parametrize("kind", ["resnet", "os.system", "timm.models.vit"])
def test_unions_are_closed(kind: str) -> None:
    message = refusal(f"model.backbone.kind={kind}")
    assert f"unknown kind `{kind}`" in message
    assert "the kinds are auto, cct, convnet, hf, timm, torchvision, vgg, vit" in message


@pytest.mark.parametrize(
    "setting", ["model.fusion.kind=bilinear", "loss.kind=hinge", "optim.kind=lion", "schedule.kind=poly"]
)
def test_kinds_that_do_not_exist_are_refused(setting: str) -> None:
    assert f"`{setting.split('.')[0]}." in refusal(setting)


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().optim.kind = "sgd"  # type: ignore[misc]


def test_split_fractions_are_named_and_sum_to_one() -> None:
    assert "train + val + test must be 1, not 0.8" in refusal("data.split={train: 0.5}")
    spec = load_recipe("auto", ["data.split={train: 0.7, test: 0.2, val: 0.1}"]).data.split
    assert (spec.train, spec.val, spec.test) == (0.7, 0.1, 0.2)
    assert "data.split" in refusal("data.split=[0.7, 0.2, 0.1]")


def test_validation_cannot_be_empty_but_test_can() -> None:
    assert "never on test" in refusal("data.split={train: 0.8, val: 0.0, test: 0.2}")
    assert load_recipe("auto", ["data.split={train: 0.8, val: 0.2, test: 0.0}"]).data.split.test == 0


@pytest.mark.parametrize("field", ["views", "order"])
@pytest.mark.parametrize("names", ["[]", "[a, a]", '[a, ""]'])
def test_names_must_be_distinct(field: str, names: str) -> None:
    assert f"{field} must be a list of distinct names" in refusal(f"data.{field}={names}")


def test_weighting_and_sampling_together_are_refused() -> None:
    assert "choose one" in refusal("loss.class_weights=sqrt", "training.sampler=sqrt")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (["optim={kind: sgd, betas: [0.8, 0.9]}"], "betas"),
        (["optim={kind: adamw, momentum: 0.5}"], "momentum"),
        (["optim={kind: adam, momentum: 0.5}"], "momentum"),
        (["schedule={kind: constant, min_lr_fraction: 0.1}"], "min_lr_fraction"),
        (["loss.effective_beta=0.99"], "effective_beta"),
        (["loss.defer_fraction=0.8"], "defer_fraction"),
        (["loss.kind=cross-entropy", "loss.gamma=1"], "gamma"),
        (["loss={kind: balanced-softmax, prior: train, tau: 2}"], "tau"),
        (["loss.prior=train"], "prior has no effect"),
        (["loss={kind: ldam, label_smoothing: 0.0, max_margin: 0.3, prior: train}"], "prior has no effect"),
        (["loss.max_margin=0.3"], "max_margin"),
        (["loss.kind=logit-adjustment"], "needs prior"),
        (["loss={kind: logit-adjustment, prior: train, class_weights: sqrt}"], "choose one"),
        (["loss={kind: logit-adjustment, prior: train}", "training.sampler=sqrt"], "choose one"),
        (["loss={kind: corn, label_smoothing: 0.1}"], "label_smoothing has no place in corn"),
        (["model.sharing=separate", "model.fusion={kind: mean}"], "mean fusion"),
    ],
)
def test_a_setting_that_cannot_take_effect_is_refused(settings: list[str], field: str) -> None:
    assert field in refusal(*settings)


def test_crop_fraction_belongs_to_crop() -> None:
    assert "crop_fraction has no effect with `fit: pad`" in refusal("data.crop_fraction=0.875")
    assert load_recipe("auto", ["data.crop_fraction=0.875", "data.fit=crop"]).data.crop_fraction == 0.875


def test_the_same_settings_are_fine_where_they_take_effect() -> None:
    assert OptimSpec(kind="sgd", momentum=0.5).momentum == 0.5
    assert OptimSpec(kind="adam", betas=(0.8, 0.9)).betas == (0.8, 0.9)
    assert ScheduleSpec(kind="cosine", min_lr_fraction=0.1).min_lr_fraction == 0.1
    assert LossSpec(class_weights="effective", effective_beta=0.99).effective_beta == 0.99
    assert LossSpec(kind="ldam", class_weights="effective", defer_fraction=0.8).max_margin == 0.5
    assert load_recipe("auto", ["loss={kind: logit-adjustment, prior: [1, 2, 3.5]}"]).loss.prior == (1, 2, 3.5)


@pytest.mark.parametrize("values", [{"name": {1, 2}}, {("a", "b"): 1}])
def test_values_that_are_no_plain_data_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="plain words, numbers and lists"):
        build_recipe(values, "here")
