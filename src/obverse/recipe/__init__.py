"""WHAT to do: frozen recipes, no torch."""

from .augment import POLICIES, AugmentSpec, MixingSpec
from .backbone import (
    ALIASES,
    AutoBackbone,
    CCTBackbone,
    ConvNetBackbone,
    HFBackbone,
    TimmBackbone,
    TorchvisionBackbone,
    VGGBackbone,
    ViTBackbone,
    WithWeights,
)
from .cache import CacheSpec
from .criteria import Criterion, load_criteria
from .data import ColumnKind, DataSpec, Layout, Size, TilesSpec
from .distill import DistillSpec
from .evaluation import EvaluationSpec
from .files import build_recipe, did_you_mean, dump_recipe, load_recipe, recipe_schema, save_recipe, shipped_recipes
from .finetune import FinetuneSpec, HeadFirstSpec, LoraSpec
from .fusion import (
    AttentionFusion,
    AutoFusion,
    ConcatFusion,
    CrossViewFusion,
    Fusion,
    GatedFusion,
    MaxFusion,
    MeanFusion,
    MultiplicativeFusion,
)
from .loss import ADJUSTED, BINARY, COSINE_SCALE, ORDINAL, OWN_RULE, Decode, LossSpec, OutputSpec
from .model import HeadSpec, ModelSpec, ViewHeadsSpec
from .options import CONFIG_IGNORED
from .parent import ParentSpec
from .recipe import Recipe
from .split import GroupBy, SplitSpec
from .sweep import Condition, SearchSpec, SweepSpec, load_sweep
from .training import (
    DistributedKind,
    EarlyStopping,
    OptimSpec,
    RuntimeSpec,
    SamplerKind,
    ScheduleSpec,
    TrainingSpec,
)

__all__ = [
    "ADJUSTED",
    "ALIASES",
    "BINARY",
    "CONFIG_IGNORED",
    "COSINE_SCALE",
    "ORDINAL",
    "OWN_RULE",
    "POLICIES",
    "AttentionFusion",
    "AugmentSpec",
    "AutoBackbone",
    "AutoFusion",
    "CCTBackbone",
    "CacheSpec",
    "ColumnKind",
    "ConcatFusion",
    "Condition",
    "ConvNetBackbone",
    "Criterion",
    "CrossViewFusion",
    "DataSpec",
    "Decode",
    "DistillSpec",
    "DistributedKind",
    "EarlyStopping",
    "EvaluationSpec",
    "FinetuneSpec",
    "Fusion",
    "GatedFusion",
    "GroupBy",
    "HFBackbone",
    "HeadFirstSpec",
    "HeadSpec",
    "Layout",
    "LoraSpec",
    "LossSpec",
    "MaxFusion",
    "MeanFusion",
    "MixingSpec",
    "ModelSpec",
    "MultiplicativeFusion",
    "OptimSpec",
    "OutputSpec",
    "ParentSpec",
    "Recipe",
    "RuntimeSpec",
    "SamplerKind",
    "ScheduleSpec",
    "SearchSpec",
    "Size",
    "SplitSpec",
    "SweepSpec",
    "TilesSpec",
    "TimmBackbone",
    "TorchvisionBackbone",
    "TrainingSpec",
    "VGGBackbone",
    "ViTBackbone",
    "ViewHeadsSpec",
    "WithWeights",
    "build_recipe",
    "did_you_mean",
    "dump_recipe",
    "load_criteria",
    "load_recipe",
    "load_sweep",
    "recipe_schema",
    "save_recipe",
    "shipped_recipes",
]
