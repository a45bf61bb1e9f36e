"""Export format `torchscript`, for programs that read nothing newer: torch itself has deprecated TorchScript."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from obverse.export.gate import Gate
from obverse.export.graph import Names
from obverse.export.metadata import metadata
from obverse.export.source import TrainedModel, write_files

from .fit import fitted_pixels
from .session import FACTS, Program, ProgramSession, examples

ADVICE = "torch has deprecated TorchScript; prefer --format pt2 or onnx where the reader allows"


def write(path: Path, model: TrainedModel) -> str:
    """Write the program, after it gave the answers of the model; return what was checked, in words.

    RefusedError where the answers differ, OutputError when it cannot be written.
    """
    gate = Gate.of(model)
    with _without_deprecations():
        program = recorded(model, gate.names)
        words = gate.require([ProgramSession("TorchScript", program, gate.names)])
        file = io.BytesIO()
        torch.jit.save(program, file, _extra_files={FACTS: json.dumps(metadata(model.bundle, gate.names))})
    write_files({path: file.getvalue()})
    return f"{words}; {ADVICE}"


def recorded(model: TrainedModel, names: Names) -> Any:
    """The program, for any number and size of pictures."""
    fit = partial(fitted_pixels, least=partial(_extreme, torch.minimum), most=partial(_extreme, torch.maximum))
    inputs = examples(model.bundle, names)
    with torch.no_grad():
        return torch.jit.trace(Program(model, names, fit), inputs, check_trace=False)  # type: ignore[no-untyped-call]


def _extreme(choose: Any, one: Any, other: Any) -> Any:
    """The minimum or maximum of two sizes as a tensor, because recording would fix that of Python's integers."""
    return choose(torch.as_tensor(one), torch.as_tensor(other))


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Without warnings of torch that TorchScript is deprecated, and of the recording that shapes are fixed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", FutureWarning)
        # The gate has pictures of other sizes than the recorded ones.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        yield
