"""Loss, accuracy and learning rate for TensorBoard (`tensorboard --logdir=runs`)."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from obverse.runs.events import EpochEnd, Event, epoch_scalars


class TensorBoardObserver:
    """One event file in the run folder."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def notify(self, event: Event) -> None:
        """Write an epoch's scalars at its step."""
        if not isinstance(event, EpochEnd):
            return
        for name, value in epoch_scalars(event).items():
            self._writer.add_scalar(name, value, event.step)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
