"""Tests on a CUDA device: `make test-gpu`. Without one they are skipped, and say so."""

from __future__ import annotations

import os

import pytest
import torch

# cuBLAS reads it when it starts; without it deterministic mode refuses matrix products.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def _cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: torch.cuda.is_available() is False")
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.use_deterministic_algorithms(False)
    torch.cuda.empty_cache()


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=24, size=(32, 32))


@pytest.fixture
def recipe_for(make_recipe):
    """A tiny recipe on the GPU; the model has no max pooling, whose gradient is not deterministic there."""

    def make(*, micro=8, training=None, **sections):
        runtime = {"device": "cuda", "precision": "fp32", "channels_last": False, "compile": False, "num_workers": 0}
        sections["runtime"] = {**runtime, **sections.get("runtime", {})}
        model = {"backbone": {"kind": "convnet", "widths": [16]}, "head": {"hidden": [16], "dropout": 0.3}}
        return make_recipe(
            **{
                "data": {"size": {"height": 32, "width": 32}},
                "model": model,
                **sections,
                "training": {
                    "epochs": 4, "batch_size": 8, "micro_batch_size": micro, "select": "loss", **(training or {})
                },
            }
        )  # fmt: skip

    return make
