"""Validated reading of a bundle's weights: compared with the described model before memory is allocated for either.

The model is built on torch's meta device, where tensors have shapes but no memory. Therefore a description that claims
100 GB is rejected at once, and so are the weights of another model.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn

from obverse.errors import DataError, ObverseError, UnavailableError

from .sealed import read_sealed

# Header of a safetensors file (names and shapes); the format itself limits it to 100 MB.
MAX_HEADER_BYTES = 100_000_000
# Exceptions raised by the constructors of networks whose description is impossible.
UNBUILDABLE = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError, RuntimeError)

State = dict[str, torch.Tensor]
Outline = dict[str, tuple[tuple[int, ...], torch.dtype]]


def outline(build: Callable[[], nn.Module], where: str) -> Outline:
    """Name -> (shape, dtype) of a model's tensors, without memory for them; DataError when it cannot be built."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # torch warns about layers of size zero; the comparison with the file reports those.
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                model = build()
        except NotImplementedError:  # some constructors compute with tensors
            model = built(build, where)
        except (*UNBUILDABLE, MemoryError) as error:
            raise _unbuildable(where, error) from None
    return outline_of(model.state_dict())


def outline_of(state: Mapping[str, torch.Tensor]) -> Outline:
    """Name -> (shape, dtype) of tensors."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}


def built(build: Callable[[], nn.Module], where: str) -> nn.Module:
    """The model with allocated weights; DataError when it cannot be built."""
    try:
        return build()
    except (*UNBUILDABLE, MemoryError) as error:
        raise _unbuildable(where, error) from None


def read_state(path: Path, wanted: Outline, *, sha256: str) -> State:
    """The tensors in a safetensors file; DataError when it is damaged or their names and shapes are not `wanted`."""
    num_bytes = sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in wanted.values())
    data = read_sealed(path, sha256=sha256, max_bytes=num_bytes + MAX_HEADER_BYTES)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        header.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        _require_same({name: (shape, None) for name, shape in shapes.items()}, wanted, str(path.parent))
        state = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(path)!r} is no file of tensors that can be read: {one_line(error)}") from None
    require_fit(state, wanted, str(path.parent))
    return state


def require_fit(state: Mapping[str, torch.Tensor], wanted: Outline, where: str) -> None:
    """DataError when tensors do not match the model's outline, or have values that are not finite."""
    _require_same(outline_of(state), wanted, where)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DataError(f"the weights in {where!r} are damaged: `{name}` holds what is no finite number")


def _require_same(
    shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype | None]], wanted: Outline, where: str
) -> None:
    """DataError when names, shapes or dtypes differ. dtype None: any dtype."""
    clauses = [f"`{name}` is missing" for name in wanted if name not in shapes]
    clauses += [f"`{name}` is not of it" for name in shapes if name not in wanted]
    for name in filter(shapes.__contains__, wanted):
        (shape, dtype), (own_shape, own_dtype) = shapes[name], wanted[name]
        if shape != own_shape:
            clauses.append(f"`{name}` is {list(shape)} and not {list(own_shape)}")
        elif dtype not in (None, own_dtype):
            clauses.append(f"`{name}` is {dtype} and not {own_dtype}")
    if clauses:
        more = f" and {len(clauses) - 3} more" if len(clauses) > 3 else ""
        raise DataError(f"the weights in {where!r} do not fit the model they come with: {', '.join(clauses[:3])}{more}")


def _unbuildable(where: str, error: BaseException) -> ObverseError:
    if isinstance(error, UnavailableError):
        return error
    return DataError(f"{where} describes a model that cannot be built: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The message of an exception as one short line."""
    return " ".join(f"{error}".split())[:300] or type(error).__name__
