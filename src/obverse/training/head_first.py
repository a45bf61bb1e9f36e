"""Head first: fit fusion and heads to the frozen backbone's features, before everything trains (LP-FT).

Kumar et al. 2022 (arXiv:2202.10054): a random head sends large, useless gradients into a pretrained backbone and
distorts its features; a head that is already fitted does not. The features are computed once, of the pictures as they
are, so fitting costs next to nothing.

The fit minimises the run's own objective over all features plus an L2 penalty, by L-BFGS (Nocedal & Wright 2006). A
linear head on one view, or on views side by side, is softmax regression with soft targets: convex, and fitted to its
optimum. With gates, hidden layers or another loss the minimum is the one next to the initial weights. Dropout is off,
and there are no random numbers. The penalty is `strength / 2 * |weights|^2` on the sum of the losses, so scikit-learn's
C is 1 / strength. It leaves out biases, norms, embeddings and learned vectors, as weight decay does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from obverse.data import Batch, Loader
from obverse.engines import Forward
from obverse.errors import DataError, DivergedError
from obverse.losses import Objective, class_weights
from obverse.manifest import Sample, Samples, fold_of_each
from obverse.models import Classifier, undecayed_names
from obverse.recipe import ResolvedRecipe, SamplerKind, SplitSpec
from obverse.runtime import autocast, without_compiler

FOLDS = 5
# Strengths to choose from are 10 ** (step / 2); the search begins at 10, which was among the best on all sets tried.
FIRST_STEP, STEP_RANGE = 2, (-6, 10)
# Part of the loss at the strongest penalty, which leaves hardly any weights, that features have to save.
LEAST_SAVED = 0.01
# Most samples that are compared in cross-validation. The penalty is on the sum of losses, so it suits all samples.
MOST_COMPARED = 500
MAX_ITERATIONS, MAX_ITERATIONS_COMPARED = 300, 60
# Class weights with which all samples, taken once each, stand for what a sampler would draw.
SAMPLER_WEIGHTS: dict[SamplerKind, str] = {"natural": "none", "sqrt": "sqrt", "balanced": "inverse"}


@dataclass(frozen=True)
class Features:
    """Features and targets of all training samples under the frozen backbone, on the training device."""

    features_NVD: torch.Tensor
    present_NV: torch.Tensor
    targets_NK: torch.Tensor
    columns_NE: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets_NK)

    def rows(self, chosen_N: torch.Tensor) -> Features:
        """The samples where the mask is true."""
        chosen_N = chosen_N.to(self.targets_NK.device)
        columns = (self.features_NVD, self.present_NV, self.targets_NK, self.columns_NE)
        return Features(*(column[chosen_N] for column in columns))


@dataclass(frozen=True)
class HeadFit:
    """Summary of a fitted head."""

    strength: float | None
    """Strength of the L2 penalty; None where the head was left as it was, because the features say nothing."""

    held_out_loss: float | None
    """Mean loss on held-out features in cross-validation; None where the strength was given or there were no folds."""

    loss_sum: float
    """Weighted loss summed over all features, without the penalty; divided by `weight` it is the mean."""

    weight: float

    num_correct: float

    @property
    def summary(self) -> str:
        """The fit as a message for the user."""
        if self.strength is None:
            return (
                "head first: left out, because in cross-validation the frozen features say nothing about the classes "
                f"(loss {self.held_out_loss:.3f} held out); look whether the weights suit these pictures"
            )
        by = "" if self.held_out_loss is None else f" by cross-validation, loss {self.held_out_loss:.3f} held out"
        return (
            f"head first: fitted to the frozen features, L2 strength {self.strength:.3g}{by}, "
            f"loss {self.loss_sum / self.weight:.3f} on all of them"
        )


@torch.no_grad()
def frozen_features(model: Classifier, forward: Forward, batches: Iterable[Batch], objective: Objective) -> Features:
    """The features of `batches`, from the backbone in evaluation mode."""
    model.eval()
    parts: list[tuple[torch.Tensor, ...]] = []
    for batch in (batch.to(forward.device) for batch in batches):
        with autocast(forward.device, forward.precision):
            features_BVD = model.features(forward.inputs(batch)).float()
        columns_BE = features_BVD.new_empty(len(batch), 0) if batch.columns_BE is None else batch.columns_BE
        targets_BK = batch.loss_targets(objective.num_classes)
        columns = (features_BVD, batch.present_BV, targets_BK, columns_BE)
        parts.append(tuple(rows[batch.valid_B] for rows in columns))
    return Features(*(torch.cat(column) for column in zip(*parts, strict=True)))


def head_of(model: Classifier) -> Classifier:
    """A copy of the model without backbones. Its parameters have the same names and are all trainable."""
    # A memo entry makes deepcopy take the empty list for the backbones, which may be large.
    return copy.deepcopy(model, {id(model.backbones): nn.ModuleList()}).eval().requires_grad_(True)


def as_sampled(objective: Objective, sampler: SamplerKind, targets_NK: torch.Tensor) -> Objective:
    """The objective with class weights that have the effect of the sampler on samples that are taken once each."""
    if sampler == "natural":
        return objective
    counts = targets_NK.float().sum(0).tolist()
    weights = class_weights(counts, SAMPLER_WEIGHTS[sampler], beta=0.0)
    return replace(objective, weights_K=torch.tensor(weights, dtype=torch.float32))


def fold_numbers(samples: Sequence[Sample], *, multi_label: bool) -> torch.Tensor | None:
    """Fold (N) of each sample, stratified by class, with groups and copies in one fold; None for too few groups."""
    spec = SplitSpec(strategy="stratified")
    try:
        return torch.tensor(fold_of_each(Samples.of(samples), spec, FOLDS, multi_label=multi_label))
    except DataError:
        return None


def fit_head(
    head: Classifier,
    known: Features,
    objective: Objective,
    *,
    hits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    strength: float | None,
    folds_N: torch.Tensor | None,
    is_alone: bool = False,
) -> HeadFit:
    """The summary of the fit, after fitting `head` (see `head_of`) to the features `known`.

    Features that say nothing leave the head as it is: fitted, fusion and head would be near 0, from where the backbone
    gets no gradient. is_alone: the backbone never trains, so that the fit is what ships, whatever features say.
    hits: function from the head's logits and the targets to whether each answer is correct.
    strength: of the L2 penalty; None chooses it by cross-validation over `folds_N`.
    Raises DivergedError when features or the loss are not finite.
    """
    if not bool(known.features_NVD.isfinite().all()):
        raise _too_large("features are not finite")
    chosen, held_out_loss = 10.0 ** (FIRST_STEP / 2), None
    if strength is not None:
        chosen = strength
    elif folds_N is not None:
        chosen, held_out_loss, constant_loss = _best_strength(head, known, objective, folds_N)
        if not is_alone and held_out_loss > (1 - LEAST_SAVED) * constant_loss:
            return HeadFit(None, held_out_loss, 0.0, 0.0, 0.0)
    _minimise(head, known, objective, chosen, max_iterations=MAX_ITERATIONS)
    with torch.no_grad():
        loss_sum, weight = (float(number) for number in _loss(head, known, objective))
    if not math.isfinite(loss_sum):
        raise _too_large("loss is no finite number")
    with torch.no_grad():
        logits = head.answer(known.features_NVD, known.present_NV, known.columns_NE)
        num_correct = float(hits(logits, known.targets_NK).sum())
    return HeadFit(chosen, held_out_loss, loss_sum, weight, num_correct)


@dataclass(frozen=True, eq=False)
class HeadFirst:
    """The first fit of a model's head: what it needs that does not change over a run."""

    head: Classifier
    """A copy of the model without backbones (see `head_of`), made before the model is sharded."""

    plain: Loader
    """Training batches without augmentation."""

    sampler: SamplerKind

    strength: float | None
    """Strength of the L2 penalty by the recipe; None where cross-validation chooses it."""

    is_alone: bool
    """Whether only the head trains."""

    @classmethod
    def of(cls, model: Classifier, plain: Loader | None, recipe: ResolvedRecipe) -> HeadFirst | None:
        """The first fit of the model's head; None where the recipe has none."""
        spec = recipe.finetune.head_first
        if spec is None or plain is None:
            return None
        return cls(head_of(model), plain, recipe.training.sampler, spec.strength, recipe.finetune.train == "head")

    def fit(
        self,
        known: Features,
        weights: dict[str, torch.Tensor],
        *,
        objective: Objective,
        hits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        strength: float | None,
    ) -> HeadFit:
        """The summary of the fit of the head to `known`, whose parameters replace those in the model's `weights`."""
        dataset = self.plain.dataset
        self.head.load_state_dict({name: weights[name] for name in self.head.state_dict()})
        fit = fit_head(
            self.head,
            known,
            as_sampled(objective, self.sampler, known.targets_NK),
            hits=hits,
            strength=strength,
            folds_N=fold_numbers(dataset.samples, multi_label=dataset.manifest.multi_label),
            is_alone=self.is_alone,
        )
        weights |= {name: tensor.detach().cpu() for name, tensor in self.head.state_dict().items()}
        return fit


def _too_large(what: str) -> DivergedError:
    return DivergedError(f"the {what} while the head is fitted first: the frozen backbone's features are "
                         "too large; look at the weights, or set finetune.head_first=null")  # fmt: skip


def _best_strength(
    head: Classifier, known: Features, objective: Objective, folds_N: torch.Tensor
) -> tuple[float, float, float]:
    """The strength with the lowest mean loss on held-out features, that loss, and the loss at the strongest penalty.

    The mean loss has one valley over strengths in practice, so it is descended: first by factors of 10, then of
    sqrt(10). Every fit begins at the weights of `head`, so that no result depends on the order of the search.
    """
    if len(known) > MOST_COMPARED:  # evenly spaced in the manifest, which keeps the shares of the classes
        chosen_N = torch.zeros(len(known), dtype=torch.bool)
        chosen_N[torch.linspace(0, len(known) - 1, MOST_COMPARED).long()] = True
        known, folds_N = known.rows(chosen_N), folds_N[chosen_N]
    losses: dict[int, float] = {}

    def loss_at(step: int) -> float:
        if step not in losses:
            loss = _held_out_loss(head, known, objective, folds_N, strength=10.0 ** (step / 2))
            losses[step] = loss if math.isfinite(loss) else math.inf
        return losses[step]

    best = FIRST_STEP
    for stride in (2, 1):
        best = _descend(loss_at, best, stride)
    return 10.0 ** (best / 2), losses[best], loss_at(STEP_RANGE[1])


def _descend(loss_at: Callable[[int], float], start: int, stride: int) -> int:
    """The lowest step that is reached from `start` by moves of `stride`, each of which lowers the loss."""
    best, low, high = start, *STEP_RANGE
    while True:
        beside = [step for step in (best - stride, best + stride) if low <= step <= high]
        lowest = min((best, *beside), key=loss_at)
        if lowest == best:
            return best
        best = lowest


def _held_out_loss(
    head: Classifier, known: Features, objective: Objective, folds_N: torch.Tensor, *, strength: float
) -> float:
    sums = []
    for fold in sorted(set(folds_N.tolist())):
        part = copy.deepcopy(head)
        _minimise(part, known.rows(folds_N != fold), objective, strength, max_iterations=MAX_ITERATIONS_COMPARED)
        with torch.no_grad():
            sums.append(_loss(part, known.rows(folds_N == fold), objective))
    return float(sum(loss for loss, _ in sums) / sum(weight for _, weight in sums))


def _minimise(head: Classifier, known: Features, objective: Objective, strength: float, *, max_iterations: int) -> None:
    """Move all parameters of `head` to the minimum of the mean loss plus the penalty."""
    free = undecayed_names(head)
    penalised = [parameter for name, parameter in head.named_parameters() if name not in free]
    optimizer = without_compiler(torch.optim.LBFGS)(
        head.parameters(),
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def penalised_loss() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss, weight = _loss(head, known, objective)
        squares = sum((parameter.square().sum() for parameter in penalised), loss.new_zeros(()))
        value = loss / weight + strength / (2 * len(known)) * squares
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(penalised_loss)
    optimizer.zero_grad(set_to_none=True)


def _loss(head: Classifier, known: Features, objective: Objective) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted loss summed over the samples, and the sum of weights that divides it."""
    seen = (known.features_NVD, known.present_NV, known.columns_NE)
    if objective.view_weight:
        logits = head.answer(*seen, each_view=True)
        losses_N = objective.losses_with_views(logits, known.targets_NK, known.present_NV)
    else:
        losses_N = objective.losses(head.answer(*seen), known.targets_NK)
    return losses_N.sum(), objective.weights(known.targets_NK).sum()
