"""From the last step to what ships: the trained model computes as it will wherever its bundle is loaded.

Training may run in bf16 or fp16, in another memory format and with another matrix setting. Whoever loads the bundle
computes in fp32, so thresholds and prior are tuned, and every figure of the report is measured, in fp32, too.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import torch

from obverse.decisions import to_probabilities
from obverse.engines import Engine, TorchEngine, run_engine
from obverse.evaluation import best_prior
from obverse.metrics import best_thresholds
from obverse.models import merge_lora
from obverse.recipe import OutputSpec
from obverse.training import Trainer

from .setup import Setup


def as_shipped(trainer: Trainer, setup: Setup) -> TorchEngine:
    """Turn the trainer's model into what ships, with the best weights. The process's matrix setting becomes the plain
    one.
    """
    merge_lora(trainer.model)
    trainer.parallel.load(trainer.best_weights)
    torch.set_float32_matmul_precision("highest")
    if not trainer.parallel.is_sharded:
        trainer.model.to(memory_format=torch.contiguous_format)
    return TorchEngine.from_bundle(setup.bundle, trainer.model, device=trainer.forward.device)


def tuned_output(setup: Setup, trainer: Trainer, engine: Engine) -> OutputSpec:
    """How the shipped weights are read: what is tuned on val is the thresholds of label sets, or the prior."""
    output, kind, counts = setup.bundle.output, setup.bundle.kind, trainer.objective.tuned_counts
    if not kind.is_set and counts is None:
        return output
    with closing(trainer.loaders):
        outputs = run_engine(engine, trainer.loaders.val.epoch(), embeddings=False, process=setup.process)

    def tuned() -> dict[str, Any]:
        if counts is not None:
            select = setup.recipe.training.select
            return {"prior": best_prior(select, outputs.logits_NK, outputs.truth, counts=counts, kind=kind)}
        return {"thresholds": best_thresholds(outputs.truth, to_probabilities(outputs.logits_NK, kind))}

    return output.changed(setup.process.from_main(tuned))
