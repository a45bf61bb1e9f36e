"""Runs for MLflow: a local database beside the run folder, or the server that MLFLOW_TRACKING_URI names.

    runs/mlflow.db          experiments, settings and metrics
    runs/.mlflow/           artefacts: recipe, report, bundle

Look at them with `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

# Read by mlflow when it is imported: nothing is sent anywhere unasked.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from obverse.runs.events import EpochEnd, Event, RunFinished, epoch_scalars
from obverse.runs.rundir import RunFolder

EXPERIMENT = "obverse"
DATABASE = "mlflow.db"
# Hidden, because a folder of runs is searched for runs, and an artefact looks like one.
ARTEFACTS = ".mlflow"
MAX_PARAM_CHARACTERS = 500
# It announces the tables that it makes, on the console.
logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)


class MlflowObserver:
    """One MLflow run per run folder; a resumed run goes on in the same one."""

    def __init__(self, run: RunFolder, settings: dict[str, Any]) -> None:
        path = run.path.resolve()
        self._client, place = _experiment(path.parent)
        for old in self._client.search_runs([place], order_by=["attributes.start_time DESC"]):
            if old.data.tags.get("obverse.run") == str(path):
                self._id: str = old.info.run_id
                self._client.update_run(self._id, status="RUNNING")
                return
        self._id = self._client.create_run(place, run_name=path.name, tags={"obverse.run": str(path)}).info.run_id
        params = [Param(name, str(value)[:MAX_PARAM_CHARACTERS]) for name, value in settings.items()]
        for start in range(0, len(params), 100):  # the most that MLflow takes at once
            self._client.log_batch(self._id, params=params[start : start + 100])

    def notify(self, event: Event) -> None:
        """Write an epoch's scalars at its step; at the end of the run its metrics and artefacts."""
        if isinstance(event, EpochEnd):
            self._log(epoch_scalars(event), event.step, round(1000 * event.seconds))
        elif isinstance(event, RunFinished):
            self._log(event.scalars, event.step, 0)
            for path in filter(None, (event.recipe, event.report, event.confusion)):
                self._client.log_artifact(self._id, path)
            self._client.log_artifacts(self._id, event.bundle, "bundle")

    def close(self) -> None:
        """The run is no longer running."""
        self._client.set_terminated(self._id)

    def _log(self, scalars: dict[str, float], step: int, milliseconds: int) -> None:
        metrics = [Metric(name, value, milliseconds, step) for name, value in scalars.items()]
        self._client.log_batch(self._id, metrics=metrics)


def _experiment(folder: Path) -> tuple[MlflowClient, str]:
    """The client of the server, or of the database in `folder`, and the id of the experiment, made where it is new."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    client = MlflowClient(server or f"sqlite:///{(folder / DATABASE).as_posix()}")
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        return client, str(experiment.experiment_id)
    return client, client.create_experiment(EXPERIMENT, None if server else (folder / ARTEFACTS).as_uri())
