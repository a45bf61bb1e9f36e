"""Safe reader of weight files: safetensors, whole or in shards, or pickles of tensors and plain values only.

The meaning of the tensors is known to vit_formats.py and the backbones.
"""

from __future__ import annotations

import json
import os
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from obverse.errors import DataError, UnavailableError
from obverse.files import read_json_object, read_text, regular_status

INDEX = "model.safetensors.index.json"
IN_FOLDERS = ("model.safetensors", INDEX, "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
# Keys under which training loops store weights; averaged weights first, as in timm.
CONTAINERS = ("state_dict_ema", "model_ema", "model_state_dict", "state_dict", "teacher", "model")
# Prefixes of names that DataParallel and torch.compile add.
WRAPPERS = ("module.", "_orig_mod.")
# Parts of a training loop in which the network lies. DINO ships the teacher, which averages the student's weights.
PARTS = ("teacher", "student", "backbone", "model", "net", "timm_model")
# What may lie beside them, and is no part of a backbone.
BESIDE = frozenset(
    ("classifier", "criterion", "dino_head", "fc", "head", "heads", "ibot_head", "loss", "neck", "projector", "student")
)
# Files that a message names.
MOST_LISTED = 5
# Levels of dictionaries that are searched for tensors, to say where they lie; a pickle may hold itself.
DEEPEST = 5
# Names of the descriptions in a folder of weights.
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"

State = dict[str, torch.Tensor]
# (height, width) of the pictures that weights were trained on, None where nothing says it; and the share of the sides
# that is kept of a picture ("resize 256, centre crop 224" is 0.875).
Framing = tuple[tuple[int, int] | None, float]


class OtherWeightsError(DataError):
    """A weight file that is sound, and holds another network than the recipe's."""


def find_weights(given: str) -> Path:
    """The weight file at `given`, which is a file or a folder. UnavailableError when there is none."""
    path = Path(given).expanduser()
    if path.is_dir():
        named = [path / name for name in IN_FOLDERS if (path / name).is_file()]
        others = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        files = named or others
        if not named and len(others) > 1:
            listed = ", ".join(file.name for file in others[:MOST_LISTED])
            more = f" and {len(others) - MOST_LISTED} more" if len(others) > MOST_LISTED else ""
            raise UnavailableError(f"model.backbone.pretrained: {given!r} holds {len(others)} weight files; name one: "
                                   f"{listed}{more}")  # fmt: skip
        if not files:
            raise UnavailableError(f"model.backbone.pretrained: there is no weight file in {given!r}, such as "
                                   "model.safetensors")  # fmt: skip
        return files[0]
    if not path.is_file():
        raise UnavailableError(f"model.backbone.pretrained: no file {given!r} (or say `hub` or `none`)")
    return path


def read_weights(path: Path, device: str = "cpu") -> State:
    """Name -> tensor, without wrappers of a training loop. DataError for anything else, and for NaN and infinity.

    device: `meta` reads names and shapes only.
    Code in a pickle is never run.
    """
    state = _unprefixed(_read_state(path, device))
    _require_finite(state, path)
    return state


def _read_state(path: Path, device: str) -> State:
    try:
        regular_status(path)
        if path.name.endswith(".index.json"):
            return _read_shards(path, device)
        if path.suffix == ".safetensors":
            return _read_safetensors(path, device)
        content = unpickled(path, device)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, AttributeError, EOFError) as error:
        raise DataError(f"{str(path)!r} is not a weight file that can be read: {one_line(error)}") from None
    except Exception as error:  # pickle raises many types; weights_only never runs code
        raise DataError(f"{str(path)!r} is not a weight file that can be read safely: {one_line(error)}") from None
    return _unwrapped(content, path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or nothing where there is no such file. DataError when it is broken."""
    return read_json_object(path) if path.is_file() else {}


def fill(net: nn.Module, state: State, *, source: str, name: str) -> None:
    """Load the tensors of `net`; others in the file (a classifier) are ignored. DataError when they do not fit."""
    require_all(net, state, source=source, name=name)
    own = net.state_dict()
    try:
        net.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)
    except RuntimeError as error:
        raise misfit(source, name, error) from None


def require_all(net: nn.Module, state: State, *, source: str, name: str) -> None:
    """DataError when the file lacks a tensor of the model, which would silently stay random."""
    wanted = list(net.state_dict())
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise OtherWeightsError(
            f"{source!r} does not hold `{name}`: {len(missing)} of {len(wanted)} tensors are missing, the first is "
            f"{missing[0]}"
        )


def misfit(source: str, name: str, error: Exception) -> OtherWeightsError:
    """Error for a file whose tensors have other shapes than the model's."""
    fault = (str(error).strip().splitlines() or [""])[:2][-1].strip()
    return OtherWeightsError(f"{source!r} does not fit `{name}`: {fault}")


def read_notes(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for any other. DataError when it is broken."""
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DataError(f"{str(path)!r} is not a weight file that can be read: {one_line(error)}") from None


def _read_safetensors(path: Path, device: str) -> State:
    if device != "meta":
        return dict(load_file(path, device))
    with safe_open(path, "pt") as file:
        return {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in file.keys()}  # noqa: SIM118


def _read_shards(index: Path, device: str) -> State:
    names = json.loads(read_text(index))["weight_map"].values()
    state: State = {}
    for name in sorted(set(names)):
        # A name with a folder in it could point anywhere.
        shard = index.parent / Path(name).name
        regular_status(shard)
        state |= _read_safetensors(shard, device)
    return state


def _unwrapped(content: Any, path: Path) -> State:
    while isinstance(content, dict) and (inner := [content[key] for key in CONTAINERS if _is_dict(content, key)]):
        content = inner[0]
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} holds no tensors by name, but {type(content).__name__}")
    state = _tensors(content)
    keys, num_deeper = _keys_to_most(content)
    if num_deeper > len(state):
        place = "".join(f"[{key!r}]" for key in keys)
        raise DataError(f"{str(path)!r}: its tensors lie deeper, under {place}; save that dictionary alone: "
                        f"torch.save(torch.load(FILE){place}, NEW)")  # fmt: skip
    return state


def _tensors(content: dict[Any, Any]) -> State:
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def _keys_to_most(content: dict[Any, Any], depth: int = DEEPEST) -> tuple[tuple[Any, ...], int]:
    """Keys that lead to the inner dictionary with the most tensors, and their number; (), 0 where there is none."""
    best: tuple[tuple[Any, ...], int] = ((), 0)
    for key, inner in content.items() if depth else ():
        if isinstance(inner, dict):
            keys, number = _keys_to_most(inner, depth - 1)
            own = len(_tensors(inner))
            best = max(best, ((key,), own), ((key, *keys), number), key=lambda place: place[1])
    return best


def _require_finite(state: State, path: Path) -> None:
    """DataError for NaN and infinity, of which every feature would be NaN. Tensors without values pass."""
    for name, value in state.items():
        if value.is_floating_point() and not value.is_meta and not bool(value.isfinite().all()):
            raise DataError(f"{str(path)!r}: its tensor {name} holds NaN or infinity, so that no answer would be a "
                            "number; take a sound copy, or the weights of an earlier epoch")  # fmt: skip


def _unprefixed(state: State) -> State:
    """The tensors of the network under its own names, without WRAPPERS and PARTS."""
    for wrapper in WRAPPERS:
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    for part in PARTS:
        inside = {name: value for name, value in state.items() if name.startswith(f"{part}.")}
        others = {name.partition(".")[0] for name in state.keys() - inside.keys()}
        if inside and others <= BESIDE:
            return _unprefixed({name.removeprefix(f"{part}."): value for name, value in inside.items()})
    return state


def _is_dict(content: dict[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), dict)


def unpickled(file: Path | BinaryIO, device: str = "cpu") -> Any:
    """The content of a `.pth` file, its tensors on `device`. torch raises for anything but tensors and plain values."""
    _require_stored(file)
    with warnings.catch_warnings():  # about old pickles, which are read or refused all the same
        warnings.simplefilter("ignore")
        return torch.load(file, map_location=device, weights_only=True)


def _require_stored(file: Path | BinaryIO) -> None:
    """ValueError when a zip, as torch writes them, unpacks to more bytes than it has: torch never compresses."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            _require_stored(opened)
        return
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                num_bytes = sum(info.file_size for info in archive.infolist())
            size = file.seek(0, os.SEEK_END)
            if num_bytes > size:
                raise ValueError(f"it unpacks to {num_bytes:,} bytes and has {size:,}; it looks made to do harm")
    finally:
        file.seek(0)


def one_line(error: Exception) -> str:
    """An exception's message as one short line, without torch's advice to run the code in a pickle."""
    text = " ".join(str(error).split())
    if "weights_only" not in text:
        return text[:200]
    match = re.search(r"GLOBAL (\S+)", text)
    what = f"it holds `{match[1]}`" if match else "it is a pickle of another kind"
    return f"{what}, and only tensors and plain values are read; save the state dict alone"
