"""A small study: its file, what it says, and what it leaves behind."""

import csv
import signal

from obverse.runs import EpochEnd

BASE = """
data: {size: {height: 16, width: 16}}
augment: {policy: none}
model: {backbone: {kind: convnet, widths: [4, 8]}}
optim: {lr: 0.02}
schedule: {warmup_epochs: 0}
training: {epochs: 2, batch_size: 4, select: accuracy}
runtime: {device: cpu, precision: fp32, channels_last: false, matmul: highest, num_threads: 1, num_workers: 0,
          compile: false}
"""
VARIANTS = """
recipe: base.yaml
variants:
  baseline: {}
  smoothing: {loss.label_smoothing: 0.1}
seeds: [0, 1]
"""


class Log:
    """Remembers what was said; may stop the process at one of all epochs, as a signal would."""

    def __init__(self, stop_at=None):
        self.texts, self.num_epochs, self.stop_at = [], 0, stop_at

    def notify(self, event):
        self.texts.append(getattr(event, "text", ""))
        if isinstance(event, EpochEnd):
            self.num_epochs += 1
            if self.num_epochs == self.stop_at:
                signal.raise_signal(signal.SIGTERM)

    def close(self):
        pass


def weights(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("runs/*/*/bundle/model.safetensors"))
    }


def table(out):
    with (out / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))
