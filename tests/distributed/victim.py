"""The command `obverse`, killed from outside at a step of its first start: OBVERSE_VICTIM=rank:step."""

import os
import signal

from obverse.cli.main import main
from obverse.launch import launched
from obverse.training import trainer

rank, step = map(int, os.environ["OBVERSE_VICTIM"].split(":"))
trainer.CHECKPOINT_SECONDS = trainer.CHECKPOINT_SHARE = 0  # a checkpoint after every step
steps = iter(range(1_000_000))
train_step = trainer.train_step


def watched(*args, **kwargs):
    """One step, or the end."""
    if launched().rank == rank and not launched().num_restarts and next(steps) == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return train_step(*args, **kwargs)


trainer.train_step = watched
main()
