"""What the processes do together, answering with plain values and tensors; alone, the same code is the measure."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from obverse.data import Loader, PictureDataset
from obverse.engines import run_engine
from obverse.errors import ObverseError
from obverse.experiment.auto.resolve import resolve
from obverse.experiment.setup import Setup, set_up
from obverse.launch import launched
from obverse.manifest import build_index
from obverse.models import build_classifier, sync_batch_norms
from obverse.recipe import ConvNetBackbone, DistributedKind, ModelSpec, Recipe
from obverse.runs import StepEnd
from obverse.runs.checkpoint import load_newest
from obverse.runtime import Process
from obverse.training import Trainer, parallel

CLOCKS = ("seconds", "head_seconds", "pictures_per_second", "data_wait")


def setup_of(data: Path, recipe: Recipe) -> Setup:
    """What `start_run` would build."""
    index = build_index(data, recipe.data)
    return set_up(resolve(recipe, index).recipe, index.manifest)


def train(
    *,
    data: Path,
    recipe: Recipe,
    folder: Path,
    stop: tuple[int, int] | None = None,
    resume: bool = False,
    poison: int | None = None,
    blocks: int = 1_000_000,
) -> dict[str, Any]:
    """Train to the end. stop: (rank, step) of a wish to stop; poison: a rank whose loss is infinite at step 2."""
    parallel.MIN_BLOCK_PARAMETERS = blocks
    setup = setup_of(data, recipe)
    rank = setup.process.rank

    def wanted_signal() -> int | None:
        return 15 if stop == (rank, trainer.progress.step) else None

    trainer = Trainer(
        setup.engine(),
        setup.recipe,
        setup.loaders(),
        objective=setup.objective,
        checkpoints=folder,
        process=setup.process,
        wanted_signal=wanted_signal,
    )
    notes: list[str] = []
    if resume:
        checkpoint = load_newest(folder)[0] if setup.process.is_main else None
        notes = trainer.restore(checkpoint)
    losses, error = [], None
    try:
        for event in trainer.run():
            if isinstance(event, StepEnd):
                losses.append(event.loss)
                if rank == poison and event.step == 1:
                    _poison(trainer)
    except ObverseError as caught:
        error = (type(caught).__name__, caught.exit_code, str(caught))
    return {"losses": losses, "error": error, "notes": notes, **state_of(trainer)}


def _poison(trainer: Trainer) -> None:
    trainer.model.head.register_forward_hook(lambda module, inputs, output: output * float("inf"))


def state_of(trainer: Trainer) -> dict[str, Any]:
    """All that a checkpoint holds, on the main process; what every rank has, on all."""
    checkpoint = trainer.checkpoint()
    progress = {k: v for k, v in checkpoint.state.items() if k not in CLOCKS}
    progress["history"] = [{k: v for k, v in row.items() if k not in CLOCKS} for row in progress["history"]]
    return {
        "tensors": {name: checkpoint.tensors[name] for name in checkpoint.tensors if not name.startswith("random")},
        "optimizer": checkpoint.optimizer,
        "progress": progress,
        "random": torch.get_rng_state(),
    }


def evaluate(*, data: Path, recipe: Recipe, split: str, batch_size: int) -> dict[str, Any]:
    """Every row of a split."""
    setup = setup_of(data, recipe)
    dataset = PictureDataset(setup.manifest, setup.manifest.split(split), setup.bundle.geometry)
    loader = Loader(dataset, batch_size, process=setup.process)
    outputs = run_engine(setup.engine(), loader.epoch(), each_view=True, process=setup.process)
    return {"ids": outputs.ids, "labels": outputs.truth, "logits": outputs.logits_NK, "alone": outputs.alone_VNK}


def normalise(*, sizes: list[int], padding: int, kind: str, steps: int = 2) -> dict[str, Any]:
    """Batch norm over samples dealt to ranks, the last `padding` of the last rank no samples at all."""
    import timm.layers

    launch = launched()
    kinds = {
        "plain": nn.BatchNorm2d,
        "affine-free": lambda channels: nn.BatchNorm2d(channels, affine=False),
        "cumulative": lambda channels: nn.BatchNorm2d(channels, momentum=None),
        "linear": nn.BatchNorm1d,
        "timm": timm.layers.BatchNormAct2d,
    }
    torch.manual_seed(0)
    net = nn.Sequential(kinds[kind](3))
    shape = (sum(sizes), 3) if kind == "linear" else (sum(sizes), 3, 4, 5)
    inputs = [torch.randn(shape) * 3 + 100 for _ in range(steps)]
    wishes = [torch.randn(shape) for _ in range(steps)]
    is_alone = launch.world_size == 1
    start = sum(sizes[: launch.rank])
    mine = slice(None) if is_alone else slice(start, start + sizes[launch.rank])
    norms = [] if is_alone else sync_batch_norms(net)
    rows = []
    for x, wish in zip(inputs, wishes, strict=True):
        share = x[mine].clone()
        valid = torch.ones(len(share), dtype=torch.bool)
        if padding and launch.rank == launch.world_size - 1 and not is_alone:
            share = torch.cat([share, torch.full((padding, *share.shape[1:]), 1e4)])
            valid = torch.cat([valid, torch.zeros(padding, dtype=torch.bool)])
        for norm in norms:
            norm.valid_B = None if bool(valid.all()) else valid
        share.requires_grad_()
        result = net(share)
        (result[valid] * wish[mine]).sum().backward()
        rows.append((result[valid].detach(), share.grad[valid]))
    gradients = [parameter.grad for parameter in net.parameters()]
    if not is_alone:
        for gradient in gradients:
            torch.distributed.all_reduce(gradient)
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net.eval()
    return {"rows": rows, "gradients": gradients, "buffers": buffers, "eval": net(inputs[0]).detach()}


def missing_views(
    *, present: list[list[bool]], sharing: Literal["shared", "separate"], kind: DistributedKind
) -> dict[str, Any]:
    """Gradients and statistics after one step on samples that are dealt in halves, and one that is padding."""
    launch, num = launched(), len(present)
    torch.manual_seed(0)
    spec = ModelSpec(backbone=ConvNetBackbone(widths=(4, 8)), sharing=sharing)
    model = build_classifier(spec, num_views=2, num_classes=3, height=16, width=16).train()
    images_BVCHW = torch.randn(num, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    present_BV, valid_B = torch.tensor(present), torch.ones(num, dtype=torch.bool)
    is_alone = launch.world_size == 1
    if not is_alone:
        half = slice(launch.rank * num // 2, (launch.rank + 1) * num // 2)
        padding = int(launch.rank == launch.world_size - 1)
        images_BVCHW = torch.cat([images_BVCHW[half], torch.full((padding, 2, 3, 16, 16), 100.0)])
        present_BV = torch.cat([present_BV[half], present_BV[:1].expand(padding, -1)])
        valid_B = torch.cat([valid_B[half], torch.zeros(padding, dtype=torch.bool)])
    ranks = parallel.Parallel(model, Process(launch.rank, launch.world_size), kind)
    forward = ranks.forward_model()
    ranks.count(valid_B, present_BV)
    losses_B = forward(images_BVCHW, present_BV).square().sum(1)
    (torch.where(valid_B, losses_B, 0.0).sum() * launch.world_size / num).backward()
    gradients = {
        name: grad.full_tensor() if hasattr(grad := parameter.grad, "full_tensor") else grad
        for name, parameter in model.named_parameters()
    }
    return {"gradients": gradients, "buffers": dict(model.named_buffers())}


def talk() -> dict[str, Any]:
    """What processes say to each other."""
    process = Process(launched().rank, launched().world_size)
    numbers = [0.1 + process.rank, 1e300, 2.0**53 + 2]
    return {
        "rows": process.rows(numbers),
        "totals": process.totals([0.1 + process.rank, 3]),
        "gather": process.gather(f"rank {process.rank}"),
        "from_main": process.from_main(lambda: {"rank": process.rank}),
    }


def wrap_again(*, data: Path, recipe: Recipe) -> list[Any]:
    """Which wrappers the model gets while parts of it freeze and thaw."""
    setup = setup_of(data, recipe)
    ranks = parallel.Parallel(setup.model, setup.process)
    first, same = ranks.forward_model(), ranks.forward_model()
    setup.model.backbones.requires_grad_(False)
    frozen = ranks.forward_model()
    setup.model.backbones.requires_grad_(True)
    thawed = ranks.forward_model()
    pairs = itertools.pairwise([first, same, frozen, thawed])
    return [left is right for left, right in pairs]


def draws(*, seed: int) -> list[float]:
    """What torch's generator gives each rank after a model was built."""
    from obverse.runtime import seed_torch, seed_torch_of_rank

    seed_torch(seed)
    torch.randn(3)
    seed_torch_of_rank(seed, launched().rank)
    return np.asarray(torch.rand(4)).tolist()
