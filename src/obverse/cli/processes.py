"""`train --processes N`: this command started several times, for one run. torchrun is for several machines.

Not torchrun itself, which takes `--run` for its own `--run-path`, and ends with exit code 1 whatever went wrong.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType

Child = subprocess.Popen[bytes]
# A process ends by itself when another has failed; one that has not yet met the others may not.
GRACE_SECONDS = 30.0
ENDING_SECONDS = 10.0
NAP_SECONDS = 0.05
KILLED = 128


def run_processes(num: int, arguments: Sequence[str]) -> int:
    """`python -m obverse ARGUMENTS` as `num` ranks of this machine; the exit code that the run ends with."""
    command = [sys.executable, "-m", "obverse", *arguments]
    common = {"WORLD_SIZE": num, "LOCAL_WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    children: list[Child] = []
    with _signals_for(children):
        for rank in range(num):
            ours = {name: str(value) for name, value in (common | {"RANK": rank, "LOCAL_RANK": rank}).items()}
            # In sessions of their own, so that Ctrl-C reaches each of them once, through us.
            children.append(subprocess.Popen(command, env={**os.environ, **ours}, start_new_session=True))
        _wait(children)
    codes = [child.returncode for child in children]
    # Rank 0 speaks for all; of the others the first that failed.
    code = next((code for code in codes if code), 0)
    return KILLED - code if code < 0 else code


def _wait(children: Sequence[Child]) -> None:
    """Wait until all processes have ended. When one fails, the others get GRACE_SECONDS, and are then terminated."""
    ways = [(GRACE_SECONDS, Child.terminate), (ENDING_SECONDS, Child.kill)]
    deadline: float | None = None
    while any(child.poll() is None for child in children):
        if deadline is None and any(child.poll() for child in children):
            deadline = time.monotonic() + ways[0][0]
        if deadline is not None and time.monotonic() > deadline:
            _, end = ways.pop(0) if len(ways) > 1 else ways[0]
            for child in children:
                if child.poll() is None:
                    end(child)
            deadline = time.monotonic() + ways[0][0]
        time.sleep(NAP_SECONDS)


@contextmanager
def _signals_for(children: Sequence[Child]) -> Iterator[None]:
    """Forward signals that ask this process to stop to the children, including the hang-up of a closed terminal."""
    passed = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM}
    if hasattr(signal, "SIGHUP"):
        passed[signal.SIGHUP] = signal.SIGTERM

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(passed[signal.Signals(number)])

    before = {number: signal.signal(number, pass_on) for number in passed}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with closing(socket.socket()) as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])
