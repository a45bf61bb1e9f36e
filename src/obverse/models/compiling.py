"""Compilation of classifiers by torch.compile, with the functions that stay out of its graphs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from . import classifier
from .adapt import SyncedBatchNorm
from .present import PresentViews

UNCOMPILED: tuple[tuple[Any, str], ...] = (
    # Asks for a value.
    (classifier, "is_full"),
    # The number of rows changes from batch to batch, and each number would have a graph of its own.
    (PresentViews, "features"),
    # Collective calls.
    (SyncedBatchNorm, "normed"),
)
"""Module or class, and its function."""


def compile_model(model: classifier.Classifier, *, backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile a model in place. backend: as for `torch.compile`.

    There is one graph per shape: with dynamic shapes a resumed run would depend on the shapes seen before. Functions
    are excluded here, not where they are defined, because torch's compiler takes a second to import.
    """
    for owner, name in UNCOMPILED:
        function = getattr(owner, name)
        if not hasattr(function, "_torchdynamo_disable"):
            setattr(owner, name, torch.compiler.disable(function))  # type: ignore[no-untyped-call]
    model.compile(backend=backend, dynamic=False)


def run_eagerly() -> AbstractContextManager[Any]:
    """Within it compiled networks run eagerly: a compiled one calls no hooks on its inner modules."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and its import takes seconds
        return nullcontext()
    eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return eager
