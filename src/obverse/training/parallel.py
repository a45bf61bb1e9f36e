"""Parallel training of one model: a single process, DDP, or FSDP2 for a model that does not fit into one device.

Checkpoints are the same in all three: whole tensors under the model's own names, on the main process. So each of them
can resume the others. torch.distributed.checkpoint.state_dict, whose import takes seconds, puts sharded ones together.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, cast

import torch
from torch import nn

from obverse.models import Classifier, plain_state, rows_of, sync_batch_norms
from obverse.recipe import DistributedKind
from obverse.runtime import Process

# Smaller blocks are sharded together with their parent, because a collective call costs more than it saves.
MIN_BLOCK_PARAMETERS = 1_000_000
# DDP need not broadcast buffers: synchronised batch norms keep them equal. torch 2.15 renames the argument.
_new_name = "forward_sync_buffers" in inspect.signature(nn.parallel.DistributedDataParallel).parameters
# Warnings to ignore: features are views, but never changed in place; a token's gradient has another layout, at no cost.
HARMLESS = ("FSDP2-wrapped module .* returned a view tensor", "Grad strides do not match bucket view strides")
BUFFERS_STAY: dict[str, Any] = {"forward_sync_buffers" if _new_name else "broadcast_buffers": False}


class Parallel:
    """A model on all ranks. The constructor shards or synchronises it; the optimizer must be built afterwards."""

    def __init__(self, model: Classifier, process: Process | None = None, kind: DistributedKind = "ddp") -> None:
        self.model, self.process = model, process or Process()
        self.is_sharded = kind == "fsdp" and not self.process.is_alone
        self._norms = [] if self.process.is_alone else sync_batch_norms(model)
        self._wrapped: tuple[nn.Module, list[nn.Parameter]] | None = None
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message=message)
        if self.is_sharded:
            shard(model)

    def forward_model(self) -> Classifier:
        """The module that a training step calls, which averages gradients over ranks."""
        if self.process.is_alone or self.is_sharded:
            return self.model
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        # DDP registers trainable parameters once, so it is built again when some are unfrozen.
        if self._wrapped is None or list(map(id, trainable)) != list(map(id, self._wrapped[1])):
            ddp = nn.parallel.DistributedDataParallel(self.model, gradient_as_bucket_view=True, **BUFFERS_STAY)
            self._wrapped = ddp, trainable
        return cast(Classifier, self._wrapped[0])

    def gradients(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Context of one micro-batch; gradients are reduced over ranks with the last one only."""
        if self._wrapped is not None and not is_last:
            return cast(AbstractContextManager[None], self._wrapped[0].no_sync())  # type: ignore[operator]
        return nullcontext()

    def count(self, valid_B: torch.Tensor, present_BV: torch.Tensor) -> None:
        """Set which pictures of the next batch are real, neither padding nor missing views, for batch norms."""
        if not self._norms:
            return
        device = next(self.model.parameters()).device
        backbones = self.model.backbones
        masks = rows_of(valid_B, present_BV, num_backbones=len(backbones))
        mask_of = {norm: mask for net, mask in zip(backbones, masks, strict=True) for norm in net.modules()}
        for norm in self._norms:
            mask = mask_of.get(norm, valid_B)
            norm.valid_B = None if bool(mask.all()) else mask.to(device)

    def weights(self, model: nn.Module | None = None) -> dict[str, torch.Tensor]:
        """CPU copies of all tensors of the model (or of `model`, which has the same structure) on the main process."""
        model = model or self.model
        state = _states().get_model_state_dict(model, options=_whole()) if self.is_sharded else model.state_dict()
        copies: dict[str, torch.Tensor] = _copied(state) if self.process.is_main else {}
        return copies

    def shipped(self, model: Classifier) -> dict[str, torch.Tensor]:
        """The tensors of the plain model, with layers that were added for training merged into it."""
        if self.is_sharded:
            return self.weights(model)
        state = plain_state(model) if self.process.is_main else {}
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def load(self, weights: dict[str, torch.Tensor], model: nn.Module | None = None) -> None:
        """Load `weights` of the main process on all ranks."""
        if self.process.is_alone:
            (model or self.model).load_state_dict(weights)
        else:
            _states().set_model_state_dict(model or self.model, dict(weights), options=self._from_main())

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The optimizer's state, by parameter name, on the main process."""
        if not optimizer.state:  # torch would create a state by a step with learning rate 0, and count that step
            return {"state": {}, "param_groups": []}
        if self.is_sharded:
            state = _states().get_optimizer_state_dict(self.model, optimizer, options=_whole())
        else:
            names = self._names()
            groups = [{**group, "params": [names[p] for p in group["params"]]} for group in optimizer.param_groups]
            state = {"state": {names[p]: kept for p, kept in optimizer.state.items()}, "param_groups": groups}
        copies: dict[str, Any] = _copied(state) if self.process.is_main else {}
        return copies

    def load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Load the optimizer's `state` of the main process on all ranks."""
        if self.process.is_alone:
            names, own = self._names(), optimizer.state_dict()["param_groups"]
            order = (names[parameter] for group in optimizer.param_groups for parameter in group["params"])
            kept = {number: state["state"][name] for number, name in enumerate(order) if name in state["state"]}
            groups = [
                {**group, "params": ours["params"]}
                for ours, group in zip(own, state["param_groups"] or own, strict=True)
            ]
            optimizer.load_state_dict({"state": _copied(kept), "param_groups": groups})
            return
        known = self.process.from_main(lambda: set(state["state"]))
        if known:
            _states().set_optimizer_state_dict(self.model, optimizer, state, options=self._from_main(strict=False))
        # Frozen parameters had no state, and must not get the one that torch creates.
        for name, parameter in self.model.named_parameters():
            if name not in known:
                optimizer.state.pop(parameter, None)

    def _names(self) -> dict[torch.Tensor, str]:
        return {parameter: name for name, parameter in self.model.named_parameters()}

    def _from_main(self, *, strict: bool = True) -> Any:
        return _states().StateDictOptions(
            full_state_dict=True, broadcast_from_rank0=not self.process.is_alone, strict=strict
        )


def whole_number(value: torch.Tensor) -> float:
    """The value of a scalar tensor that may be sharded."""
    return float(value.full_tensor() if hasattr(value, "full_tensor") else value)


def shard(model: Classifier) -> None:
    """Shard the model over the ranks with FSDP2, block by block, then the remaining tensors."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    device = next(model.parameters()).device.type
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    blocks = [block for backbone in model.backbones for block in _blocks(backbone)]
    columns = [model.columns] if model.columns is not None else []
    for module in (*blocks, *model.backbones, model.fusion, model.head, *model.view_heads, *columns, model):
        fully_shard(module, mesh=mesh)
    register_fsdp_forward_method(model, "features")


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost sequences: a transformer's blocks, a ResNet's stages' blocks."""
    for child in model.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from (block for block in child if sum(p.numel() for p in block.parameters()) >= MIN_BLOCK_PARAMETERS)
        else:
            yield from _blocks(child)


def _whole() -> Any:
    return _states().StateDictOptions(full_state_dict=True, cpu_offload=True)


def _states() -> ModuleType:
    """torch's functions for states that may be sharded."""
    from torch.distributed.checkpoint import state_dict

    return state_dict


def _copied(state: Any) -> Any:
    """Copies of all tensors in nested dicts and lists, on the CPU."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state.detach().to("cpu", copy=True) if isinstance(state, torch.Tensor) else state
