"""The head on frozen features: it is at its optimum, on the run's objective, with a penalty chosen on held-out groups.

`test_finetune.py` tests the fit as a part of a run.
"""

from dataclasses import replace

import pytest
import torch

from obverse.errors import DivergedError
from obverse.losses import build_objective
from obverse.manifest import Sample, Samples
from obverse.models import Classifier, ColumnEncoder
from obverse.models.fusion import build_fusion
from obverse.models.head import HeadPerView, build_head
from obverse.recipe import AverageFusion, ConcatFusion, GatedFusion, HeadSpec, ModelSpec, OutputSpec, build_recipe
from obverse.recipe.resolved import ResolvedLoss
from obverse.training.head_first import Features, as_sampled, fit_head, fold_numbers, head_of

K, D = 3, 6


def known_of(*, noise, num=60, views=1, seed=0):
    """Features of three classes around three directions."""
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.arange(num) % K
    features_NVD = torch.eye(K, D)[labels_N].unsqueeze(1) + noise * torch.randn(num, views, D, generator=generator)
    present_NV = torch.ones(num, views, dtype=torch.bool)
    return Features(features_NVD, present_NV, torch.eye(K)[labels_N], torch.empty(num, 0))


def head(fusion=None, *, views=1, seed=0, **more):
    torch.manual_seed(seed)
    fused = build_fusion(fusion or ConcatFusion(), num_views=views, num_features=D)
    columns = more.get("columns")
    num_fused = fused.num_features + (columns.num_features if columns else 0)
    return Classifier([], fused, build_head(HeadSpec(), num_fused, K, OutputSpec()), **more)


def objective(kind="cross-entropy", counts=(20, 20, 20), smoothing=0.0, **fields):
    return build_objective(objective_spec(kind, smoothing, **fields), counts=list(counts))


def objective_spec(kind="cross-entropy", smoothing=0.0, **fields):
    return ResolvedLoss(kind=kind, label_smoothing=smoothing, decode="mode", **fields)


def fit(model, known, goal=None, strength=None, folds_N=None):
    return fit_head(model, known, goal or objective(), hits=hits, strength=strength, folds_N=folds_N)


def hits(logits_NK, targets_NK):
    return logits_NK.argmax(1) == targets_NK.argmax(1)


def log_p(model, known):
    with torch.no_grad():
        # A constant that all biases share changes no probability.
        return model.answer(known.features_NVD, known.present_NV, known.columns_NE).log_softmax(1)


OBJECTIVES = {
    "smoothed": objective(smoothing=0.1),
    "sord": objective("sord"),
    "weighted": objective(counts=(30, 20, 10), class_weights="inverse"),
    "adjusted": objective("logit-adjustment", counts=(30, 20, 10), prior="balanced"),
}


@pytest.mark.parametrize("goal", OBJECTIVES)
def test_a_linear_head_is_at_the_optimum_of_the_runs_own_objective(goal):
    """The gradient there, in double precision and without our solver, is 0; another start ends at the same answers."""
    known, goal = known_of(noise=0.5), OBJECTIVES[goal]
    model, other = head(), head(seed=1)
    result, _ = fit(model, known, goal, 3.0), fit(other, known, goal, 3.0)
    torch.testing.assert_close(log_p(model, known), log_p(other, known), atol=2e-2, rtol=0)
    model.double()
    targets_NK = known.targets_NK.double()
    losses_N = goal.losses(model.answer(known.features_NVD.double(), known.present_NV), targets_NK)
    mean = losses_N.sum() / goal.weights(targets_NK.float()).sum()
    (mean + 3.0 / (2 * 60) * model.head[-1].weight.square().sum()).backward()
    assert max(parameter.grad.abs().max() for parameter in model.head.parameters()) < 1e-3
    assert result.loss_sum / result.weight == pytest.approx(float(mean.detach()), rel=1e-3)
    assert result.num_correct == float(hits(log_p(model.float(), known), known.targets_NK).sum())


def test_noise_asks_for_a_stronger_penalty_and_the_choice_is_better_held_out():
    folds_N = torch.arange(60) // K % 5
    clear, noisy = known_of(noise=0.2), known_of(noise=1.5)
    of_clear, of_noisy = fit(head(), clear, folds_N=folds_N), fit(head(), noisy, folds_N=folds_N)
    assert of_clear.strength < of_noisy.strength
    new = known_of(noise=1.5, num=600, seed=1)
    chosen, free = head(), head()
    fit(chosen, noisy, folds_N=folds_N)
    fit(free, noisy, strength=0.0)
    losses = [objective().losses(log_p(model, new), new.targets_NK).mean() for model in (chosen, free)]
    assert losses[0] < losses[1]
    assert of_noisy.held_out_loss == pytest.approx(float(losses[0]), abs=0.3)
    assert "by cross-validation" in of_noisy.summary
    assert "cross-validation" not in fit(head(), noisy, strength=3.0).summary


@pytest.mark.parametrize("fusion", [ConcatFusion(), GatedFusion(width=8)], ids=["concat", "gated"])
def test_features_that_say_nothing_leave_the_head_as_it_is(fusion):
    """A head of zeros would be the best by cross-validation, but gives the backbone no gradient."""
    known, folds_N = known_of(noise=1.0, views=2), torch.arange(60) // K % 5
    torch.manual_seed(0)
    known = replace(known, features_NVD=torch.randn_like(known.features_NVD))
    model = head(fusion, views=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = fit(model, known, folds_N=folds_N)
    assert result.strength is None
    assert "say nothing about the classes" in result.summary
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    alone = fit_head(model, known, objective(), hits=hits, strength=None, folds_N=folds_N, is_alone=True)
    assert alone.strength is not None
    informed = fit(head(fusion, views=2), known_of(noise=0.5, views=2), folds_N=folds_N)
    assert informed.strength is not None
    assert "say nothing" not in informed.summary


def test_folds_keep_groups_together_and_classes_apart():
    samples = [
        Sample(id=f"{n}", label="abc"[n % 3], views={"image": f"{n}.png"}, group=f"g{n // 6}" if n < 30 else None)
        for n in range(90)
    ]
    folds_N = fold_numbers(samples, multi_label=False)
    assert sorted(set(folds_N.tolist())) == [0, 1, 2, 3, 4]
    for group in range(5):
        assert len(set(folds_N[6 * group : 6 * group + 6].tolist())) == 1
    for label in range(3):
        assert set(torch.bincount(folds_N[label::3], minlength=5).tolist()) == {6}
    assert fold_numbers(Samples.of(samples[:12]), multi_label=False) is None


def test_with_too_few_groups_the_strength_is_the_usual_one():
    result = fit(head(), known_of(noise=0.5))
    assert (result.strength, result.held_out_loss) == (10.0, None)


@pytest.mark.parametrize("fusion", [ConcatFusion(), GatedFusion(width=8)], ids=["concat", "gated"])
def test_missing_views_columns_and_view_heads_are_fitted_too(fusion):
    known = known_of(noise=0.5, views=2)
    present_NV = known.present_NV.clone()
    present_NV[::4, 1] = False
    known = replace(known, present_NV=present_NV, columns_NE=(torch.arange(60.0) % 2).unsqueeze(1))
    model = head(fusion, views=2, view_heads=[build_head(HeadSpec(), D, K, OutputSpec())], columns=ColumnEncoder([2]))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    goal = replace(objective(), view_weight=0.5)
    result = fit(model, known, goal, strength=1.0)
    assert result.loss_sum / result.weight < 1.5 * 0.5  # of ln 3 for each of the two terms
    unchanged = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
    assert unchanged == set()


def test_views_with_heads_of_their_own_are_fitted_as_views_alone():
    """A view's loss is half of the mean over two, so that a penalty counts twice."""
    known = known_of(noise=0.5, views=2)
    goal = build_objective(objective_spec(), counts=[20, 20, 20], model=ModelSpec(fusion=AverageFusion()))
    fusion = build_fusion(AverageFusion(), num_views=2, num_features=D)
    model = Classifier([], fusion, HeadPerView([head().head, head(seed=1).head], D))
    fit_head(model, known, goal, hits=lambda logits, targets: hits(logits[:, 0, 1:], targets), strength=1.0,
             folds_N=None)  # fmt: skip
    for view, of_view in enumerate(model.head.views):
        alone, features_NVD = head(), known.features_NVD[:, [view]]
        fit(alone, replace(known, features_NVD=features_NVD, present_NV=known.present_NV[:, [view]]), strength=2.0)
        with torch.no_grad():
            found, expected = of_view(features_NVD[:, 0]), alone.head(features_NVD[:, 0])
        torch.testing.assert_close(found.log_softmax(1), expected.log_softmax(1), atol=2e-2, rtol=0)


def test_features_that_overflow_are_an_error_of_the_run_and_no_bug():
    known = known_of(noise=0.1)
    known.features_NVD[3, 0, 0] = torch.inf
    with pytest.raises(DivergedError, match="features are not finite while the head is fitted first"):
        fit(head(), known, folds_N=torch.arange(60) % 5)


def test_a_sampler_weighs_as_the_samples_that_it_repeats():
    known = known_of(noise=0.5)
    few = known.rows(torch.tensor([k != 2 or n < 15 for n, k in enumerate(torch.arange(60) % K)]))  # 20, 20 and 5
    repeated = Features(*(torch.cat([column, *[column[hold(few)]] * 3]) for column in columns(few)))
    sampled, plain = head(), head()
    goal = objective(counts=(20, 20, 5))
    fit(sampled, few, as_sampled(goal, "balanced", few.targets_NK), strength=4.5)
    fit(plain, repeated, objective(), strength=4.5 * 60 / 45)
    torch.testing.assert_close(log_p(sampled, known), log_p(plain, known), atol=2e-2, rtol=0)
    assert as_sampled(goal, "natural", few.targets_NK) is goal


def hold(known):
    return known.targets_NK[:, 2] == 1


def columns(known):
    return known.features_NVD, known.present_NV, known.targets_NK, known.columns_NE


def test_the_head_is_copied_without_the_backbone():
    whole = head()
    whole.backbones.append(torch.nn.Linear(3, 3))
    whole.requires_grad_(False)
    copied = head_of(whole)
    assert list(copied.state_dict()) == ["head.0.weight", "head.0.bias"]
    assert len(whole.backbones) == 1
    assert all(parameter.requires_grad for parameter in copied.parameters())
    assert copied.head[0].weight is not whole.head[0].weight


def test_the_strength_is_the_only_setting():
    recipe = build_recipe({"finetune": {"head_first": {"strength": 3.0}}}, "test")
    assert recipe.finetune.head_first.model_dump() == {"strength": 3.0}
