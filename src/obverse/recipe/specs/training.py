"""How it is trained: optimizer, schedule, length, stopping, and where it runs."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from obverse.cpus import MAX_THREADS
from obverse.recipe.metric_name import MetricOrAuto

from .spec import Auto, Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Seed, Spec

SamplerKind = Literal["natural", "sqrt", "balanced"]
Tracker = Literal["mlflow", "wandb"]


def _each_once(names: tuple[Tracker, ...]) -> tuple[Tracker, ...]:
    return tuple(dict.fromkeys(names))


class OptimSpec(Spec):
    """The optimizer. Weight decay never touches norms, biases and embeddings."""

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    """`adamw` decays weights apart from the gradient (Loshchilov & Hutter 2017); in `adam` weight decay is L2
    regularisation; `sgd` is with momentum."""

    lr: Auto | Annotated[float, Field(gt=0)] = "auto"
    """Peak learning rate. `auto` depends on model, optimizer and batch; with adamw at batch 128 it is 5e-3 for the
    small convnet, 1e-3 for other networks from scratch and for fine-tuning, and 2e-3 for a head or LoRA alone, scaled
    by the square root of the batch."""

    weight_decay: NonNegativeFloat = 0.05
    """Strength of the weight decay. 0.05 is usual for adamw."""

    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay rates of the running means of the gradient and of its square, with `adamw` and `adam`."""

    momentum: Fraction = 0.9
    """Momentum of `sgd`."""

    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient of all parameters; a larger one is scaled down. `null`: no clipping."""

    @model_validator(mode="after")
    def _fields_take_effect(self) -> Self:
        given = self.model_fields_set
        if self.kind == "sgd" and "betas" in given and self.betas != (0.9, 0.999):
            raise ValueError("betas have no effect with `kind: sgd`; set momentum")
        if self.kind != "sgd" and "momentum" in given and self.momentum != 0.9:
            raise ValueError(f"momentum has no effect with `kind: {self.kind}`; set betas")
        return self


class ScheduleSpec(Spec):
    """How the learning rate moves: a linear warm-up, then down; no kind rises after its peak."""

    kind: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = "cosine"
    """`cosine` falls along half a cosine by step; `one-cycle` (Smith & Topin 2017) rises over the first 30 % along a
    cosine, has no other warm-up, and falls; `step` falls at each of `drop_at`; `plateau` falls when val stops getting
    better; `constant` stays."""

    warmup_epochs: Auto | NonNegativeFloat = "auto"
    """Length of the linear warm-up in epochs, also a fraction of one. `auto` is a tenth of the run, at most 3."""

    min_lr_fraction: Fraction = 0.001
    """Lowest learning rate, as a share of `optim.lr`. No kind goes below it."""

    drop_at: Annotated[tuple[Fraction, ...], Field(max_length=100)] = (0.5, 0.75)
    """Places where `step` lowers the rate, as shares of what follows the warm-up, rising."""

    drop_factor: Fraction = 0.1
    """Factor of the rate at each drop of `step` and `plateau`."""

    patience: PositiveInt = 3
    """Epochs without a better `training.select` on val until `plateau` lowers the rate."""

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
    """When a run ends before its last epoch: after epochs without a better `training.select` on val; an equal one is no
    better.
    """

    patience: PositiveInt
    """Epochs without a better one after which the run ends. They count after the warm-up, `min_epochs` and
    `min_fraction`."""

    min_epochs: NonNegativeInt = 0
    """Epochs before which patience does not count."""

    min_fraction: Fraction = 0.0
    """Share of the run before which patience does not count, so that a cosine comes down to its low rates. Example:
    0.7."""


class TrainingSpec(Spec):
    """Length of a run, its batches, and how its best epoch is chosen."""

    epochs: Auto | PositiveInt = "auto"
    """Passes over the training samples. `auto` is as many as show the model 300,000 pictures, from 10 to 60, and with
    pretrained weights as many as make 300 steps."""

    minutes: PositiveFloat | None = None
    """Time budget of the training loop in minutes; the schedule then follows the clock instead of `epochs`, and the run
    cannot be repeated bit for bit. `null`: no budget."""

    batch_size: Auto | PositiveInt = "auto"
    """Samples per optimizer step, over all processes. `auto` is a twelfth of the training set, rounded to a power of
    two, from 8 to 128, and with pretrained weights at most 16 for fewer than 1,000 training samples."""

    micro_batch_size: Auto | PositiveInt = "auto"
    """Samples per forward pass; smaller than `batch_size` means that gradients are accumulated, which saves memory.
    `auto` is `batch_size`."""

    sampler: SamplerKind = "natural"
    """How often an epoch shows each class of n samples; its length stays. `natural`: as often as it has samples;
    `sqrt`: in proportion to sqrt(n); `balanced`: all classes alike."""

    ema_decay: Fraction = 0.0
    """Decay per step of an exponential moving average of the weights, which is then evaluated and shipped. 0 ships the
    weights themselves; 0.998 averages over some 500 steps. The recipe `auto` says 0.999."""

    early_stopping: EarlyStopping | None = None
    """When the run ends before its last epoch. `null`: it never does."""

    refit: bool = False
    """Whether to train once more on train and val with what val chose, and ship that: from the same start, with the
    same schedule, up to the best epoch. Val figures stay those of the first training; test figures are of what ships.
    With `minutes`, each training has half of them."""

    trackers: Annotated[tuple[Tracker, ...], AfterValidator(_each_once)] = ()
    """Services that are sent the settings and every epoch's numbers, besides the run folder: `mlflow`, `wandb`
    (`--track`)."""

    select: MetricOrAuto = "auto"
    """Metric on val that chooses the best epoch; of equal epochs the lower loss decides. `auto` is `mae` for ordered
    classes, `macro_f1` where the largest class has more than ten times the samples of the smallest, `map` (mean average
    precision) for multi-label data, and `accuracy` otherwise."""

    seed: Seed = 0
    """Seed of weights, order and augmentation."""


Precision = Literal["fp32", "bf16", "fp16"]
MatmulSetting = Literal["highest", "high", "medium"]
DistributedKind = Literal["ddp", "fsdp"]
# More than the largest machines have; each worker is a process.
Threads = Annotated[int, Field(gt=0, le=MAX_THREADS)]
Workers = Annotated[int, Field(ge=0, le=256)]


DEVICE = r"auto|cpu|mps|cuda(:\d+)?"


def _known_device(name: str) -> str:
    if not re.fullmatch(DEVICE, name, flags=re.ASCII):
        raise ValueError("say auto, cpu, cuda, cuda:N or mps")
    return name


class RuntimeSpec(Spec):
    """Where and how a run is computed. `auto` is decided at the start, by what is there or by measurement, and written
    down.
    """

    device: Annotated[str, AfterValidator(_known_device), Field(json_schema_extra={"pattern": f"^({DEVICE})$"})] = (
        "auto"
    )
    """`cpu`, `cuda`, `cuda:N` or `mps`. `auto` takes what is there: CUDA, then MPS, then the CPU."""

    precision: Literal[Auto, Precision] = "auto"
    """Number format of training, and of the passes over val that compare its epochs. `fp16` needs a CUDA device and
    scales its loss. `auto` measures whether bf16 is faster where the hardware has it, and is fp32 otherwise. What ships
    is measured and answers in fp32."""

    channels_last: Auto | bool = "auto"
    """Whether tensors keep the channels of a pixel side by side in memory. `auto` measures which is faster."""

    matmul: Literal[Auto, MatmulSetting] = "auto"
    """Precision of fp32 matrix products, as of `torch.set_float32_matmul_precision`. `auto` is `high` (TF32) on a CUDA
    device; on a CPU `highest`, unless `medium` keeps fp32 accuracy and is measured to be faster."""

    distributed: Literal[Auto, DistributedKind] = "auto"
    """How the processes of a launcher such as torchrun train one model: `ddp` holds the whole model in each process,
    `fsdp` a part of it. `auto` is `ddp`, which needs less communication."""

    num_threads: Auto | Threads = "auto"
    """Processor threads of each process. `auto` is all that the process may use."""

    num_workers: Auto | Workers = "auto"
    """Processes that load pictures, for each training process; with 0 its own threads do. `auto` is up to 8 on a CUDA
    device; on a CPU the cores beyond two, at most 2, because the cores belong to the model."""

    checkpointing: bool = False
    """Whether activations are computed twice instead of kept, which saves memory and takes about a third more time."""

    compile: Auto | bool = "auto"
    """Whether the model goes through `torch.compile`. `auto` tries it for runs of more than half an hour and takes it
    where it saves more time than it costs."""
