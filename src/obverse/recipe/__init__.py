"""Recipes: frozen descriptions of runs and studies. Imports no torch."""

from .catalogue import ALIASES, CATALOGUE, Budget, Pretrained, budget_of, within
from .choice import ChoiceSpec, Settings, setting_lines
from .criteria import Criterion, load_criteria
from .faults import did_you_mean
from .fields import describe_fields
from .files import build_recipe, dump_recipe, load_recipe, recipe_schema, save_recipe, shipped_recipes
from .licences import PERMISSIVE, forbids_commercial_use, licence_sentence, licence_words, restriction
from .options import CONFIG_IGNORED, TIMM_OPTIONS
from .recipe import Recipe
from .resolved import (
    ResolvedCache,
    ResolvedData,
    ResolvedLoss,
    ResolvedOptim,
    ResolvedRecipe,
    ResolvedSchedule,
)
from .specs.augment import POLICIES, AugmentSpec, MixingSpec, ResolvedAugment
from .specs.backbone import (
    AutoBackbone,
    Backbone,
    CCTBackbone,
    ConvNetBackbone,
    HFBackbone,
    TimmBackbone,
    TorchvisionBackbone,
    VGGBackbone,
    ViTBackbone,
    WithWeights,
)
from .specs.cache import CacheSpec
from .specs.data import ColumnKind, DataSpec, Layout, Size, TilesSpec
from .specs.distill import DistillSpec
from .specs.evaluation import AcceptanceSpec, EvaluationSpec, OutlierSpec
from .specs.finetune import FinetuneSpec, HeadFirstSpec, LoraSpec
from .specs.fusion import (
    AttentionFusion,
    AutoFusion,
    AverageFusion,
    ConcatFusion,
    CrossViewFusion,
    Fusion,
    GatedFusion,
    MaxFusion,
    MeanFusion,
    MultiplicativeFusion,
)
from .specs.loss import (
    ADJUSTED,
    BINARY,
    COSINE_SCALE,
    FITTED_ON_PROBABILITIES,
    LABEL_SETS,
    ORDINAL,
    CalibrationForm,
    CalibrationSpec,
    LossSpec,
    OutputSpec,
    SetsKind,
    SetsSpec,
)
from .specs.model import HeadSpec, ModelSpec, ViewHeadsSpec
from .specs.parent import ParentSpec
from .specs.spec import Spec
from .specs.split import GroupBy, SplitSpec
from .specs.training import (
    DistributedKind,
    EarlyStopping,
    OptimSpec,
    Precision,
    RuntimeSpec,
    SamplerKind,
    ScheduleSpec,
    TrainingSpec,
)
from .sweep import Condition, SearchSpec, SweepSpec, load_sweep
from .yaml_text import parse_yaml

__all__ = [
    "ADJUSTED",
    "ALIASES",
    "BINARY",
    "CATALOGUE",
    "CONFIG_IGNORED",
    "COSINE_SCALE",
    "FITTED_ON_PROBABILITIES",
    "LABEL_SETS",
    "ORDINAL",
    "PERMISSIVE",
    "POLICIES",
    "TIMM_OPTIONS",
    "AcceptanceSpec",
    "AttentionFusion",
    "AugmentSpec",
    "AutoBackbone",
    "AutoFusion",
    "AverageFusion",
    "Backbone",
    "Budget",
    "CCTBackbone",
    "CacheSpec",
    "CalibrationForm",
    "CalibrationSpec",
    "ChoiceSpec",
    "ColumnKind",
    "ConcatFusion",
    "Condition",
    "ConvNetBackbone",
    "Criterion",
    "CrossViewFusion",
    "DataSpec",
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
    "OutlierSpec",
    "OutputSpec",
    "ParentSpec",
    "Precision",
    "Pretrained",
    "Recipe",
    "ResolvedAugment",
    "ResolvedCache",
    "ResolvedData",
    "ResolvedLoss",
    "ResolvedOptim",
    "ResolvedRecipe",
    "ResolvedSchedule",
    "RuntimeSpec",
    "SamplerKind",
    "ScheduleSpec",
    "SearchSpec",
    "SetsKind",
    "SetsSpec",
    "Settings",
    "Size",
    "Spec",
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
    "budget_of",
    "build_recipe",
    "describe_fields",
    "did_you_mean",
    "dump_recipe",
    "forbids_commercial_use",
    "licence_sentence",
    "licence_words",
    "load_criteria",
    "load_recipe",
    "load_sweep",
    "parse_yaml",
    "recipe_schema",
    "restriction",
    "save_recipe",
    "setting_lines",
    "shipped_recipes",
    "within",
]
