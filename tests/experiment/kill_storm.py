"""Victims for `test_kill.py`: run as a script, it loads torch once and forks one short-lived training per round.

    python kill_storm.py DATA FOLDER random NUM_KILLED SEED     SIGKILL after a random time, in so many rounds
    python kill_storm.py DATA FOLDER writes STEP                SIGKILL at every STEP-th change of the run folder

Each round: start, kill, resume (killed again half of the time), resume to the end. One JSON line per round on stdout.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import torch

from obverse.experiment import resume_run, start_run
from obverse.recipe import build_recipe
from obverse.runs import RunFolder, checkpoint
from obverse.training import trainer

# Seconds after which a round counts as hanging: the script ends and writes where.
LONGEST_ROUND = 900
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
RECIPE = {
    "data": {"size": {"height": 12, "width": 12}},
    "augment": {"policy": "generic"},
    "model": {"backbone": {"kind": "convnet", "widths": [4, 4]}, "head": {"dropout": 0.3}},
    "optim": {"lr": 0.01},
    "schedule": {"warmup_epochs": 0},
    "training": {"epochs": 3, "batch_size": 4, "micro_batch_size": 2, "ema_decay": 0.5},
    "runtime": {
        "device": "cpu",
        "precision": "fp32",
        "channels_last": False,
        "matmul": "highest",
        "num_threads": 1,
        "num_workers": 0,
    },
}


def train(data: Path, run: RunFolder) -> None:
    if run.recipe.is_file():
        resume_run(run)
    else:
        start_run(data, build_recipe(json.loads(json.dumps(RECIPE)), "kill"), run)


def import_what_is_imported_late(data: Path, folder: Path) -> None:
    """Import in this process, before the other forks, what a training imports, so that no round waits for it."""

    def note() -> None:
        train(data, RunFolder(folder / "first"))
        (folder / "modules.json").write_text(json.dumps([name for name in sys.modules if name != "__main__"]))

    in_child(note)
    for name in json.loads((folder / "modules.json").read_text()):
        with suppress(ImportError):
            import_module(name)


def watch(folder: Path, kill_at: int | None) -> list[int]:
    """Count the changes below `folder`; at the `kill_at`-th this process kills itself, before or within the change."""
    count = [0]

    def changed(within: object = None) -> None:
        count[0] += 1
        if count[0] == kill_at:
            if within is not None:
                within()
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and str(arguments[0]).startswith(str(folder)):
            changed()

    whole = checkpoint._write_synced

    def torn(path: Path, data: bytes) -> None:
        changed(lambda: path.write_bytes(data[: len(data) // 2]))
        whole(path, data)
        changed()

    checkpoint._write_synced = torn
    sys.addaudithook(audit)
    return count


def in_child(work: object) -> int:
    """Fork, work, and the child's exit code (-9 when it was killed)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_after(seconds: float, work: object) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def result(folder: Path) -> dict[str, object]:
    """What must be equal in all rounds, and what must not be left."""
    digest = hashlib.sha256((folder / "bundle" / "model.safetensors").read_bytes()).hexdigest()
    halves = [str(path) for path in folder.rglob("*") if ".tmp" in path.name]
    evaluation = hashlib.sha256((folder / "evaluation" / "test" / "probabilities.npy").read_bytes()).hexdigest()
    return {"weights": digest, "evaluation": evaluation, "halves": halves}


def main() -> None:
    data, folder, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)
    trainer.CHECKPOINT_SECONDS = trainer.CHECKPOINT_SHARE = 0  # a checkpoint after every step
    import_what_is_imported_late(data, folder)
    start = time.monotonic()
    in_child(lambda: train(data, RunFolder(folder / "whole")))
    seconds = time.monotonic() - start
    print(json.dumps({"killed": [], "code": 0, **result(folder / "whole")}), flush=True)
    rounds = random_rounds(data, folder, seconds) if mode == "random" else write_rounds(data, folder)
    for row in rounds:
        print(json.dumps(row), flush=True)
        faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)


def random_rounds(data: Path, folder: Path, seconds: float):
    """Rounds that end before their moment are repeated: the machine may be faster now than when a run was timed."""
    draw, num_left = random.Random(int(sys.argv[5])), int(sys.argv[4])
    for number in range(3 * num_left):
        run = folder / f"round{number}"
        killed = [kill_after(draw.random() * seconds, lambda run=run: train(data, RunFolder(run)))]
        if draw.random() < 0.5:
            killed.append(kill_after(draw.random() * seconds, lambda run=run: train(data, RunFolder(run))))
        code = in_child(lambda run=run: train(data, RunFolder(run)))
        yield {"killed": killed, "code": code, **(result(run) if code == 0 else {})}
        num_left -= killed[0] == -9
        if not num_left:
            return


def write_rounds(data: Path, folder: Path):
    at, killed = 1, -9
    while killed == -9:
        run = folder / f"round{at}"

        def victim(run: Path = run, at: int = at) -> None:
            watch(run, at)
            train(data, RunFolder(run))

        killed = in_child(victim)
        code = in_child(lambda run=run: train(data, RunFolder(run))) if killed == -9 else 0
        yield {"killed": [killed], "code": code, "at": at, **(result(run) if code == 0 else {})}
        at += int(sys.argv[4])


if __name__ == "__main__":
    main()
