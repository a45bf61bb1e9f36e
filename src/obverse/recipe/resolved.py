"""Recipes without `auto`: the same sections and fields, with the types that are left once everything is decided.

What a field means is said in `specs/`; only the fields that can be `auto` there stand here again.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from obverse.errors import RecipeError
from obverse.registry import Decode

from .faults import sentences_of
from .metric_name import MetricName
from .recipe import Recipe
from .specs.augment import ResolvedAugment
from .specs.backbone import (
    ConvNetBackbone,
    FixedBackbone,
)
from .specs.cache import CacheKind, CacheSpec
from .specs.data import DataSpec, KnownLayout, Size
from .specs.distill import DistillSpec
from .specs.finetune import FinetuneSpec, HeadFirstSpec
from .specs.fusion import (
    AttentionFusion,
    AverageFusion,
    ConcatFusion,
    CrossViewFusion,
    GatedFusion,
    MaxFusion,
    MeanFusion,
    MultiplicativeFusion,
)
from .specs.loss import LossKind, LossSpec
from .specs.model import ModelSpec
from .specs.spec import Fraction, NonNegativeFloat, PositiveInt
from .specs.split import SplitSpec
from .specs.training import (
    DistributedKind,
    MatmulSetting,
    OptimSpec,
    Precision,
    RuntimeSpec,
    ScheduleSpec,
    Threads,
    TrainingSpec,
    Workers,
)


class ResolvedCache(CacheSpec):
    """A cache of a known kind."""

    kind: CacheKind


class ResolvedSplit(SplitSpec):
    """A split whose strategy is known."""

    strategy: Literal["stratified", "digest"]


class ResolvedData(DataSpec):
    """Data whose layout, views, labels, class order and input size are known."""

    layout: KnownLayout
    views: tuple[str, ...]
    labels: Literal["single", "multi"]
    order: Literal["none"] | tuple[str, ...]
    missing_view: Literal["exclude", "keep"]
    size: Size
    crop_fraction: Annotated[float, Field(gt=0, le=1)]
    cache: ResolvedCache
    split: ResolvedSplit


class ResolvedConvNet(ConvNetBackbone):
    """The small convnet with its mirroring decided."""

    mirrored: bool


class ResolvedModel(ModelSpec):
    """A model whose backbone and fusion are chosen."""

    backbone: Annotated[
        FixedBackbone | ResolvedConvNet,
        Field(discriminator="kind"),
    ]
    fusion: Annotated[
        ConcatFusion
        | MeanFusion
        | MaxFusion
        | AverageFusion
        | AttentionFusion
        | GatedFusion
        | MultiplicativeFusion
        | CrossViewFusion,
        Field(discriminator="kind"),
    ]


class ResolvedFinetune(FinetuneSpec):
    """Fine-tuning of a known model."""

    freeze_norm: bool
    head_first: HeadFirstSpec | None


class ResolvedLoss(LossSpec):
    """A loss of a known kind."""

    kind: LossKind
    label_smoothing: Fraction
    decode: Decode


class ResolvedDistill(DistillSpec):
    """A teacher whose weights are known."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]+$")]


class ResolvedOptim(OptimSpec):
    """An optimizer with its learning rate."""

    lr: Annotated[float, Field(gt=0)]


class ResolvedSchedule(ScheduleSpec):
    """A schedule with its warm-up."""

    warmup_epochs: NonNegativeFloat


class ResolvedTraining(TrainingSpec):
    """A run whose length, batch and selection metric are known."""

    epochs: PositiveInt
    batch_size: PositiveInt
    micro_batch_size: PositiveInt
    select: MetricName


class ResolvedRuntime(RuntimeSpec):
    """A machine that is known."""

    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]
    precision: Precision
    channels_last: bool
    matmul: MatmulSetting
    distributed: DistributedKind
    num_threads: Threads
    num_workers: Workers
    compile: bool


class ResolvedRecipe(Recipe):
    """A recipe in which nothing is `auto`: training it again repeats the run."""

    data: ResolvedData
    augment: ResolvedAugment
    model: ResolvedModel
    finetune: ResolvedFinetune
    loss: ResolvedLoss
    distill: ResolvedDistill | None = None
    optim: ResolvedOptim
    schedule: ResolvedSchedule
    training: ResolvedTraining
    runtime: ResolvedRuntime
    choice: None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The same values, as a resolved recipe. RecipeError names what is still `auto`."""
        values = recipe.model_dump()
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise RecipeError(sentences_of(error, values, cls.model_json_schema())) from None
