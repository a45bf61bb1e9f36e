"""A decoder that aborts, hangs or eats memory costs its own request and no other."""

import sys
import threading

import pytest

from obverse.imaging import Sandbox, sandbox
from obverse.serving.counters import Counters
from obverse.serving.decoding import Decoder

JOBS = """
import os, time
from obverse.imaging import decode_picture
def decode(request):
    data, height, width = request
    if data.endswith(b"abort"): os.abort()
    if data.endswith(b"spin"):
        while True: pass
    if data.endswith(b"sleep"): time.sleep(60)
    if data.endswith(b"eat"): eaten = bytearray(2**31)
    return decode_picture(data, min_height=height, min_width=width)
"""


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    (tmp_path / "planted_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    import planted_jobs

    monkeypatch.setattr(sandbox, "_decode", planted_jobs.decode)
    yield Decoder(Counters(), sandbox=Sandbox(3, cpu_seconds=1.5, wall_seconds=4))
    sys.modules.pop("planted_jobs")


def test_a_planted_decoder_costs_only_its_own_request(run_server, one_view, decoder, tmp_path, draw_picture):
    good = draw_picture(tmp_path / "good.png").read_bytes()
    answers = {}
    with run_server({"one": one_view}, decoder=decoder) as client:
        client.service.warm_up()
        (wanted,) = client.post("/v1/predict", files={"image": ("x", good)}).json()["predictions"]

        def ask(ending):
            answers[ending] = client.post("/v1/predict", files={"image": ("x", good + ending.encode())})

        planted = [threading.Thread(target=ask, args=(ending,)) for ending in ("sleep", "spin", "abort", "eat")]
        for thread in planted:
            thread.start()
        for _ in range(20):
            (row,) = client.post("/v1/predict", files={"image": ("x", good)}).json()["predictions"]
            assert row == wanted
        for thread in planted:
            thread.join()
        assert client.get("/v2/health/ready").status_code == 200
    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in answers.items()} == dict.fromkeys(
        ("sleep", "spin", "abort", "eat"), (422, "bad-picture")
    )
    assert "crashed" in answers["abort"].json()["error"]
    assert "longer than 1.5 seconds" in answers["spin"].json()["error"]
    assert "memory" in answers["eat"].json()["error"]
