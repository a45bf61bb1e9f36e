"""The loss, and what the head's numbers then mean."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from .spec import Auto, Fraction, NonNegativeFloat, PositiveFloat, Spec

Decode = Literal["mode", "median", "mean"]
Prior = Literal["balanced", "train", "tuned"] | tuple[PositiveFloat, ...]
ORDINAL = frozenset({"sord", "corn", "coral", "emd"})
ADJUSTED = frozenset({"logit-adjustment", "balanced-softmax"})
OWN_RULE = frozenset({"corn", "coral"})
OTHER_HEADS = OWN_RULE | {"ldam"}
BINARY = "binary-cross-entropy"
COSINE_SCALE = 30.0
"""Logits of a cosine head lie within this, as in the published LDAM code (Cao et al. 2019)."""


class OutputSpec(Spec):
    """What stands between the head's numbers and a decision. It follows from the loss and travels in the bundle.

    kind: `classes` one logit per class, `cosine` the same from normalised features, `corn` and `coral` one number per
    step between neighbouring classes, `binary` one logit per class, each a yes or no of its own. prior: class
    frequencies whose logarithm is added to the logits, in class order. decode: which class of a distribution over
    ordered classes is the answer. thresholds: of `binary`, the probability from which each class belongs to the answer,
    in class order; None is 1/2.
    """

    kind: Literal["classes", "cosine", "corn", "coral", "binary"] = "classes"
    prior: tuple[PositiveFloat, ...] | None = None
    decode: Decode = "mode"
    thresholds: tuple[float, ...] | None = None

    def num_outputs(self, num_classes: int) -> int:
        """Numbers that the head gives."""
        return num_classes - 1 if self.kind in OWN_RULE else num_classes


class LossSpec(Spec):
    """What training minimises.

    kind: `auto` is `binary-cross-entropy` for multi-label data, `sord` for ordered classes, `logit-adjustment` when the
    largest class has more than ten times the samples of the smallest and nothing else corrects that and there is no
    teacher (`distill`), `cross-entropy` otherwise.
    label_smoothing: share of the uniform distribution in a target (of `logit-adjustment` and `balanced-softmax`, of the
    distribution that they add to the logits); `auto` is 0.1, and 0 for ordinal losses and `binary-cross-entropy`.
    class_weights: what a sample weighs by the size of its class (of multi-label data, what a class weighs);
    effective_beta belongs to `effective`, which no longer tells classes apart that are much larger than 1 / (1 - beta).
    defer_fraction: share of the run before the weights begin (Cao et al. 2019 take 0.8). gamma: of `focal`. tau:
    strength of `logit-adjustment`, 1 in theory. prior: the class frequencies that the model is meant for, of
    `logit-adjustment` and `balanced-softmax`: `balanced`, `train`, positive numbers in class order, or `tuned`: after
    training, the power of the training frequencies, 0 to 1, by which `training.select` is best on val. max_margin: the
    smallest class's margin in `ldam`. pos_weight: of `binary-cross-entropy`, what the presence of a class weighs
    against its absence: the ratio of samples without it to samples with it (`balanced`), or its root.
    decode: the answer from a distribution over ordered classes: its mode, median or (rounded) mean. `auto` is the
    median for `corn` and `coral`, whose own rule it is, and the mode otherwise.
    """

    kind: Literal[
        "auto",
        "cross-entropy",
        "focal",
        "logit-adjustment",
        "balanced-softmax",
        "ldam",
        "sord",
        "corn",
        "coral",
        "emd",
        "binary-cross-entropy",
    ] = "auto"
    label_smoothing: Auto | Fraction = 0.0
    class_weights: Literal["none", "inverse", "sqrt", "effective"] = "none"
    effective_beta: Fraction = 0.999
    defer_fraction: Fraction = 0.0
    gamma: NonNegativeFloat = 2.0
    tau: PositiveFloat = 1.0
    prior: Prior | None = None
    max_margin: PositiveFloat = 0.5
    pos_weight: Literal["none", "balanced", "sqrt"] = "none"
    decode: Auto | Decode = "auto"

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        self._belongs("effective_beta", self.class_weights == "effective", "`class_weights: effective`")
        self._belongs("defer_fraction", self.class_weights != "none", "class_weights")
        self._belongs("gamma", self.kind == "focal", "`kind: focal`")
        self._belongs("tau", self.kind == "logit-adjustment", "`kind: logit-adjustment`")
        self._belongs("prior", self.kind in ADJUSTED, f"`kind: {' or '.join(sorted(ADJUSTED))}`")
        self._belongs("max_margin", self.kind == "ldam", "`kind: ldam`")
        self._belongs("pos_weight", self.kind == BINARY, f"`kind: {BINARY}`")
        if self.kind in ADJUSTED and self.prior is None:
            raise ValueError(f"{self.kind} needs prior, the class frequencies that the model is meant for: "
                             "balanced, train, tuned (on val), or a list in class order")  # fmt: skip
        if self.kind in ADJUSTED and self.class_weights != "none":
            raise ValueError(f"{self.kind} and class_weights both correct imbalance: choose one")
        if self.pos_weight != "none" and self.class_weights != "none":
            raise ValueError("pos_weight and class_weights both correct imbalance: choose one")
        if self.kind in ORDINAL and self.label_smoothing not in (0, "auto"):
            raise ValueError(f"label_smoothing has no place in {self.kind}, whose targets already spread to neighbours")
        return self

    def _belongs(self, name: str, has_effect: bool, needed: str) -> None:
        if not has_effect and getattr(self, name) != type(self).model_fields[name].default:
            raise ValueError(f"{name} has no effect without {needed}")
