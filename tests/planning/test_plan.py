"""`obverse plan`: its numbers against arithmetic, what it proposes, and what it leaves alone."""

import json
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from obverse import models
from obverse.errors import RecipeError, UnavailableError
from obverse.experiment.auto.resolve import resolve
from obverse.experiment.setup import set_up
from obverse.manifest import build_index
from obverse.models import Classifier
from obverse.planning.imagined import imagined_index
from obverse.planning.lr_finder import find_rate
from obverse.planning.plan import make_plan, rule_of_thumb_batch
from obverse.recipe import ModelSpec, load_recipe
from obverse.runtime import available_memory

VIT = {
    "kind": "timm",
    "name": "vit_tiny_patch16_224",
    "pretrained": "none",
    "options": {"depth": 2, "embed_dim": 24, "num_heads": 3},
}


@pytest.fixture(scope="module")
def planned(make_recipe):
    def make(*, gigabytes=1000.0, device="cpu", num_samples=100, **sections):
        training = {"batch_size": 16, "micro_batch_size": 16, **sections.pop("training", {})}
        sections.setdefault("data", {"size": {"height": 64, "width": 64}})
        recipe = make_recipe(training=training, **sections)
        index = imagined_index(recipe, num_classes=2, num_samples=num_samples)
        return make_plan(recipe, index, device=device, gigabytes=gigabytes)

    return make


def test_what_can_be_counted_is_counted(planned):
    plan = planned()
    model = plan.bundle.build()
    num = model.num_parameters()
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    assert plan.memory.model == 4 * num + buffers
    assert plan.memory.gradients == 4 * num
    # AdamW: two moments, and a step counter of 4 bytes for every tensor.
    assert plan.memory.optimizer == 8 * num + 4 * len(list(model.parameters()))
    assert plan.memory.average == 0
    assert plan.memory.pixels == 85 * 3 * 64 * 64
    m = plan.memory
    assert m.peak > m.model + m.gradients + m.optimizer + m.activations + m.pixels


def test_bf16_saves_memory_only_where_the_processor_knows_it(planned, monkeypatch):
    """Elsewhere a convolution unfolds its whole batch, nine numbers for each of a 3x3 kernel's input."""

    def activations(precision, *, is_fast):
        monkeypatch.setattr("obverse.planning.memory.supports_bf16", lambda device: is_fast)
        vgg = {"kind": "vgg", "num_blocks": 4, "pool": "mean"}
        return planned(model={"backbone": vgg}, runtime={"precision": precision}).memory.activations

    full = activations("fp32", is_fast=False)
    assert activations("fp32", is_fast=True) == full
    assert activations("bf16", is_fast=True) < 0.8 * full
    assert activations("bf16", is_fast=False) > full


def test_the_recipe_decides(planned):
    base = planned(model={"backbone": VIT}).memory
    assert planned(model={"backbone": VIT}, optim={"kind": "sgd"}).memory.optimizer == base.gradients
    assert planned(model={"backbone": VIT}, training={"ema_decay": 0.9}).memory.average == base.model
    smaller = planned(model={"backbone": VIT}, training={"micro_batch_size": 4}).memory
    assert smaller.activations < 0.5 * base.activations
    again = planned(model={"backbone": VIT}, runtime={"checkpointing": True}).memory
    assert again.activations < 0.8 * base.activations
    assert again.training_flops > base.training_flops
    pretrained = {**VIT, "pretrained": "hub"}
    head = planned(model={"backbone": pretrained}, finetune={"train": "head"}).memory
    assert head.gradients < 0.01 * base.gradients
    assert head.optimizer < 0.01 * base.optimizer
    assert head.activations < 0.7 * base.activations
    lora = planned(model={"backbone": pretrained}, finetune={"lora": {"rank": 2}}).memory
    assert head.optimizer < lora.optimizer < 0.3 * base.optimizer


def test_activations_grow_with_the_micro_batch(planned):
    sizes = [planned(model={"backbone": VIT}, training={"micro_batch_size": n}).memory.activations for n in (2, 4, 8)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.05)


def test_flops_are_those_of_the_layers(planned):
    plan = planned(model={"backbone": {"kind": "vgg", "num_blocks": 4, "pool": "mean"}})
    flops, side = 0, 64
    for convs, channels_in, channels in ((2, 3, 64), (2, 64, 128), (3, 128, 256), (3, 256, 512)):
        for conv in range(convs):
            flops += 2 * 9 * (channels if conv else channels_in) * channels * side * side
        side //= 2
    # Backward is twice forward, but the first layer needs no gradient of its input.
    expected = 3 * flops - 2 * 9 * 3 * 64 * 64 * 64 + 3 * 2 * 512 * 2
    assert plan.memory.training_flops == pytest.approx(expected, rel=1e-3)


def test_a_large_micro_batch_is_made_smaller_until_it_fits(planned):
    model = {"model": {"backbone": VIT}}
    whole, small = (
        planned(**model, device="cuda", training={"batch_size": 256, "micro_batch_size": n}).memory for n in (256, 64)
    )
    plan = planned(
        **model,
        device="cuda",
        gigabytes=(small.peak + 1e5) / 1e9,
        training={"batch_size": 256, "micro_batch_size": 256},
    )
    assert small.peak < whole.peak
    assert plan.fits
    assert plan.changes == ("training.micro_batch_size=64",)
    assert (plan.recipe.training.batch_size, plan.recipe.runtime.checkpointing) == (256, False)
    assert dict(plan.lines())["train with"] == "--set training.micro_batch_size=64"


def test_then_checkpointing_is_proposed_and_then_it_says_that_nothing_fits(planned):
    model = {"backbone": {**VIT, "options": {**VIT["options"], "depth": 4}}}
    section = {"model": model, "device": "cuda", "evaluation": {"batch_size": 1}}
    data = {"size": {"height": 128, "width": 128}}
    tight = planned(**section, data=data, training={"batch_size": 4, "micro_batch_size": 1})
    saved = planned(
        **section, data=data, training={"batch_size": 4, "micro_batch_size": 1}, runtime={"checkpointing": True}
    )
    assert saved.memory.peak < tight.memory.peak
    plan = planned(
        **section,
        data=data,
        training={"batch_size": 4, "micro_batch_size": 2},
        gigabytes=(saved.memory.peak + 1e4) / 1e9,
    )
    assert plan.fits
    assert plan.changes == ("training.micro_batch_size=1", "runtime.checkpointing=true")
    hopeless = planned(device="cuda", training={"batch_size": 4, "micro_batch_size": 1}, gigabytes=0.001)
    assert not hopeless.fits
    assert "smaller data.size" in dict(hopeless.lines())["does not fit"]


def test_two_vit_b_need_what_the_document_overlooked():
    """A8: 2.75 GB before any activation. Nothing of it is allocated here."""
    recipe = load_recipe("coins-two-view", ["training.batch_size=2", "data.size={height: 64, width: 64}"])
    plan = make_plan(recipe, imagined_index(recipe, num_classes=10, num_samples=20), device="cuda", gigabytes=6.0)
    assert plan.memory.before_activations / 1e9 == pytest.approx(2.77, abs=0.05)
    assert plan.fits
    assert dict(plan.lines())["rule of thumb"].startswith("batch 2 for two views of 1000 pixels")


@pytest.mark.parametrize(("gigabytes", "batch"), [(80, 8), (16, 8), (15, 4), (8, 4), (6, 2), (3, 1)])
def test_the_document_s_batches(gigabytes, batch):
    assert rule_of_thumb_batch(int(gigabytes * 1e9)) == batch


def test_neighbours_that_are_mixed_stay_together(planned):
    plan = planned(gigabytes=1e-6, mixing={"mixup": 0.4})
    assert plan.recipe.training.micro_batch_size == 2
    assert not plan.fits


def test_minutes_are_what_a_budget_says(make_recipe, draw_classes, tmp_path):
    recipe = make_recipe(training={"minutes": 30.0})
    index = build_index(draw_classes(tmp_path), recipe.data)
    plan, counts = make_plan(recipe, index, speed=10.0), index.manifest.split_counts()
    seconds = (counts["train"] + counts["val"] / 3) / 10
    assert plan.seconds_per_epoch == pytest.approx(seconds)
    assert f"so {1800 / seconds:.2g} epochs in the 30 minutes" in dict(plan.lines())["time"]


def test_processes_on_one_processor_are_not_said_to_be_faster(make_recipe, draw_classes, tmp_path):
    recipe = make_recipe()
    plan = make_plan(recipe, build_index(draw_classes(tmp_path), recipe.data), device="cpu", processes=2)
    assert plan.seconds_per_epoch is None
    assert "--pictures-per-second" in dict(plan.lines())["time"]


def test_here_the_time_is_measured_and_called_an_estimate(make_recipe, draw_classes, tmp_path):
    recipe = make_recipe(runtime={"channels_last": "auto"})
    index = build_index(draw_classes(tmp_path), recipe.data)
    plan = make_plan(recipe, index, device="cpu")
    assert plan.seconds_per_epoch > 0
    assert "an estimate" in dict(plan.lines())["time"]
    assert plan.recipe.runtime.channels_last in (True, False)
    assert json.loads(json.dumps(plan.to_json()))["peak_bytes"] == plan.memory.peak
    assert planned_elsewhere(make_recipe).seconds_per_epoch is None


def test_the_optimizer_and_the_head_count_too(make_recipe, draw_classes, tmp_path, monkeypatch):
    """Every measured piece of work takes 3 s here: a step of 4 samples, a validation of 4, and an update."""
    monkeypatch.setattr("obverse.planning.plan_time.fastest_seconds", lambda work, **_: (work(), 3.0)[1])
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), weights)
    backbone = {"kind": "timm", "name": "test_vit", "pretrained": str(weights)}
    head_first = {"head_first": {}}
    recipe = make_recipe(model={"backbone": backbone}, finetune=head_first, training={"epochs": 5, "ema_decay": 0.9})
    index = build_index(draw_classes(tmp_path / "data", per_class=20), recipe.data)
    counts, said = index.manifest.split_counts(), []
    plan = make_plan(recipe, index, device="cpu", notify=said.append)
    assert counts["train"] % 4 == 0
    assert plan.seconds_per_epoch == pytest.approx(0.75 * (counts["train"] + counts["val"]) + 3.0 * counts["train"] / 4)
    assert plan.seconds_before == pytest.approx(0.75 * counts["train"])
    assert plan.to_json()["seconds_before_epochs"] == plan.seconds_before
    time = dict(plan.lines())["time"]
    assert "before them to fit the head first" in time
    assert f"{(plan.seconds_before + 5 * plan.seconds_per_epoch) / 60:.0f} min in all" in time
    assert [line.split()[0] for line in said] == ["counting", "building", "measuring"]


def test_nothing_is_compiled_for_a_plan(make_recipe, draw_classes, tmp_path, monkeypatch):
    """Also where a run would try it, which takes minutes."""
    monkeypatch.setattr(Classifier, "compile", lambda *_, **__: pytest.fail("it was compiled"))
    monkeypatch.setattr("obverse.experiment.auto.tune.fastest_seconds", lambda *_, **__: 1000.0)
    recipe = make_recipe(runtime={"compile": "auto"}, training={"epochs": 100_000})
    plan = make_plan(recipe, build_index(draw_classes(tmp_path), recipe.data), device="cpu")
    assert plan.seconds_per_epoch > 0


def planned_elsewhere(make_recipe):
    recipe = make_recipe()
    return make_plan(recipe, imagined_index(recipe, num_classes=2, num_samples=20), device="cpu", gigabytes=1.0)


def test_a_device_that_is_not_there_needs_its_memory_said(make_recipe):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    recipe = make_recipe()
    with pytest.raises(UnavailableError, match="is not there"):
        make_plan(recipe, imagined_index(recipe, num_classes=2, num_samples=20), device="cuda")


def test_a_plan_for_a_gpu_elsewhere_is_for_what_would_be_trained_there(make_recipe, monkeypatch):
    monkeypatch.setattr(models, "why_unavailable", lambda name: None)
    runtime = {"precision": "auto", "matmul": "auto"}
    recipe = make_recipe(data={"size": {"height": 224, "width": 224}}, runtime=runtime)
    recipe = recipe.changed({"model": ModelSpec()})
    index = imagined_index(recipe, num_classes=2, num_samples=20)
    for device, name in {
        "cuda": "convnext_tiny.in12k_ft_in1k",
        "cpu": "mobilenetv4_conv_medium.e500_r224_in1k",
    }.items():
        plan = make_plan(recipe, index, device=device, gigabytes=24.0)
        assert plan.recipe.model.backbone.name == name
        assert dict(plan.lines())["model"] == f"{name}, pretrained (hub)" == plan.to_json()["model"]
    there = make_plan(recipe, index, device="cuda", gigabytes=24.0)
    assert (there.recipe.runtime.precision, there.recipe.runtime.matmul) == ("fp32", "high")
    assert dict(there.lines())["numbers"] == "fp32; bf16, where it is chosen, needs less"


def test_the_device_is_the_recipe_s_unless_another_is_given(make_recipe):
    recipe = make_recipe(runtime={"device": "cuda"})
    index = imagined_index(recipe, num_classes=2, num_samples=20)
    assert make_plan(recipe, index, gigabytes=8.0).device == "cuda"
    assert make_plan(recipe, index, device="cpu", gigabytes=8.0).device == "cpu"


def test_without_data_the_recipe_must_say_the_size(make_recipe):
    with pytest.raises(RecipeError, match=r"without DATA the recipe must say data\.size"):
        imagined_index(make_recipe(data={"size": "auto"}), num_classes=2, num_samples=20)


@pytest.mark.parametrize(("limit", "used", "free"), [("max", "5", 4096 * 1024), ("3000000", "1000000", 2_000_000)])
def test_a_container_s_limit_counts(tmp_path, limit, used, free):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9999 kB\nMemAvailable:    4096 kB\n")
    assert available_memory(torch.device("cpu"), cgroup=tmp_path, meminfo=meminfo) == free
    nowhere = tmp_path / "nowhere"
    assert available_memory(torch.device("cpu"), cgroup=nowhere, meminfo=nowhere) is None


@pytest.fixture
def setup(make_recipe, draw_classes, tmp_path):
    recipe = make_recipe(optim={"kind": "sgd", "lr": 0.1}, model={"head": {"dropout": 0.3}})
    index = build_index(draw_classes(tmp_path, per_class=20), recipe.data)
    return set_up(resolve(recipe, index).recipe, index.manifest)


def test_the_rate_that_is_found_is_neither_useless_nor_too_high(setup):
    found = find_rate(setup, num_steps=40)
    assert 1e-4 < found.suggestion < 1
    assert found.losses[-1] != found.losses[0]
    assert list(found.rates) == sorted(found.rates)


def test_the_search_trains_as_the_run_would(make_recipe, draw_classes, tmp_path, monkeypatch):
    """Pictures are mixed, and what is deferred has not begun."""
    loss = {"kind": "cross-entropy", "class_weights": "sqrt", "defer_fraction": 0.5}
    recipe = make_recipe(mixing={"mixup": 0.4}, loss=loss)
    data = draw_classes(tmp_path, per_class=20)
    for path in sorted((data / "dark").iterdir())[8:]:
        path.unlink()
    index = build_index(data, recipe.data)
    setup, seen = set_up(resolve(recipe, index).recipe, index.manifest), []
    train_step = sys.modules["obverse.planning.lr_finder"].train_step
    monkeypatch.setattr(
        "obverse.planning.lr_finder.train_step",
        lambda *args, **more: seen.append((args[3], more["objective"])) or train_step(*args, **more),
    )
    find_rate(setup, num_steps=6)
    assert any(((batch.targets_BK > 0).sum(1) > 1).any() for batch, _ in seen)
    assert not torch.equal(setup.objective.weights_K, torch.ones(2))
    assert all(torch.equal(objective.weights_K, torch.ones(2)) for _, objective in seen)


def test_and_everything_is_as_before(setup, monkeypatch):
    before = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
    state = torch.get_rng_state()
    seen = []
    find_rate(setup, num_steps=10)
    torch.testing.assert_close(setup.model.state_dict(), before, atol=0, rtol=0)
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr("obverse.planning.lr_finder.train_step", lambda *args, **_: seen.extend(args[3].ids) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        find_rate(setup, num_steps=3)
    train = set(setup.manifest.split("train").ids)
    assert seen
    assert set(seen) <= train
