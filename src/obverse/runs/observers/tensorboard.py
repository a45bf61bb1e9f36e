"""Curves, settings, metrics and the confusion matrix of a run for TensorBoard (`tensorboard --logdir=runs`)."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event as Entry
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter

from obverse.runs.events import EpochEnd, Event, RunFinished, epoch_scalars

# Red, green, blue and opacity, as matplotlib writes a PNG.
RGBA = 4


class TensorBoardObserver:
    """Writer of one TensorBoard event file in the run folder.

    settings: name -> value of the resolved recipe, for the tab HPARAMS.

    The file stays open. TensorBoard's own writer would reopen it by name, in a thread that prints a traceback on
    failure, and would create a new file if the folder had been replaced.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        now = time.time()
        path = folder / f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{now % 1:.9f}"
        self._writer = RecordWriter(path.open("wb"))
        self._write(Entry(wall_time=now, file_version="brain.Event:2"))
        if settings:
            trial = "/".join(folder.resolve().parts[-2:])
            self._summary(0, *summary_v2.hparams_pb(_plain(settings), trial, start_time_secs=now).value)

    def notify(self, event: Event) -> None:
        """Write an epoch's scalars at its step; at the end of the run its metrics and confusion matrix."""
        if isinstance(event, EpochEnd):
            self._summary(event.step, *_scalars(epoch_scalars(event)))
        elif isinstance(event, RunFinished):
            self._summary(event.step, *_scalars(event.scalars))
            if event.confusion is not None:
                self._summary(event.step, _picture(f"{event.split}/confusion", Path(event.confusion)))
            self._summary(event.step, _session_end())

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _summary(self, step: int, *values: Summary.Value) -> None:
        self._write(Entry(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _write(self, entry: Entry) -> None:
        self._writer.write(entry.SerializeToString())
        self._writer.flush()


def _scalars(values: Mapping[str, float]) -> list[Summary.Value]:
    return [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]


def _picture(tag: str, png: Path) -> Summary.Value:
    data = png.read_bytes()
    width, height = struct.unpack(">II", data[16:24])  # of the first chunk, which a PNG begins with
    image = Summary.Image(height=height, width=width, colorspace=RGBA, encoded_image_string=data)
    return Summary.Value(tag=tag, image=image)


def _session_end() -> Summary.Value:
    info = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
    data = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
    return Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the plugin takes them: texts, numbers and truth values."""
    return {
        name: value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for name, value in settings.items()
    }
