"""Average fusion: one model per view in one classifier; probabilities are averaged, and the views learn apart."""

import pytest
import torch
from pydantic import ValidationError

from obverse.decisions import class_logits, hard_targets, kind_of
from obverse.losses import build_objective
from obverse.models import build_classifier, start_bias
from obverse.models.build import Interface
from obverse.recipe import ConvNetBackbone, LossSpec, ModelSpec, OutputSpec

ALL = torch.ones(4, 2, dtype=torch.bool)
SOME = torch.tensor([[True, True], [False, True], [True, False], [True, True]])
TARGETS = hard_targets(torch.tensor([0, 1, 2, 3]), 4)
COUNTS = [8, 4, 2, 1]
LOSSES = {
    "cross-entropy": {"label_smoothing": 0.1, "class_weights": "sqrt"},
    "logit-adjustment": {"prior": "balanced"},
    "ldam": {},
    "sord": {},
    "corn": {},
    "coral": {},
    "binary-cross-entropy": {"pos_weight": "balanced"},
}


def objective_of(kind, fusion="average", **fields):
    return build_objective(
        LossSpec(kind=kind, decode="mode", **fields), counts=COUNTS, model=ModelSpec(fusion={"kind": fusion})
    )


def classifier(fusion, num_views, *, output=None, columns=(), **fields):
    torch.manual_seed(0)
    spec = ModelSpec(backbone=ConvNetBackbone(widths=(4, 8), mirrored=False), fusion={"kind": fusion}, **fields)
    interface = Interface(output or OutputSpec(per_view=fusion == "average"), columns)
    return build_classifier(spec, num_views=num_views, num_classes=4, height=16, width=16, interface=interface)


def models(kind, *, columns=(), sharing="separate"):
    """A model of two views, and for each view a plain model of that view alone with the same weights."""
    output = objective_of(kind, **LOSSES[kind]).output
    both = classifier("average", 2, output=output, columns=columns, sharing=sharing)
    alone = []
    for view in range(2):
        single = classifier("concat", 1, output=output.changed({"per_view": False}), columns=columns)
        single.backbones[0].load_state_dict(both.backbones[view if sharing == "separate" else 0].state_dict())
        single.head.load_state_dict(both.head.views[view].state_dict())
        if columns:
            single.columns.load_state_dict(both.columns.state_dict())
        alone.append(single)
    return both, alone


@pytest.mark.parametrize("sharing", ["shared", "separate"])
@pytest.mark.parametrize("kind", LOSSES)
def test_it_is_the_mean_probability_of_a_model_per_view(kind, sharing):
    columns = (3, None) if kind == "cross-entropy" else ()
    output = objective_of(kind, **LOSSES[kind]).output
    both, alone = models(kind, columns=columns, sharing=sharing)
    assert len(both.backbones) == (2 if sharing == "separate" else 1)
    images, codes = torch.randn(4, 2, 3, 16, 16), torch.tensor([[1.0, 0.5]] * 4) if columns else None
    single = output.changed({"per_view": False})
    of_views = [
        kind_of(output).probabilities(class_logits(model.eval()(images[:, [v]], ALL[:, :1], codes), single))
        for v, model in enumerate(alone)
    ]
    weights_BV = SOME / SOME.sum(1, keepdim=True)
    expected = sum(weights_BV[:, [v]] * of_views[v] for v in range(2))
    found = kind_of(output).probabilities(class_logits(both.eval()(images, SOME, codes), output))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", LOSSES)
def test_its_loss_is_the_mean_of_the_views_own_losses(kind):
    both, alone = models(kind)
    images = torch.randn(4, 2, 3, 16, 16)
    single = objective_of(kind, "concat", **LOSSES[kind])
    own = [single.losses(model.eval()(images[:, [v]], ALL[:, :1]), TARGETS) for v, model in enumerate(alone)]
    first, second = own
    expected = torch.stack([(first[0] + second[0]) / 2, second[1], first[2], (first[3] + second[3]) / 2])
    objective = objective_of(kind, **LOSSES[kind])
    torch.testing.assert_close(objective.losses(both.eval()(images, SOME), TARGETS), expected)
    assert torch.equal(objective.weights(TARGETS), single.weights(TARGETS))


def test_separate_views_learn_apart_and_as_alone():
    """The gradients of a view are those of a model of that view alone, times its share in the mean."""
    both, (first, _) = models("sord")
    images, objective = torch.randn(4, 2, 3, 16, 16), objective_of("sord")

    def gradients(images_BVCHW):
        both.train().zero_grad()
        objective.losses(both(images_BVCHW, ALL), TARGETS).sum().backward()
        return [p.grad.clone() for p in (*both.backbones[0].parameters(), *both.head.views[0].parameters())]

    found, other = gradients(images), images.clone()
    other[:, 1] = torch.randn(4, 3, 16, 16)
    assert all(map(torch.equal, gradients(other), found))
    first.train().zero_grad()
    objective_of("sord", "concat").losses(first(images[:, :1], ALL[:, :1]), TARGETS).sum().backward()
    alone = [p.grad for p in (*first.backbones[0].parameters(), *first.head.parameters())]
    torch.testing.assert_close(found, [gradient / 2 for gradient in alone])


def test_a_missing_view_teaches_nothing_but_has_a_gradient():
    """Distributed training waits for the gradient of every parameter."""
    both, _ = models("sord")
    images, present = torch.randn(4, 2, 3, 16, 16), torch.tensor([[True, False]] * 4)
    objective_of("sord").losses(both.train()(images, present), TARGETS).sum().backward()
    second = [p.grad for p in (*both.backbones[1].parameters(), *both.head.views[1].parameters())]
    assert all(gradient is not None and not gradient.any() for gradient in second)
    assert all(parameter.grad.any() for parameter in both.head.views[0].parameters())


def test_the_prior_is_added_to_the_average():
    both, _ = models("logit-adjustment")
    logits = both.eval()(torch.randn(4, 2, 3, 16, 16), SOME)
    plain, prior = OutputSpec(per_view=True), (0.5, 0.3, 0.1, 0.1)
    with_prior = class_logits(logits, plain.changed({"prior": prior}))
    torch.testing.assert_close(with_prior, class_logits(logits, plain) + torch.tensor(prior).log())


def test_the_bias_of_every_view_s_head_starts_where_it_is_set():
    both = classifier("average", 2)
    start_bias(both.head, [0.1, 0.2, 0.3, 0.4])
    for head in both.head.views:
        torch.testing.assert_close(head[-1].bias, torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_heads_of_the_views_are_refused_because_it_has_them():
    with pytest.raises(ValidationError, match="every view has a head already"):
        ModelSpec(fusion={"kind": "average"}, view_heads={})
