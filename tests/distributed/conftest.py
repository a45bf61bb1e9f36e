"""Two processes that wait for jobs, and what one process alone gives for the same job."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

import pytest

WORLD = 2
JOB_SECONDS = 120
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import jobs  # noqa: E402  (by the name under which the two processes know it)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch_environment(rank: int, port: int, **more: str) -> dict[str, str]:
    """What torchrun would say."""
    launch = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": WORLD, "LOCAL_WORLD_SIZE": WORLD}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return os.environ | {name: str(value) for name, value in (launch | address).items()} | more


class Ranks:
    """`ranks.train(...)` is `jobs.train(...)` on every rank: the answers by rank."""

    def __init__(self, connections, workers):
        self._connections, self._workers = connections, workers

    def __getattr__(self, name):
        def run(**arguments):
            assert self._connections, "an earlier job failed, after which the processes no longer agree"
            for connection in self._connections:
                connection.send((name, arguments))
            is_done, answers = True, []
            # The first to fail leaves the other waiting.
            for connection in self._connections:
                if is_done and connection.poll(JOB_SECONDS):
                    is_done, answer = pickle.loads(connection.recv_bytes())
                    answers.append(answer)
            if not is_done or len(answers) < WORLD:
                self.end()
                raise AssertionError(answers[-1:])
            return answers

        return run

    def end(self):
        for connection, worker in zip(self._connections, self._workers, strict=True):
            connection.close()
            worker.kill()
            worker.wait()
        self._connections = []


@pytest.fixture(scope="session")
def ranks():
    connections, workers, port = [], [], free_port()
    for rank in range(WORLD):
        mine, theirs = Pipe()
        command = [sys.executable, HERE / "worker.py", str(theirs.fileno())]
        environment = launch_environment(rank, port)
        workers.append(subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()]))
        theirs.close()
        connections.append(mine)
    together = Ranks(connections, workers)
    yield together
    together.end()


@pytest.fixture(scope="session")
def alone():
    """One process's answer."""
    return jobs


@pytest.fixture(scope="session")
def environment_of():
    return launch_environment


@pytest.fixture(scope="session")
def port():
    return free_port
