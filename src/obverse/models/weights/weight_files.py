"""Safe reader of weight files: safetensors, whole or in shards, or pickles of tensors and plain values only.

The meaning of the tensors is known to vit_formats.py and the backbones.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from obverse.errors import DataError, UnavailableError
from obverse.files import regular_status

INDEX = "model.safetensors.index.json"
IN_FOLDERS = ("model.safetensors", INDEX, "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
# Keys under which training loops store weights; averaged weights first, as in timm.
CONTAINERS = ("state_dict_ema", "model_ema", "model_state_dict", "state_dict", "model")
# Prefixes of names that DataParallel and torch.compile add.
WRAPPERS = ("module.", "_orig_mod.")
# Names of the descriptions in a folder of weights.
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"

State = dict[str, torch.Tensor]
# (height, width) of the pictures that weights were trained on, None where nothing says it; and the share of the sides
# that is kept of a picture ("resize 256, centre crop 224" is 0.875).
Framing = tuple[tuple[int, int] | None, float]


def find_weights(given: str) -> Path:
    """The weight file at `given`, which is a file or a folder. UnavailableError when there is none."""
    path = Path(given).expanduser()
    if path.is_dir():
        named = [path / name for name in IN_FOLDERS if (path / name).is_file()]
        others = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        files = named or others
        if not named and len(others) > 1:
            raise UnavailableError(f"model.backbone.pretrained: {given!r} holds {len(others)} weight files; name one")
        if not files:
            raise UnavailableError(f"model.backbone.pretrained: there is no weight file in {given!r}, such as "
                                   "model.safetensors")  # fmt: skip
        return files[0]
    if not path.is_file():
        raise UnavailableError(f"model.backbone.pretrained: no file {given!r} (or say `hub` or `none`)")
    return path


def read_weights(path: Path) -> State:
    """Name -> tensor, on the CPU. DataError for anything else; code in a pickle is never run."""
    try:
        regular_status(path)
        if path.name.endswith(".index.json"):
            return _read_shards(path)
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = unpickled(path)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, AttributeError, EOFError) as error:
        raise DataError(f"{str(path)!r} is not a weight file that can be read: {one_line(error)}") from None
    except Exception as error:  # pickle raises many types; weights_only never runs code
        raise DataError(f"{str(path)!r} is not a weight file that can be read safely: {one_line(error)}") from None
    return _unwrapped(content, path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or nothing where there is no such file. DataError when it is broken."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{str(path)!r} holds no JSON object")
    return values


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
        raise DataError(f"{source!r} does not hold `{name}`: {len(missing)} of {len(wanted)} tensors are missing, "
                        f"the first is {missing[0]}")  # fmt: skip


def misfit(source: str, name: str, error: Exception) -> DataError:
    """Error for a file whose tensors have other shapes than the model's."""
    fault = (str(error).strip().splitlines() or [""])[:2][-1].strip()
    return DataError(f"{source!r} does not fit `{name}`: {fault}")


def _read_shards(index: Path) -> State:
    names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    state: State = {}
    for name in sorted(set(names)):
        # A name with a folder in it could point anywhere.
        state |= load_file(index.parent / Path(name).name)
    return state


def _unwrapped(content: Any, path: Path) -> State:
    while isinstance(content, dict) and (inner := [content[key] for key in CONTAINERS if _is_dict(content, key)]):
        content = inner[0]
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} holds no tensors by name, but {type(content).__name__}")
    state: State = {}
    for key, value in content.items():
        name = str(key)
        for wrapper in WRAPPERS:
            name = name.removeprefix(wrapper)
        if isinstance(value, torch.Tensor):
            state[name] = value
    return state


def _is_dict(content: dict[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), dict)


def unpickled(file: Path | BinaryIO) -> Any:
    """The content of a `.pth` file, on the CPU. torch raises for anything but tensors and plain values."""
    with warnings.catch_warnings():  # about old pickles, which are read or refused all the same
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)


def one_line(error: Exception) -> str:
    """An exception's message as one short line, without torch's advice to run the code in a pickle."""
    text = " ".join(str(error).split())
    if "weights_only" not in text:
        return text[:200]
    match = re.search(r"GLOBAL (\S+)", text)
    what = f"it holds `{match[1]}`" if match else "it is a pickle of another kind"
    return f"{what}, and only tensors and plain values are read; save the state dict alone"
