"""Many clients at once: nothing is swapped, what is too much is refused at once, and an end loses no answer."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import httpx
import pytest

from obverse.inference import predict_prepared
from obverse.serving import Limits, lane


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, draw_picture):
    folder = tmp_path_factory.mktemp("pictures")
    return [draw_picture(folder / f"{n}.png", gray=40 + 20 * n, seed=n).read_bytes() for n in range(10)]


def ask(client, picture):
    return client.post("/v1/predict", files={"image": picture})


def test_no_answer_is_swapped(served, pictures):
    wanted = [ask(served, picture).json()["predictions"][0]["probability"] for picture in pictures]
    order = [(7 * n) % 10 for n in range(200)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: ask(served, pictures[n]), order))
    got = [answer.json()["predictions"][0]["probability"] for answer in answers]
    assert got == pytest.approx([wanted[n] for n in order], rel=1e-5)
    assert len(set(wanted)) == 10


@pytest.fixture
def held(monkeypatch):
    """Hold the model: forward passes wait until the event is set. Gives the event and the sizes of the passes."""
    event, sizes = threading.Event(), []

    def predict(predictor, samples, *, top_k):
        sizes.append(len(samples))
        assert event.wait(60)
        return predict_prepared(predictor, samples, top_k=top_k)

    def hold():
        monkeypatch.setattr(lane, "predict_prepared", predict)
        return event, sizes

    yield hold
    event.set()


def test_what_waits_together_is_answered_together(run_server, one_view, pictures, held):
    with run_server({"one": one_view}, Limits(deadline_seconds=60)) as client, ThreadPoolExecutor(16) as threads:
        event, sizes = held()
        futures = [threads.submit(ask, client, pictures[n % 10]) for n in range(16)]
        while sum(sizes) + num_queued(client) < 16:
            time.sleep(0.01)
        event.set()
        assert {future.result().status_code for future in futures} == {200}
    assert sum(sizes) == 16
    assert len(sizes) == 2


def num_queued(client):
    """Samples that are decoded and wait for the model."""
    (line,) = (line for line in client.get("/metrics").text.splitlines() if line.startswith("obverse_queued_samples{"))
    return float(line.split()[-1])


def test_too_much_is_refused_at_once_and_probes_are_answered(run_server, one_view, pictures, held):
    limits = Limits(max_queue=4, max_batch=1, deadline_seconds=60)
    with run_server({"one": one_view}, limits) as client, ThreadPoolExecutor(24) as threads:
        event, _ = held()
        futures = [threads.submit(ask, client, pictures[n % 10]) for n in range(24)]
        # While the model answers nothing at all.
        refused = [future.result() for future in islice(as_completed(futures), 20)]
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.json()["code"] for answer in refused} == {"overloaded"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert client.get("/v2/health/ready").status_code == 200
        event.set()
        assert sorted(future.result().status_code for future in futures) == [200] * 4 + [503] * 20
        assert ask(client, pictures[0]).status_code == 200


def test_a_request_that_would_come_too_late_is_refused(run_server, one_view, pictures, held):
    limits = Limits(max_batch=1, deadline_seconds=3)
    with run_server({"one": one_view}, limits) as client, ThreadPoolExecutor(6) as threads:
        event, _ = held()
        futures = [threads.submit(ask, client, pictures[n]) for n in range(6)]
        time.sleep(4)
        event.set()
        codes = [future.result().json().get("code", "ok") for future in futures]
    # One was begun before its time was over.
    assert sorted(codes) == ["ok"] + ["too-late"] * 5


def test_one_sample_that_the_model_cannot_take_costs_only_itself(run_server, one_view, pictures, monkeypatch):
    def predict(predictor, samples, *, top_k):
        if any(sample.images_VCHW.float().mean() < 70 for sample in samples):
            raise ZeroDivisionError("a bug that quotes a USERBYTE")
        return predict_prepared(predictor, samples, top_k=top_k)

    monkeypatch.setattr(lane, "predict_prepared", predict)
    with run_server({"one": one_view}) as client, ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda picture: ask(client, picture), pictures))
    assert [answer.status_code for answer in answers] == [500] * 2 + [200] * 8
    assert answers[0].json() == {"error": "the server failed; its log says where", "code": "internal"}


@pytest.fixture
def started(one_view, tmp_path):
    """A server as its own process, on a free port."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "obverse", "serve", f"one={one_view}", "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    line = process.stdout.readline()
    try:
        yield process, line.rpartition(" ")[2].strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_sigterm_answers_what_was_accepted(started, pictures):
    process, address = started
    with httpx.Client(base_url=address, timeout=30, limits=httpx.Limits(max_connections=64)) as client:
        assert client.get("/v2/health/ready").status_code == 200
        results = []

        def ask_or_fail(n):
            try:
                results.append(ask(client, pictures[n % 10]).status_code)
            except httpx.HTTPError as error:
                results.append(type(error).__name__)

        threads = [threading.Thread(target=ask_or_fail, args=(n,)) for n in range(64)]
        for thread in threads:
            thread.start()
        while not results:
            time.sleep(0.001)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert process.wait(30) == 0
        assert time.monotonic() - start < 30
    assert len(results) == 64
    assert {result for result in results if result != "ConnectError"} <= {200, 503}
    assert results.count(200) >= 1
