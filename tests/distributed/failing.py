"""Pairs of processes of which one fails, for `test_failing.py`: `python failing.py FOLDER` writes FOLDER/results.json.

The pairs are forked from here, so that torch is loaded once. Each case is what `obverse` would be doing.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from obverse.cli import main as command
from obverse.errors import DataError, DivergedError, OutputError
from obverse.launch import launched
from obverse.runtime import Process, group, joined

group.GRACE_SECONDS = 3.0
WORLD = 2


def one_reads_a_bad_picture(process: Process) -> None:
    """The other waits in a sum."""
    if process.rank == 1:
        raise DataError("'a.png' cannot be read")
    process.rows([1.0])


def main_cannot_write(process: Process) -> None:
    """The other waits for what only the main process does."""

    def write() -> None:
        time.sleep(0.3)
        raise OutputError("'runs' is not writable")

    process.from_main(write)


def all_diverge(process: Process) -> None:
    """Every rank comes to the same error."""
    process.rows([1.0])
    raise DivergedError("the loss is nan")


def one_has_a_bug(process: Process) -> None:
    """Not an error of the user."""
    if process.rank == 1:
        raise KeyError("a bug")
    process.rows([1.0])


def one_is_killed(process: Process) -> None:
    """Nobody can say why."""
    process.rows([1.0])
    if process.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    process.rows([1.0])


def one_hangs(process: Process) -> None:
    """As in an operation on a GPU, which no exception reaches."""
    if process.rank == 1:
        raise DataError("'a.png' cannot be read")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(60)


def all_is_well(process: Process) -> None:
    """The end of one is no failure for the other."""
    process.from_main(lambda: None)
    time.sleep(1.5 * process.rank)


CASES = (one_reads_a_bad_picture, main_cannot_write, all_diverge, one_has_a_bug, one_is_killed, one_hangs, all_is_well)


def run(case, rank: int, port: int, errors: Path) -> None:
    """Become one of the pair."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(WORLD), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port)}  # fmt: skip
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    command.app = lambda **_: _joined(case)
    try:
        command.main()
    except SystemExit as end:
        os._exit(end.code)
    os._exit(0)


def _joined(case) -> None:
    with joined(launched()):
        case(Process(launched().rank, launched().world_size))


def pair(case, folder: Path) -> dict:
    """Exit codes and what was said, by rank; seconds until both had ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.monotonic()
    paths = [folder / f"{case.__name__}-{rank}" for rank in range(WORLD)]
    children = []
    for rank, path in enumerate(paths):
        children.append(os.fork())
        if not children[-1]:
            run(case, rank, port, path)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {"codes": codes, "errors": [path.read_text() for path in paths], "seconds": time.monotonic() - start}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "results.json").write_text(json.dumps({case.__name__: pair(case, folder) for case in CASES}))
