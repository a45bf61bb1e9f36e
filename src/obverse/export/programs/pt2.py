"""Export format `pt2`: a program of torch.export with everything inside, from pixels of any size to answers."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

import torch
import torch.fx.experimental._config

from obverse.export.gate import Gate
from obverse.export.graph import Names
from obverse.export.metadata import metadata
from obverse.export.source import TrainedModel, write_files

from .fit import fitted_pixels
from .session import FACTS, Program, ProgramSession, examples


def write(path: Path, model: TrainedModel) -> str:
    """Write the program, after it gave the answers of the model when loaded again; return what was checked, in words.

    RefusedError where the answers differ, OutputError when it cannot be written.
    """
    gate = Gate.of(model)
    data = exported(model, gate.names)
    words = gate.require([ProgramSession("torch.export", torch.export.load(io.BytesIO(data)).module(), gate.names)])
    write_files({path: data})
    return words


def exported(model: TrainedModel, names: Names) -> bytes:
    """The program's file, for any number and size of pictures."""
    any_size = torch.export.Dim.DYNAMIC
    of_views = [dict.fromkeys(range(3), any_size) for _ in names.views]
    shapes = (*of_views, *({0: any_size} for _ in names.more_inputs))
    fit = partial(fitted_pixels, least=torch.sym_min, most=torch.sym_max)
    inputs = examples(model.bundle, names)
    # Without it the program refuses pictures that are fitted to a side of one pixel: their strides are a special case.
    with torch.fx.experimental._config.patch(backed_size_oblivious=True), torch.no_grad():  # type: ignore[attr-defined]
        program = torch.export.export(Program(model, names, fit), inputs, dynamic_shapes=(shapes,))
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={FACTS: json.dumps(metadata(model.bundle, names))})
    return file.getvalue()
