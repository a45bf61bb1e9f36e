"""Runs for MLflow: a local file store in `mlruns` beside the run folder, or the server that MLFLOW_TRACKING_URI names.

Look at them with `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri runs/mlruns`.
"""

from __future__ import annotations

import os
from typing import Any

# Read by mlflow when it is imported: the file store is "in maintenance mode", and nothing is sent anywhere unasked.
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from obverse.runs.events import EpochEnd, Event, epoch_scalars
from obverse.runs.rundir import RunFolder

EXPERIMENT = "obverse"
MAX_PARAM_CHARACTERS = 500


class MlflowObserver:
    """One MLflow run per run folder; a resumed run goes on in the same one."""

    def __init__(self, run: RunFolder, settings: dict[str, Any]) -> None:
        path = run.path.resolve()
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or (path.parent / "mlruns").as_uri())
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        place = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
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
        """Write an epoch's scalars at its step."""
        if isinstance(event, EpochEnd):
            now = round(1000 * event.seconds)
            metrics = [Metric(name, value, now, event.step) for name, value in epoch_scalars(event).items()]
            self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        """The run is no longer running."""
        self._client.set_terminated(self._id)
