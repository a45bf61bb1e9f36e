"""How it is trained: optimizer, schedule, length, stopping, and where it runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.metric_name import MetricOrAuto

from .spec import Auto, Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Seed, Spec

SamplerKind = Literal["natural", "sqrt", "balanced"]


class OptimSpec(Spec):
    """`adam` with weight decay is L2 regularisation; `adamw` decays decoupled (Loshchilov & Hutter 2017).

    Weight decay never touches norms, biases and embeddings. betas belong to adamw and adam, momentum to sgd.
    """

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: Auto | Annotated[float, Field(gt=0)] = "auto"
    weight_decay: NonNegativeFloat = 0.05
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    momentum: Fraction = 0.9
    clip_norm: PositiveFloat | None = None

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        given = self.model_fields_set
        if self.kind == "sgd" and "betas" in given and self.betas != (0.9, 0.999):
            raise ValueError("betas have no effect with `kind: sgd`; set momentum")
        if self.kind != "sgd" and "momentum" in given and self.momentum != 0.9:
            raise ValueError(f"momentum has no effect with `kind: {self.kind}`; set betas")
        return self


class ScheduleSpec(Spec):
    """How the rate moves; no kind ever rises after its peak.

    Linear warm-up over `warmup_epochs`, then `cosine` down to `min_lr_fraction` of the rate by step; `constant`;
    `step`, times `drop_factor` at each of `drop_at` (shares of what follows the warm-up); `plateau`, times
    `drop_factor` after `patience` epochs without a better selection metric. `one-cycle` (Smith & Topin 2017) rises
    over the first 30 % along a cosine and has no other warm-up. `drop_factor` never goes below `min_lr_fraction`.
    """

    kind: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = "cosine"
    warmup_epochs: Auto | NonNegativeFloat = "auto"
    min_lr_fraction: Fraction = 0.001
    drop_at: Annotated[tuple[Fraction, ...], Field(max_length=100)] = (0.5, 0.75)
    drop_factor: Fraction = 0.1
    patience: PositiveInt = 3

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        used = {
            "min_lr_fraction": self.kind != "constant",
            "drop_at": self.kind == "step",
            "drop_factor": self.kind in ("step", "plateau"),
            "patience": self.kind == "plateau",
            "warmup_epochs": self.kind != "one-cycle" or self.warmup_epochs == 0,
        }
        for name, has_effect in used.items():
            if not has_effect and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect with `kind: {self.kind}`")
        if list(self.drop_at) != sorted(self.drop_at):
            raise ValueError("drop_at must rise: each drop comes after the one before")
        return self


class EarlyStopping(Spec):
    """Patience counts epochs without a better selection metric, after warm-up and `min_epochs` only; an
    equal one is no better, whatever its loss.

    min_fraction: share of the run before which it does not count either, so that a cosine comes down to its low rates.
    """

    patience: PositiveInt
    min_epochs: NonNegativeInt = 0
    min_fraction: Fraction = 0.0


class TrainingSpec(Spec):
    """Length and bookkeeping of a run.

    batch_size: samples per optimizer step. micro_batch_size: samples per forward pass; smaller than batch_size means
    gradient accumulation. sampler: how often an epoch shows each class; its length stays. ema_decay: of the weights'
    average that is evaluated and shipped; 0 ships the weights themselves.
    minutes: a time budget for the training loop; the schedule then follows the clock instead of `epochs`, and such a
    run is exempt from bit-for-bit repeatability. trackers: who else is told of every epoch, besides the run folder.
    select: the metric on val that chooses the best epoch; `auto` is mae for ordered classes, macro_f1 for unbalanced
    ones, map (mean average precision) for multi-label data, and accuracy otherwise; of equal epochs the lower loss
    decides.
    """

    epochs: Auto | PositiveInt = "auto"
    minutes: PositiveFloat | None = None
    batch_size: Auto | PositiveInt = "auto"
    micro_batch_size: Auto | PositiveInt = "auto"
    sampler: SamplerKind = "natural"
    ema_decay: Fraction = 0.0
    early_stopping: EarlyStopping | None = None
    trackers: tuple[Literal["mlflow", "wandb"], ...] = ()
    select: MetricOrAuto = "auto"
    seed: Seed = 0


DistributedKind = Literal["auto", "ddp", "fsdp"]
# More than the largest machines have; each worker is a process.
Threads = Annotated[int, Field(gt=0, le=1024)]
Workers = Annotated[int, Field(ge=0, le=256)]


class RuntimeSpec(Spec):
    """Where it runs. `auto` is decided at the start by what is there and by measurement, and written down.

    distributed: how the processes of a launcher such as torchrun train one model. `auto` is ddp: each has all of it,
    as one process has. With fsdp each has a part. num_threads, num_workers: of each process.
    precision: of training, and of the passes over val that compare its epochs with each other. What ships is tuned and
    measured in fp32, as it answers. fp16 needs a CUDA device and scales its loss.
    checkpointing: activations are computed twice instead of kept.
    compile: torch.compile; `auto` takes it for long runs where it is faster, its own time included.
    """

    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: Auto | bool = "auto"
    matmul: Literal["auto", "highest", "high", "medium"] = "auto"
    distributed: DistributedKind = "auto"
    num_threads: Auto | Threads = "auto"
    num_workers: Auto | Workers = "auto"
    checkpointing: bool = False
    compile: Auto | bool = "auto"
