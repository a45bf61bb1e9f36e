"""The Gradio app gives the predictor's answers. Gradio wants an older Pillow, in an environment of its own."""

import contextlib
import importlib.util
import json
import re
import socket
import subprocess
import sys
import time

import pytest

import obverse
from obverse.inference import Prediction
from obverse.serving.gradio_page import main, words_of

HAS_GRADIO = importlib.util.find_spec("gradio") is not None


@contextlib.contextmanager
def started(model):
    """A client of the app, which runs as a user starts it. Gradio leaves sockets open, so not in this process."""
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "obverse.serving.gradio_page", str(model), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    client.get("/config")
                    break
                time.sleep(0.2)
            assert process.poll() is None, process.stderr.read().decode()
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=30)


def uploaded(client, path):
    (place,) = client.post("/gradio_api/upload", files={"files": (path.name, path.read_bytes())}).json()
    return {"path": place, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def asked(client, files):
    """What the app answers: the label's value, and the words."""
    event = client.post("/gradio_api/call/answer", json={"data": files}).json()["event_id"]
    stream = client.get(f"/gradio_api/call/answer/{event}").text
    assert "event: complete" in stream, stream
    return json.loads(stream.rpartition("data: ")[2])


@pytest.mark.skipif(not HAS_GRADIO, reason="needs gradio")
def test_the_app_answers_like_the_predictor(trained, draw_picture, tmp_path):
    predictor = obverse.load(trained.path)
    paths = {view: draw_picture(tmp_path / f"{view}.png", seed=n) for n, view in enumerate(predictor.views)}
    (expected,) = predictor.predict(paths, top_k=10)
    (tmp_path / "bad.png").write_bytes(paths["obverse"].read_bytes()[:100])
    with started(trained.path) as client:
        config = client.get("/config").json()
        labels = [part["props"].get("label") for part in config["components"] if part["type"] == "image"]
        assert labels == ["obverse", "reverse"]
        label, words = asked(client, [uploaded(client, path) for path in paths.values()])
        assert label["label"] == expected.label
        shares = {entry["label"]: entry["confidence"] for entry in label["confidences"]}
        assert shares == pytest.approx(dict(expected.top))
        assert words == words_of(expected)
        assert "left to a person" in words
        assert asked(client, [uploaded(client, tmp_path / "bad.png"), None])[1].startswith("No answer: ")
        assert asked(client, [None, None])[1] == "Give a picture."


def test_an_answer_in_words():
    one = Prediction("x", (("a\nb", 0.9),), (("a\nb", 0.9),), set=("a\nb",), set_level=0.9, set_words="a\nb",
                     decision="accept", reason="confidence 90 %")  # fmt: skip
    assert words_of(one) == "a\\nb (90.0%)\nwith 90 % promise: a\\nb\naccepted: confidence 90 %"
    nothing = Prediction("x", (), (("a", 0.1),), {"a": 0.5})
    assert words_of(nothing) == "none of the classes"


@pytest.mark.skipif(HAS_GRADIO, reason="gradio is there")
def test_without_gradio_the_extra_is_named(one_view, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(one_view)])
    assert caught.value.code == 69
    assert re.search(r"pip install 'obverse\[ui\]'.*obverse serve MODEL --ui", capsys.readouterr().err)


def test_a_folder_without_a_model_is_said(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path)])
    assert caught.value.code == 65
    assert "neither a finished run nor a bundle" in capsys.readouterr().err
