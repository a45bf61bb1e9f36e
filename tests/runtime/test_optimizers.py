"""Optimizers without torch's compiler, against torch's own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from obverse.runtime import without_compiler

KINDS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.1, "fused": True},
    "AdamW": {"lr": 0.1, "weight_decay": 0.2},
    "LBFGS": {"lr": 0.1, "line_search_fn": "strong_wolfe"},
}


def weights_after(kind: Any, options: dict[str, Any]) -> torch.Tensor:
    """After three steps, of which the last is one of a second optimizer with the state of the first."""
    weight = torch.arange(6.0).requires_grad_()
    optimizer = kind([weight], **options)

    def loss() -> torch.Tensor:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        value = ((weight - 1) ** 2).sum() + weight[0] ** 4
        value.backward()
        return value

    optimizer.step(loss)
    optimizer.step(loss)
    state = optimizer.state_dict()
    optimizer = kind([weight], **options)
    optimizer.load_state_dict(state)
    optimizer.step(loss)
    return weight.detach()


@pytest.mark.parametrize("name", KINDS)
def test_steps_are_torch_s_bit_for_bit(name: str) -> None:
    kind = getattr(torch.optim, name)
    assert torch.equal(weights_after(without_compiler(kind), KINDS[name]), weights_after(kind, KINDS[name]))
    assert issubclass(without_compiler(kind), kind)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_imports_the_compiler(name: str) -> None:
    code = (
        "import sys, torch; from obverse.runtime import without_compiler; w = torch.ones(2, requires_grad=True); "
        f"o = without_compiler(torch.optim.{name})([w], lr=.1); "
        "f = lambda: (o.zero_grad(), (s := w.square().sum()).backward(), s)[-1]; "
        "o.step(f); o.load_state_dict(o.state_dict()); print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
