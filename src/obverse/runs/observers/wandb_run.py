"""Runs for Weights & Biases, offline unless WANDB_MODE says otherwise; send one later with `wandb sync`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

from obverse.imaging import content_digest
from obverse.runs.events import EpochEnd, Event, RunFinished, epoch_scalars
from obverse.runs.rundir import RunFolder

PROJECT = "obverse"


class WandbObserver:
    """One W&B run per run folder, in its `wandb` folder; a resumed run has the same id."""

    def __init__(self, run: RunFolder, settings: dict[str, Any]) -> None:
        path = run.path.resolve()
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=PROJECT,
            name=path.name,
            id=content_digest(os.fsencode(path)),
            dir=str(path),
            config=settings,
            mode=mode,
            resume=None if mode == "offline" else "allow",
            # The console and the repository are the user's; metrics and settings are what was asked for.
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )

    def notify(self, event: Event) -> None:
        """Write an epoch's scalars at its step; at the end of the run its metrics and artefacts."""
        if isinstance(event, EpochEnd):
            self._run.log(epoch_scalars(event), step=event.step)
        elif isinstance(event, RunFinished):
            self._run.summary.update(event.scalars)
            artefact = wandb.Artifact(f"run-{self._run.id}", type="model")
            # The files stay where they are in the run folder, so that no copy of them is staged.
            for file in filter(None, (event.recipe, event.report, event.confusion)):
                artefact.add_file(file, policy="immutable")
            for path in sorted(Path(event.bundle).iterdir()):  # `add_dir` speaks on the console
                artefact.add_file(str(path), f"bundle/{path.name}", policy="immutable")
            self._run.log_artifact(artefact)

    def close(self) -> None:
        """Wait until everything is written."""
        self._run.finish()
