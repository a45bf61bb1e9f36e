"""Servers in this process, on free ports, with tiny trained models."""

import contextlib
import threading
import time

import httpx
import pytest

from obverse.experiment import start_run
from obverse.inference import load
from obverse.runs import RunFolder
from obverse.serving import Access, Limits, Service
from obverse.serving.http.server import bind, build_server


@pytest.fixture(scope="session")
def one_view(tmp_path_factory, draw_classes, make_recipe):
    """A finished run of one view."""
    data = draw_classes(tmp_path_factory.mktemp("one-view"), classes=("dark", "gray", "light"), per_class=10)
    run = RunFolder(tmp_path_factory.mktemp("runs") / "one")
    start_run(data, make_recipe(), run)
    return run.path


@contextlib.contextmanager
def running(service, access=None, **options):
    """A client of a server that runs in a thread; `client.server` is the server."""
    listener = bind("127.0.0.1", 0)
    server = build_server(service, access or Access(), **options)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            client.server, client.service = server, service
            yield client
    finally:
        server.should_exit = True
        thread.join(30)
        service.close()
        listener.close()


@pytest.fixture(scope="session")
def run_server():
    """run_server(models, limits, access) -> context of a client."""

    def run(models, limits=None, access=None, *, decoder=None, **options):
        loaded = {name: load(path) for name, path in models.items()}
        return running(Service(loaded, limits or Limits(), decoder=decoder), access, **options)

    return run


@pytest.fixture(scope="session")
def served(run_server, one_view, trained):
    """A client of a server of two models: `one` of one view, and `coins` of two."""
    with run_server({"one": one_view, "coins": trained.path}) as client:
        client.service.warm_up()
        yield client
