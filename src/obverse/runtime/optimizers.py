"""torch's optimizers without torch's compiler."""

from __future__ import annotations

import inspect
from typing import Any

import torch

DECORATED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def without_compiler(kind: type[torch.optim.Optimizer]) -> Any:
    """The same class of optimizer without the decorators for torch.compile, because its steps are never compiled here.

    At their first call they import the compiler, which takes more than a second and about 100 MB.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in DECORATED}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})
