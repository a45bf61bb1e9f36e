"""Loss, accuracy and learning rate for TensorBoard (`tensorboard --logdir=runs`)."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event as Entry
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from obverse.runs.events import EpochEnd, Event, epoch_scalars


class TensorBoardObserver:
    """Writer of one TensorBoard event file in the run folder.

    The file stays open. TensorBoard's own writer would reopen it by name, in a thread that prints a traceback on
    failure, and would create a new file if the folder had been replaced.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        path = folder / f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{now % 1:.9f}"
        self._writer = RecordWriter(path.open("wb"))
        self._write(Entry(wall_time=now, file_version="brain.Event:2"))

    def notify(self, event: Event) -> None:
        """Write an epoch's scalars at its step."""
        if not isinstance(event, EpochEnd):
            return
        values = [Summary.Value(tag=name, simple_value=value) for name, value in epoch_scalars(event).items()]
        self._write(Entry(wall_time=time.time(), step=event.step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, entry: Entry) -> None:
        self._writer.write(entry.SerializeToString())
        self._writer.flush()
