"""Programs of torch with one tensor per input, and sessions of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from obverse.bundle import Bundle
from obverse.export.graph import COLUMNS, PRESENT, Fit, Graph, Names
from obverse.export.source import TrainedModel

Arrays = dict[str, npt.NDArray[Any]]
FACTS = "obverse.json"
"""Name of the metadata inside the file."""


class Program(nn.Module):
    """A graph with tensors in the order of `names.inputs`, and outputs in the order of `names.outputs`."""

    def __init__(self, model: TrainedModel, names: Names, fit: Fit) -> None:
        super().__init__()
        # Not named `graph`, which is an attribute of the modules that torch.export makes.
        self.inner, self.names = Graph(model.bundle, model.classifier, fit=fit), names
        self.eval()

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs."""
        named = dict(zip(self.names.inputs, tensors, strict=True))
        outputs = self.inner(tuple(named[view] for view in self.names.views), named.get(PRESENT), named.get(COLUMNS))
        return tuple(outputs[: len(self.names.outputs)])


class ProgramSession:
    """A loaded program as a runtime: named arrays in, named arrays out."""

    def __init__(self, name: str, program: Callable[..., Any], names: Names) -> None:
        self.name, self._program, self._names = name, program, names

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name."""
        with torch.no_grad():
            outputs = self._program(*(torch.from_numpy(inputs[name]) for name in self._names.inputs))
        return {name: tensor.numpy() for name, tensor in zip(self._names.outputs, outputs, strict=True)}


def examples(bundle: Bundle, names: Names) -> tuple[torch.Tensor, ...]:
    """A batch of two samples for recording, in the order of `names.inputs`; all sizes differ."""
    rows = np.random.default_rng(0)
    views = [
        torch.from_numpy(rows.integers(0, 256, (2, 41 + number, 53 + number, 3), np.uint8))
        for number in range(len(names.views))
    ]
    more = {PRESENT: torch.ones(2, len(views), dtype=torch.bool), COLUMNS: torch.zeros(2, len(bundle.columns))}
    return (*views, *(more[name] for name in names.more_inputs))
